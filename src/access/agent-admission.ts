import { MonitorError } from '../core/error.ts';
import type { Labels } from '../core/series.ts';
import type { TokenSource } from './admission.ts';
import { findToken, type TokenRecord } from './token.ts';
import { seriesOwner } from './write-rights.ts';

/** What an agent that was let in may write: series with these labels, which count as this owner's. */
export interface AgentRights {
  labels: Labels;
  owner: string;
  token: TokenRecord | null;
}

/** Of one that needs no token: it says nothing of whose its series are. */
export function rightsOfAddress(address: string): AgentRights {
  return { labels: {}, owner: `client ${address}`, token: null };
}

/**
 * Of one that has shown a token.
 * @throws MonitorError `unauthorized` for one that is not valid, `forbidden` for one that may only read
 */
export function rightsOfToken(tokens: TokenSource, secret: string, address: string, now: number): AgentRights {
  const token = findToken(tokens.book(), secret, now);
  if (token === null)
    throw new MonitorError(
      'unauthorized',
      'this token is not known here, has expired or was revoked; make one on the server: amberwatch token create --role write --source NAME',
    );
  const { id, role, host, source } = token;
  if (role === 'read') throw new MonitorError('forbidden', `token ${id} has the role read; an agent needs write`);
  if (role === 'admin') return { ...rightsOfAddress(address), token };
  const labels: Labels = host === null ? { source: source ?? '' } : { host };
  return { labels, owner: seriesOwner({ labels }, token), token };
}
