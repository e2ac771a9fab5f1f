import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { MonitorError, messageOf } from '../../core/error.ts';
import { fileReason } from '../../core/failure-reason.ts';

/** What a PEM file holds. */
const marks = {
  certificate: /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/,
  'private key': /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/,
};

/**
 * @param flag that named it
 * @throws MonitorError `invalid` for a file that cannot be read or holds something else
 */
export function readPem(path: string, flag: string, what: keyof typeof marks): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new MonitorError('invalid', `${flag} ${path} cannot be read: ${fileReason(error)}`, { cause: error });
  }
  if (marks[what].test(text)) return text;
  throw new MonitorError(
    'invalid',
    `${flag} ${path} holds no ${what}; it must be a text in PEM, with -----BEGIN ${what.toUpperCase()}-----`,
  );
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
    const reason = /mismatch/i.test(messageOf(error))
      ? 'the key does not belong to the certificate'
      : `they cannot be used: ${messageOf(error)}`;
    throw new MonitorError('invalid', `${names}: ${reason}`, { cause: error });
  }
}
