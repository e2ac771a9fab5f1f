/**
 * C0 and C1 controls, DEL, and what reorders or hides text: bidi marks, zero-width characters, line and
 * paragraph separators, the language tag block, and halves of surrogate pairs.
 */
const unprintable =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to be found
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff0-\uffff\u{e0000}-\u{e0fff}\p{Cs}]/gu;

/**
 * Text of unknown origin, fit for a terminal: nothing in it can move the cursor, colour the screen, reach
 * the clipboard or reorder what stands beside it. What was there is shown, as `\x1b` or `\u{202e}`.
 */
export function terminalText(text: string, maxLength = 64): string {
  const visible = text.replace(unprintable, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
  const characters = [...visible];
  return characters.length <= maxLength ? visible : `${characters.slice(0, maxLength - 1).join('')}…`;
}

/** JSON on one line that is as fit for a terminal, and parses to exactly the same value. */
export function terminalJson(value: unknown): string {
  return escapeJson(JSON.stringify(value));
}

/** JSON text with everything unprintable in it written as an escape. */
export function escapeJson(json: string): string {
  return json.replace(unprintable, (characters) =>
    Array.from(
      { length: characters.length },
      (_, i) => `\\u${characters.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}
