import { computed, signal } from '@preact/signals-core';

/** Where one is: the view, and the time that all views are of. It is all in the URL, which can be sent to a colleague. */
interface Place {
  path: readonly string[];
  params: URLSearchParams;
}

export const windows = ['15m', '1h', '6h', '1d', '2d'] as const;
const windowMs: Record<string, number> = { '15m': 9e5, '1h': 36e5, '6h': 216e5, '1d': 864e5, '2d': 1728e5 };

export const place = signal(read());
addEventListener('popstate', () => {
  place.value = read();
});

/** The instant that is looked at, epoch milliseconds; null: now, live. */
export const at = computed(() => {
  const time = Date.parse(place.value.params.get('at') ?? '');
  return Number.isNaN(time) ? null : time;
});
export const span = computed(() => {
  const asked = place.value.params.get('window') ?? '1h';
  return asked in windowMs ? asked : '1h';
});
export const spanMs = computed(() => windowMs[span.value] as number);

function read(): Place {
  const path = location.pathname.split('/').filter(Boolean).map(decoded);
  return { path, params: new URLSearchParams(location.search) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a view, at the same time as this one. */
export function addressOf(path: readonly string[], params: Record<string, string> = {}): string {
  const kept = new URLSearchParams(params);
  for (const name of ['at', 'window']) {
    const value = place.value.params.get(name);
    if (value !== null && !kept.has(name)) kept.set(name, value);
  }
  const query = kept.toString();
  return `/${path.map(encodeURIComponent).join('/')}${query && `?${query}`}`;
}

export function go(address: string): void {
  history.pushState(null, '', address);
  place.value = read();
}

/** Changes parts of the query; null takes one away. */
export function change(params: Record<string, string | null>, isReplaced = false): void {
  const query = new URLSearchParams(place.value.params);
  for (const [name, value] of Object.entries(params)) {
    if (value === null) query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  const address = `${location.pathname}${text && `?${text}`}`;
  if (isReplaced) history.replaceState(null, '', address);
  else history.pushState(null, '', address);
  place.value = read();
}

export function lookAt(time: number | null): void {
  change({ at: time === null || time >= Date.now() ? null : new Date(time).toISOString() });
}

/** A tenth of the window, back or forward. */
export function step(direction: 1 | -1): void {
  lookAt((at.value ?? Date.now()) + (direction * spanMs.value) / 10);
}

/** What asks the server for this time. */
export function timeQuery(): string {
  return at.value === null ? '' : `&at=${encodeURIComponent(new Date(at.value).toISOString())}`;
}
