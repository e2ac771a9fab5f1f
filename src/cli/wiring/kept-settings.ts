import { AgreedRecord } from '../../core/agreement.ts';
import type { Clock } from '../../core/clock.ts';
import type { DesiredSettings } from '../../core/collector-settings.ts';
import type { Store } from '../../core/store.ts';
import type { DesiredSettingsStorage } from '../../hosts/desired-settings.ts';
import { openDesiredSettings } from '../../hosts/desired-settings-file.ts';
import type { ForgottenHostsStorage } from '../../hosts/forgotten-hosts.ts';
import { openForgottenHosts } from '../../hosts/forgotten-hosts-file.ts';
import type { Sla } from '../../sla/sla.ts';
import { openSlas } from '../../sla/sla-file.ts';
import type { SlaStorage } from '../../sla/slas.ts';

interface KeptSettings {
  forgotten: ForgottenHostsStorage;
  desired: DesiredSettingsStorage;
  slas: SlaStorage;
}

/** What somebody has said: in the data folder of one server, or where all servers over a store find it. */
export function keptSettings(
  { agreements }: Store,
  dataFolder: string,
  clock: Clock,
  warn: (message: string) => void,
): KeptSettings {
  if (agreements === undefined)
    return {
      forgotten: openForgottenHosts(dataFolder, warn),
      desired: openDesiredSettings(dataFolder, warn),
      slas: openSlas(dataFolder, warn),
    };
  const now = () => clock.now();
  const slas = new AgreedRecord<Sla>(agreements, 'sla', now);
  return {
    forgotten: agreedHosts(new AgreedRecord<number>(agreements, 'forgotten', now)),
    desired: agreedHosts(new AgreedRecord<DesiredSettings>(agreements, 'desired', now)),
    slas: {
      slas: [],
      keep: (all) => slas.keep(Object.fromEntries(all.map((sla) => [sla.id, sla]))),
      read: async () => Object.values(await slas.read()),
    },
  };
}

function agreedHosts<T>(record: AgreedRecord<T>) {
  return { hosts: {}, keep: (hosts: Readonly<Record<string, T>>) => record.keep(hosts), read: () => record.read() };
}
