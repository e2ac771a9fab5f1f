#!/bin/sh
# Makes the secrets of deploy/cluster/compose.yml in deploy/cluster/secrets/, once. Run it as the user who runs docker compose.
set -eu

cd -- "$(dirname -- "$0")"

random_hex() {
  od -An -v -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

# noclobber: a file that appeared in the meantime is not overwritten either.
write() {
  (set -C && printf '%s' "$2" >"secrets/$1")
  # Compose mounts the file as it is, and other users than this one must read it in the containers. The folder keeps
  # other users of this machine out.
  chmod 0444 "secrets/$1"
}

umask 077
mkdir -p secrets
chmod 0700 secrets
printf '*\n' >secrets/.gitignore
# Tokens of hosts, which the servers only read.
mkdir -p tokens
chmod 0755 tokens
printf '*\n' >tokens/.gitignore

for name in clickhouse_password amberwatch_token; do
  if [ -e "secrets/$name" ] || [ -L "secrets/$name" ]; then
    echo "make-secrets: deploy/cluster/secrets/$name is there already; nothing was changed." >&2
    exit 1
  fi
done

password=$(random_hex 24)
if [ "${#password}" -ne 48 ]; then
  echo "make-secrets: /dev/urandom gave too little" >&2
  exit 1
fi
write clickhouse_password "$password"
write amberwatch_token "aw_a_$(random_hex 4)_$(random_hex 22 | cut -c1-43)"
echo "made deploy/cluster/secrets/clickhouse_password and amberwatch_token"
