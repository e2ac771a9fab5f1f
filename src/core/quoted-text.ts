/**
 * Texts between double quotes, as Prometheus' selectors have them
 * (https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals): what no line can hold is escaped.
 */

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '\\': '\\', '"': '"', "'": "'" };
const named = new Map(Object.entries(escapes).map(([letter, character]) => [character, `\\${letter}`]));
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to be found
const special = /[\u0000-\u001f\u007f"\\]/g;

export function quoted(text: string): string {
  return `"${text.replace(special, (character) => named.get(character) ?? hex(character))}"`;
}

function hex(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** A quoted text that begins at `at`, and where it ends; null: there is none, or it has an escape that is none. */
export function readQuoted(text: string, at: number): { value: string; end: number } | null {
  const quote = text[at];
  if (quote !== '"' && quote !== "'") return null;
  let value = '';
  for (let i = at + 1; i < text.length; i++) {
    const character = text[i] as string;
    if (character === quote) return { value, end: i + 1 };
    if (character === '\n') return null;
    if (character !== '\\') {
      value += character;
      continue;
    }
    const [whole = ''] = /^x[0-9a-fA-F]{2}|^u[0-9a-fA-F]{4}|^[nrt\\"']/.exec(text.slice(i + 1, i + 6)) ?? [];
    if (whole === '') return null;
    value += whole.length === 1 ? escapes[whole] : String.fromCharCode(Number.parseInt(whole.slice(1), 16));
    i += whole.length;
  }
  return null;
}
