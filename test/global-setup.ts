import { execFileSync } from 'node:child_process';
import { hasInfluxd } from './influxd.ts';
import { hasPrometheus } from './prometheus.ts';

/** The end-to-end tests run what users run: it has to be built from the sources as they are. */
export function setup(): void {
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
  if (!hasInfluxd()) {
    process.stderr.write('skipped: all that needs a real InfluxDB 1.x; on Debian: apt-get install influxdb\n');
  }
  if (!hasPrometheus())
    process.stderr.write('skipped: all that needs a real Prometheus; on Debian: apt-get install prometheus\n');
}
