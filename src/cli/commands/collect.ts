import type { Command } from 'commander';
import { formatDuration } from '../../core/duration.ts';
import { addCommand } from '../add-command.ts';
import { closeOnSignal } from '../close-on-signal.ts';
import type { Config } from '../config/settings.ts';
import { clock } from '../real-clock.ts';
import { complain, logOf } from '../terminal.ts';
import { startCollector } from '../wiring/collector.ts';

export function addCollect(program: Command): void {
  addCommand(program, 'collect', 'run the collector: reports the processes of this host to a server', collect);
}

async function collect(config: Config): Promise<void> {
  (await import('../../platform/small-heap.ts')).keepHeapSmall();
  const log = logOf(config.logLevel);
  const collector = await startCollector(config, config.server, clock, log);
  log.info(
    { server: config.server, host: config.host, interval: formatDuration(config.interval) },
    'collector is running',
  );
  closeOnSignal([collector], { clock, complain });
}
