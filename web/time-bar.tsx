import { signal } from '@preact/signals-core';
import { useEffect } from 'preact/hooks';
import { instant } from './format.ts';
import { CopyButton } from './parts.tsx';
import { addressOf, at, change, lookAt, place, span, step, windows } from './place.ts';
import { say } from './text.ts';

export const isPlaying = signal(false);
const playMs = 1000;

/** The instant and the window that every view is of. */
export function TimeBar() {
  useEffect(() => {
    if (!isPlaying.value) return;
    const timer = setInterval(() => {
      step(1);
      if (at.value === null) isPlaying.value = false;
    }, playMs);
    return () => clearInterval(timer);
  }, [isPlaying.value]);
  const play = () => {
    if (!isPlaying.value && at.value === null) step(-1);
    isPlaying.value = !isPlaying.value;
  };
  return (
    <>
      <fieldset class="time" aria-label={say('time')}>
        <label>
          {say('window')}{' '}
          <select value={span.value} onChange={(event) => change({ window: event.currentTarget.value })}>
            {windows.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <button type="button" aria-label={say('back')} title={`${say('back')} [`} onClick={() => step(-1)}>
          ◀
        </button>
        <label>
          {say('at')}{' '}
          <input
            type="datetime-local"
            step={1}
            value={localText(at.value)}
            onChange={(event) =>
              lookAt(event.currentTarget.value === '' ? null : Date.parse(event.currentTarget.value))
            }
          />
        </label>
        <button
          type="button"
          aria-label={say('forward')}
          title={`${say('forward')} ]`}
          onClick={() => step(1)}
          disabled={at.value === null}
        >
          ▶
        </button>
        <button type="button" onClick={play}>
          {say(isPlaying.value ? 'pause' : 'play')}
        </button>
        <button type="button" title="t" onClick={() => lookAt(null)} disabled={at.value === null}>
          {say('toNow')}
        </button>
        <CopyButton word="link" text={absoluteLink} />
      </fieldset>
      {at.value !== null && (
        <p class="banner" role="status">
          {say('past', { time: instant(at.value) })}
        </p>
      )}
    </>
  );
}

/** Shows a colleague the same, also later. */
function absoluteLink(): string {
  const params = Object.fromEntries(place.value.params);
  const time = new Date(at.value ?? Date.now()).toISOString();
  return `${location.origin}${addressOf(place.value.path, { ...params, window: span.value, at: time })}`;
}

/** As the field has it: local time without a zone. */
function localText(time: number | null): string {
  if (time === null) return '';
  return new Date(time - new Date(time).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
