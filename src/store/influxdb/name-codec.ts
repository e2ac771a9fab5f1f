/**
 * Line protocol has no way to write a newline or a trailing backslash in a tag value, so the characters
 * that cannot be carried are percent-encoded. Ordinary names stay as they are for other readers.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to be found
const unsafe = /[\u0000-\u001f\u007f%\\]/g;

export function encodeName(name: string): string {
  return name.replace(unsafe, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

export function decodeName(tag: string): string {
  return tag.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** A name as an InfluxQL string literal. An encoded name holds no backslash and no newline. */
export function literal(name: string): string {
  return `'${encodeName(name).replaceAll("'", "\\'")}'`;
}
