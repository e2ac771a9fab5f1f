/**
 * Burns CPU in a rhythm, and says every 50 ms by its own CPU clock how much: `monotonic-ms cpu-ms`.
 * Arguments: its name, milliseconds of a period, of these busy, and the instant (monotonic) the first begins.
 */
process.title = process.argv[2];
const [periodMs, busyMs, startMs] = process.argv.slice(3).map(Number);
const sleeper = new Int32Array(new SharedArrayBuffer(4));
const monotonic = () => Number(process.hrtime.bigint()) / 1e6;
const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

let said = 0;
for (let begin = startMs; ; begin += periodMs) {
  const wait = begin - monotonic();
  if (wait > 0) Atomics.wait(sleeper, 0, 0, wait);
  while (monotonic() < begin + busyMs);
  if (monotonic() - said < 50) continue;
  said = monotonic();
  process.stdout.write(`${said} ${cpuMs()}\n`);
}
