import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { MonitorError, messageOf } from './core/error.ts';

/** @throws MonitorError `invalid` for a file that cannot be read */
export function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new MonitorError('invalid', `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * OpenSSL's own words name no file.
 * @throws MonitorError `invalid` that names the files these came from
 */
export function checkPems(options: SecureContextOptions, paths: readonly (string | undefined)[]): void {
  try {
    createSecureContext(options);
  } catch (error) {
    const names = paths.filter((path) => path !== undefined).join(', ');
    throw new MonitorError('invalid', `${names}: not a certificate and its key in PEM: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
