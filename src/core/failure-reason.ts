import { messageOf } from './error.ts';

/**
 * What a failed file operation or connection means for whoever reads it, and what to do. Node's, undici's and
 * OpenSSL's own words name a function and no remedy.
 */

const fileReasons: Record<string, string> = {
  EACCES: 'this user has no permission there (EACCES)',
  EPERM: 'this user has no permission there (EPERM)',
  EROFS: 'the file system is read-only (EROFS)',
  ENOSPC: 'the disk is full (ENOSPC)',
  EDQUOT: 'the quota of this user is used up (EDQUOT)',
  ENOENT: 'there is no such file or folder (ENOENT)',
  ENOTDIR: 'a part of that path is no folder (ENOTDIR)',
  EISDIR: 'that is a folder (EISDIR)',
  EMFILE: 'too many files are open (EMFILE)',
};

/** Of a file or folder. */
export function fileReason(error: unknown): string {
  return fileReasons[codeOf(error)] ?? messageOf(error);
}

/** How the other side is called, and by which flag an authority is named. */
export interface Connection {
  isTls: boolean;
  caFlag: string;
  /** By which a certificate of one's own is shown, where one can be. */
  certificateFlags?: string;
}

const unknownAuthority = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_UNTRUSTED',
];

/** Of a connection; undici hides the reason in `cause`, and of several addresses in `errors`. */
export function connectionReason(error: unknown, { isTls, caFlag, certificateFlags }: Connection): string {
  const inner = innermost(error);
  const [code, message] = [codeOf(inner), messageOf(inner)];
  if (unknownAuthority.includes(code))
    return `its certificate is self-signed or of an authority that is not known here; name the authority's file with ${caFlag}`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `its certificate is for another name: ${message.replace(/^.*?altnames: /, '')}; call it by a name in the certificate`;
  if (code === 'CERT_HAS_EXPIRED') return "its certificate has expired; renew it, or look at this machine's clock";
  if (code === 'CERT_NOT_YET_VALID') return "its certificate is not valid yet; look at this machine's clock";
  if (/wrong version number|packet length too long/i.test(message))
    return 'it does not speak TLS; write the address without it (http:// or influxdb://)';
  if (/certificate required|handshake failure|bad certificate/i.test(message))
    return `it wants a certificate of this client${certificateFlags === undefined ? ', and there is none to show' : `; name one with ${certificateFlags}`}`;
  if (!isTls && ['UND_ERR_SOCKET', 'ECONNRESET', 'HPE_INVALID_CONSTANT'].includes(code))
    return `it hangs up without an answer (${message}); if it listens with TLS, write https:// or influxdbs://`;
  return networkReasons[code] ?? (message || 'no connection');
}

const networkReasons: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there (connection refused); start it, or name the port it listens on',
  ENOTFOUND: 'that name has no address; look at how it is written',
  EAI_AGAIN: 'the name service does not answer, so its address is not known',
  EHOSTUNREACH: 'no route leads there',
  ENETUNREACH: 'no route leads there',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time; a firewall in between may drop it',
  ETIMEDOUT: 'no connection in time; a firewall in between may drop it',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  NO_ANSWER_IN_TIME: 'no answer in time',
  ANSWER_STOPPED: 'its answer stopped in the middle',
  UND_ERR_BODY_TIMEOUT: 'its answer stopped in the middle',
};

function innermost(error: unknown): unknown {
  const { errors, cause } = (error ?? {}) as { errors?: unknown[]; cause?: unknown };
  const next = errors?.[0] ?? cause;
  return next === undefined ? error : innermost(next);
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code ?? '');
}
