#!/bin/sh
# Makes the secrets of docker-compose.yml in deploy/secrets/, once. Run it as the user who runs docker compose.
set -eu

cd -- "$(dirname -- "$0")"
folder=secrets

random_hex() {
  od -An -v -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

# noclobber: a file that appeared in the meantime is not overwritten either.
write() {
  (set -C && printf '%s\n' "$2" >"$folder/$1")
  # Compose mounts the file as it is, and uid 1000 of the container must read it, whoever owns it here.
  # The folder keeps other users of this machine out.
  chmod 0444 "$folder/$1"
}

umask 077
mkdir -p "$folder"
chmod 0700 "$folder"
printf '*\n' >"$folder/.gitignore"

# From before there were tokens: only that one is missing.
if [ -e "$folder/influx_token" ] && [ ! -e "$folder/amberwatch_token" ]; then
  write amberwatch_token "aw_a_$(random_hex 4)_$(random_hex 22 | cut -c1-43)"
  echo "made deploy/$folder/amberwatch_token"
  exit 0
fi

for name in influx_username influx_password influx_token; do
  if [ -e "$folder/$name" ] || [ -L "$folder/$name" ]; then
    echo "make-secrets: deploy/$folder/$name is there already; nothing was changed." >&2
    echo "InfluxDB keeps the secrets of its first start: delete them only together with its volumes." >&2
    exit 1
  fi
done

password=$(random_hex 24)
token=$(random_hex 32)
if [ "${#password}" -ne 48 ] || [ "${#token}" -ne 64 ]; then
  echo "make-secrets: /dev/urandom gave too little" >&2
  exit 1
fi
write influx_username admin
write influx_password "$password"
write influx_token "$token"
write amberwatch_token "aw_a_$(random_hex 4)_$(random_hex 22 | cut -c1-43)"
echo "made deploy/$folder/influx_username, influx_password, influx_token and amberwatch_token"
