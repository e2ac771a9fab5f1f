import { signal } from '@preact/signals-core';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { AlarmsAnswer } from '../src/wire/alarm.ts';
import { at, spanMs } from './place.ts';

/** Whether the server wants a token that this browser has not shown. */
export const isSignedOut = signal(false);
/** When the server answered last, and whether it does. */
export const lastAnswerAt = signal(Date.now());
export const isLost = signal(false);
/** The alarms now, as the stream tells them. */
export const liveAlarms = signal<AlarmsAnswer | null>(null);

const longestMs = 20_000;

/** What the server has said is wrong. */
export class Problem extends Error {}

/** @throws Problem with the server's own sentence; TypeError where it cannot be reached */
export async function ask<T>(url: string, options: RequestInit = {}): Promise<T> {
  // A network that has fallen silent says nothing by itself for minutes.
  const silence = AbortSignal.timeout(longestMs);
  const signal = options.signal ? AbortSignal.any([options.signal, silence]) : silence;
  const answer = await fetch(url, { ...options, signal, credentials: 'same-origin' });
  lastAnswerAt.value = Date.now();
  isLost.value = false;
  if (answer.status === 401) isSignedOut.value = true;
  if (!answer.ok) {
    const problem = (await answer.json().catch(() => ({}))) as { detail?: string };
    throw new Problem(problem.detail ?? `${answer.status} ${answer.statusText}`);
  }
  return (answer.status === 204 ? null : await answer.json()) as T;
}

/** Of one question: the newest answer, and what went wrong with the last try. */
export interface Asked<T> {
  data: T | null;
  problem: string | null;
}

/**
 * Asks again and again while it is about now and somebody looks; once where it is about the past.
 * @param url null: there is nothing to ask
 */
export function useAnswer<T>(url: string | null, everyMs = 5000): Asked<T> {
  const [asked, setAsked] = useState<Asked<T> & { url: string | null }>({ url: null, data: null, problem: null });
  const isPast = at.value !== null;
  useEffect(() => {
    if (url === null) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let [isRunning, isDone] = [false, false];
    const run = async () => {
      isRunning = true;
      try {
        const data = await ask<T>(url, { signal: stop.signal });
        setAsked({ url, data, problem: null });
        isDone = isPast;
      } catch (error) {
        if (stop.signal.aborted) return;
        isDone = isPast && error instanceof Problem;
        if (!(error instanceof Problem)) isLost.value = true;
        else setAsked((before) => ({ url, data: before.url === url ? before.data : null, problem: error.message }));
      }
      isRunning = false;
      if (!stop.signal.aborted && !isDone && !document.hidden) timer = setTimeout(run, everyMs);
    };
    const wake = () => {
      if (document.hidden || isRunning || isDone) return;
      clearTimeout(timer);
      void run();
    };
    document.addEventListener('visibilitychange', wake);
    void run();
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', wake);
    };
  }, [url, isPast, everyMs, isSignedOut.value]);
  // What was answered to another question is nothing of this one.
  return sameQuestion(asked.url, url) ? asked : { data: null, problem: null };
}

/** While it is about now it is asked again after so long. */
const roundMs = 60_000;

/**
 * The same question about instants of the window, oldest first and one after the other: together they would be dear.
 * @param url with its `?`
 */
export function useInstants<T>(url: string, count: number): [T[], string | null] {
  const [answers, setAnswers] = useState<T[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  const [end, length] = [at.value, spanMs.value];
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const round = async () => {
      const to = end ?? Date.now();
      const found: T[] = [];
      for (let k = 1; k <= count; k++) {
        const time = new Date(to - length + (k * length) / count).toISOString();
        found.push(await ask<T>(`${url}&at=${encodeURIComponent(time)}`, { signal: stop.signal }));
        setAnswers((before) => (before.length > found.length ? before : [...found]));
      }
      setAnswers(found);
      setProblem(null);
    };
    const run = async () => {
      const isSeen = !document.hidden;
      let isDone = isSeen && end !== null;
      try {
        if (isSeen) await round();
      } catch (error) {
        if (stop.signal.aborted) return;
        if (error instanceof Problem) setProblem(error.message);
        else isLost.value = true;
        isDone &&= error instanceof Problem;
      }
      if (!stop.signal.aborted && !isDone) timer = setTimeout(run, roundMs);
    };
    setAnswers([]);
    void run();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [url, end, length, count]);
  return [answers, problem];
}

/** All that differs is the instant: meanwhile what was shown stays. */
function sameQuestion(a: string | null, b: string | null): boolean {
  const without = (url: string | null) => url?.replace(/[?&](at|from|to)=[^&]*/g, '');
  return a !== null && without(a) === without(b);
}

/** A change as the stream tells it. */
interface Change {
  level: string;
  host: string;
  /** Null: the host itself has fallen silent, or is heard of again. */
  alarm: AlarmsAnswer['alarms'][number] | null;
  lastSeen: string | null;
}

function changed(before: AlarmsAnswer, { level, host, alarm, lastSeen }: Change): AlarmsAnswer {
  if (alarm !== null) {
    const others = before.alarms.filter(({ id }) => id !== alarm.id);
    return { ...before, alarms: level === 'RED' || level === 'AMBER' ? [alarm, ...others] : others };
  }
  const stale = before.stale.filter((each) => each.host !== host);
  return { ...before, stale: level === 'STALE' ? [...stale, { host, lastSeen: lastSeen ?? before.at }] : stale };
}

const lookMs = 10_000;
/** The stream tells all alarms every 30 s: a network that has fallen silent says nothing by itself. */
const silentMs = 45_000;

/** Alarms as they change, while somebody looks. */
export function useLiveAlarms(): void {
  const source = useRef<EventSource | null>(null);
  useEffect(() => {
    let toldAt = Date.now();
    const refresh = () =>
      ask<AlarmsAnswer>('/v1/alarms').then(
        (answer) => {
          liveAlarms.value = answer;
        },
        (error) => {
          if (!(error instanceof Problem)) isLost.value = true;
        },
      );
    const open = () => {
      source.current?.close();
      if (document.hidden || isSignedOut.value) return;
      const stream = new EventSource('/v1/alarms/stream');
      toldAt = Date.now();
      stream.addEventListener('alarms', ({ data }) => {
        liveAlarms.value = JSON.parse(data) as AlarmsAnswer;
        toldAt = Date.now();
        lastAnswerAt.value = toldAt;
        isLost.value = false;
      });
      stream.addEventListener('change', ({ data }) => {
        if (liveAlarms.value !== null) liveAlarms.value = changed(liveAlarms.value, JSON.parse(data) as Change);
      });
      // Whether the server is gone, or wants a token by now.
      stream.addEventListener('error', () => void refresh());
      source.current = stream;
    };
    open();
    // One that was refused, or has no answer it can read, is not opened anew by the browser.
    const timer = setInterval(() => {
      const isSilent = Date.now() - toldAt > silentMs;
      if (isSilent && !document.hidden && !isSignedOut.value) void refresh();
      if (isSilent || source.current?.readyState === EventSource.CLOSED) open();
    }, lookMs);
    document.addEventListener('visibilitychange', open);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', open);
      source.current?.close();
    };
  }, [isSignedOut.value]);
}
