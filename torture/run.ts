import { alerterKills } from './alerter-kills.ts';
import { backlog } from './backlog.ts';
import { collectorKills } from './collector-kills.ts';
import { droppedReplies } from './dropped-replies.ts';
import { fullDisk } from './full-disk.ts';
import { herd } from './herd.ts';
import { hostileBodies } from './hostile-bodies.ts';
import { hostileNames } from './hostile-names.ts';
import { longOutage, realOutage } from './outage.ts';
import type { Scenario } from './scenario.ts';
import { serverKills } from './server-kills.ts';
import { silence } from './silence.ts';
import { simulation } from './simulation-scenario.ts';
import { slowSockets } from './slow-sockets.ts';
import { spoolDamage } from './spool-damage.ts';
import { tokens } from './token-scenario.ts';

/** In this order; those of one line run side by side. */
export const scenarios: Scenario[][] = [
  [simulation, realOutage],
  [spoolDamage, herd],
  [fullDisk],
  [silence],
  [tokens],
  [hostileNames],
  [longOutage],
  [slowSockets],
  [backlog],
  [hostileBodies],
  [droppedReplies],
  [alerterKills],
  [collectorKills],
  [serverKills],
];

const help = `npm run torture [-- NAME... --scale 0.1]
Shows every promise of docs/RELIABILITY.md: promise, figure, verdict. The whole takes some 15 minutes.
Names: ${scenarios
  .flat()
  .map((scenario) => scenario.name)
  .join(', ')}`;

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) return say(help);
  const at = args.indexOf('--scale');
  const scale = at < 0 ? 1 : Number(args[at + 1]);
  const names = args.filter((arg, index) => !arg.startsWith('--') && (at < 0 || index !== at + 1));
  const unknown = names.find((name) => !scenarios.flat().some((scenario) => scenario.name === name));
  if (unknown !== undefined || !(scale > 0)) throw new Error(`${unknown ?? 'that scale'} is not known\n${help}`);
  const begin = performance.now();
  let broken = 0;
  for (const group of scenarios) {
    const wanted = group.filter(({ name }) => names.length === 0 || names.includes(name));
    for (const lines of await Promise.all(wanted.map((scenario) => runOne(scenario, scale)))) {
      broken += lines.filter((line) => line.startsWith('BROKEN')).length;
      for (const line of lines) say(line);
    }
  }
  say(`${broken === 0 ? 'all promises hold' : `${broken} broken`}, ${seconds(begin)}`);
  process.exit(broken === 0 ? 0 : 1);
}

async function runOne(scenario: Scenario, scale: number): Promise<string[]> {
  const begin = performance.now();
  try {
    const verdicts = await scenario.run(scale);
    const took = seconds(begin);
    return verdicts.map(
      ({ promise, figure, holds }) =>
        `${holds ? 'holds ' : 'BROKEN'}  ${promise}\n        ${figure}  [${scenario.name}, ${took}]`,
    );
  } catch (error) {
    return [`BROKEN  ${scenario.name}: ${error instanceof Error ? error.stack : error}`];
  }
}

function seconds(begin: number): string {
  return `${Math.round((performance.now() - begin) / 1000)} s`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

await main(process.argv.slice(2));
