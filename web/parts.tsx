import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { addressOf, go } from './place.ts';
import { say, type Word } from './text.ts';

/** A link to another view, at the same time. */
export function Link(props: {
  to: readonly string[];
  params?: Record<string, string>;
  children: ComponentChildren;
  row?: boolean;
}) {
  const address = addressOf(props.to, props.params);
  const open = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    go(address);
  };
  return (
    <a href={address} onClick={open} {...(props.row && { 'data-row': true })}>
      {props.children}
    </a>
  );
}

export function Level({ level }: { level: string }) {
  return <span class={`level ${level.toLowerCase()}`}>{level}</span>;
}

export function Problem({ text }: { text: string | null }) {
  return text === null ? null : (
    <p class="problem" role="alert">
      {text}
    </p>
  );
}

export function Section({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

export function CopyButton({ text, word = 'copy' }: { text: () => string; word?: Word }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(text());
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <button type="button" onClick={copy}>
      {say(isCopied ? 'copied' : word)}
    </button>
  );
}

/** Shown only after a moment: most answers are there before. */
export function Loading({ data, problem }: { data: unknown; problem: string | null }) {
  return data === null && problem === null ? <p class="loading">{say('loading')}</p> : null;
}

/** Eight heights of a block. */
export function Sparkline({ values }: { values: readonly number[] }) {
  const most = Math.max(1, ...values);
  const text = values.map((value) => '▁▂▃▄▅▆▇█'[Math.min(7, Math.floor((value / most) * 8))]).join('');
  return (
    <span class="sparkline" aria-hidden="true">
      {text}
    </span>
  );
}

/** Saves rows as a file, each value as a spreadsheet takes it. */
export function saveCsv(name: string, rows: readonly (readonly (string | number | null)[])[]): void {
  const field = (value: string | number | null) => {
    if (typeof value === 'number') return String(value);
    const safe = /^[=+\-@\t\r]/.test(value ?? '') ? ` ${value}` : (value ?? '');
    return `"${safe.replaceAll('"', '""')}"`;
  };
  const text = `${rows.map((row) => row.map(field).join(',')).join('\r\n')}\r\n`;
  const url = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
