import { agentSockets } from './agent-sockets.ts';
import { alerterKills } from './alerter-kills.ts';
import { backlog } from './backlog.ts';
import { closingKills } from './closing-kills.ts';
import { cluster } from './cluster.ts';
import { collectorKills } from './collector-kills.ts';
import { droppedReplies } from './dropped-replies.ts';
import { fullDisk } from './full-disk.ts';
import { herd } from './herd.ts';
import { hostileBodies } from './hostile-bodies.ts';
import { hostileNames } from './hostile-names.ts';
import { manyNames } from './many-names.ts';
import { manySeries } from './many-series.ts';
import { mappedUsage } from './mapped-usage.ts';
import { moveKills } from './move-kills.ts';
import { longOutage, realOutage } from './outage.ts';
import { remoteWrite } from './remote-write.ts';
import { remoteWriteBodies } from './remote-write-bodies.ts';
import type { Scenario } from './scenario.ts';
import { serverKills } from './server-kills.ts';
import { silence } from './silence.ts';
import { simulation } from './simulation-scenario.ts';
import { slowSockets } from './slow-sockets.ts';
import { spoolDamage } from './spool-damage.ts';
import { tokens } from './tokens.ts';
import { worstReads } from './worst-reads.ts';

/**
 * What runs one after the other, and in each step side by side: what measures time or memory has the machine
 * for itself, what waits or only counts does not.
 */
export const steps: Scenario[][][] = [
  [[realOutage], [silence, fullDisk, herd, tokens, hostileNames]],
  [[longOutage]],
  [[backlog]],
  [[slowSockets]],
  [[agentSockets]],
  [[worstReads]],
  [[manyNames]],
  [[remoteWrite]],
  [[manySeries]],
  [[mappedUsage]],
  [[cluster]],
  [[moveKills]],
  [
    [serverKills],
    [closingKills],
    [collectorKills, alerterKills],
    [hostileBodies, remoteWriteBodies, spoolDamage, simulation, droppedReplies],
  ],
];

export const scenarios: Scenario[] = steps.flat(2);
