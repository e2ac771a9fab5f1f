import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { engineNames, type Scenario } from './scenario.ts';
import { scenarios, steps } from './scenarios.ts';

const help = `npm run torture [-- NAME... --scale 0.1]
Shows every promise of docs/RELIABILITY.md: promise, figure, verdict. All of it takes an hour and a quarter on two cores.
Needs influxd (1.x), or shows DuckDB alone, and for full-disk the right to mount.

${scenarios.map(({ name, behaviour }) => `  ${name.padEnd(16)} ${behaviour}`).join('\n')}`;

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) return say(help);
  const at = args.indexOf('--scale');
  const scale = at < 0 ? 1 : Number(args[at + 1]);
  const names = args.filter((arg, index) => !arg.startsWith('--') && (at < 0 || index !== at + 1));
  const unknown = names.find((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown !== undefined || !(scale > 0)) throw new Error(`${unknown ?? 'that scale'} is not known\n${help}`);
  if (args.includes('--here')) return runHere(scenarios.find(({ name }) => name === names[0]) as Scenario, scale);
  const begin = performance.now();
  const broken: string[] = [];
  for (const lanes of steps) await Promise.all(lanes.map((lane) => runLane(lane, names, scale, broken)));
  const all = engineNames.includes('InfluxDB') ? 'all promises hold' : 'all promises but those about InfluxDB hold';
  say(`${broken.length === 0 ? all : `BROKEN: ${broken.join(', ')}`}, ${seconds(begin)}`);
  return broken.length === 0 ? 0 : 1;
}

/** Each in a process of its own: they must not be each other's load. */
async function runLane(lane: readonly Scenario[], names: readonly string[], scale: number, broken: string[]) {
  for (const { name } of lane.filter((scenario) => names.length === 0 || names.includes(scenario.name))) {
    const path = fileURLToPath(import.meta.url);
    const child = spawn(process.execPath, ['--import', 'tsx', path, name, '--here', '--scale', String(scale)], {
      stdio: 'inherit',
    });
    if ((await new Promise((resolve) => child.once('exit', resolve))) !== 0) broken.push(name);
  }
}

async function runHere(scenario: Scenario, scale: number): Promise<number> {
  const begin = performance.now();
  const verdicts = await scenario.run(scale);
  for (const { promise, figure, holds } of verdicts)
    say(`${holds ? 'holds ' : 'BROKEN'}  ${promise}\n        ${figure}  [${scenario.name}, ${seconds(begin)}]`);
  return verdicts.every(({ holds }) => holds) ? 0 : 1;
}

function seconds(begin: number): string {
  return `${Math.round((performance.now() - begin) / 1000)} s`;
}

function say(line: string): number {
  process.stdout.write(`${line}\n`);
  return 0;
}

process.exit(await main(process.argv.slice(2)));
