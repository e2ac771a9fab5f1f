export const csvType = 'text/csv; charset=utf-8; header=present';

/** RFC 4180. Quoted where it has to be; a text that a spreadsheet would take for a formula has a blank before it. */
export function csvField(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? ` ${text}` : text;
  return /[",\r\n]|^ | $/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
