import { execFileSync } from 'node:child_process';
import { hasInfluxd } from './influxd.ts';

/** The end-to-end tests run what users run: it has to be built from the sources as they are. */
export function setup(): void {
  execFileSync('npx', ['tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
  if (!hasInfluxd()) {
    process.stderr.write('skipped: all that needs a real InfluxDB 1.x; on Debian: apt-get install influxdb\n');
  }
}
