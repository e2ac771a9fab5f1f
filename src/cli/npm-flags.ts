import { MonitorError } from '../core/error.ts';
import { flagOf, settingKeys, settings } from './config/settings.ts';

/**
 * `npm start --listen ...` without `--` in between: npm takes the flag for one of its own, says nothing, and the
 * program would start as if it had never been given.
 */
export function refuseSwallowedFlags(environment: Readonly<Record<string, string | undefined>>): void {
  if (environment.npm_lifecycle_event !== 'start') return;
  for (const key of settingKeys) {
    const flag = flagOf(key);
    const value = environment[`npm_config_${flag.slice(2).replaceAll('-', '_')}`];
    if (value === undefined || settings[key].argument === undefined || key === 'ca') continue;
    // Some versions of npm take the value along, others leave it behind.
    const shown = value === 'true' ? process.argv.slice(3).join(' ') : value;
    // An address may hold a secret.
    const given = ['webhook', 'store', 'server'].includes(key) ? '...' : shown;
    throw new MonitorError(
      'invalid',
      `npm has taken ${flag} for itself; put -- before it: npm start -- ${flag} ${given}`,
    );
  }
}
