import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** What nobody can guess, and what is kept of it. */

const tokenPattern = /^aw_[wra]_([0-9a-f]{8})_[\w-]{43}$/;
/** No 0, 1, I, L, O, U: they are misread, or read as a word. */
const codeAlphabet = '23456789ABCDEFGHJKMNPQRSTVWXYZ';
const codeLength = 12;

/** A token with 256 random bits; its role and its id can be read in it. */
export function newTokenSecret(role: string): { id: string; secret: string } {
  const id = randomBytes(4).toString('hex');
  return { id, secret: `aw_${role[0]}_${id}_${randomBytes(32).toString('base64url')}` };
}

/** Null for what does not look like a token. */
export function tokenId(secret: string): string | null {
  return tokenPattern.exec(secret)?.[1] ?? null;
}

/** Twelve letters and digits that a person can read to another. */
export function newCode(): string {
  const letters = Array.from(randomBytes(codeLength), (byte) => codeAlphabet[byte % codeAlphabet.length]);
  return `${letters.slice(0, 4).join('')}-${letters.slice(4, 8).join('')}-${letters.slice(8).join('')}`;
}

/** SHA-256, hex. */
export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** The same of a code, however it was typed. */
export function codeHash(code: string): string {
  return hashOf(code.toUpperCase().replace(/[^A-Z0-9]/g, ''));
}

/** Takes the same time for any two. */
export function sameHash(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a, 'hex'), Buffer.from(b, 'hex'));
}
