import { effect } from '@preact/signals-core';
import { render } from 'preact';
import { useEffect, useReducer, useRef, useState } from 'preact/hooks';
import { duration } from './format.ts';
import { Link } from './parts.tsx';
import { lookAt, place, step } from './place.ts';
import './page.css';
import { ask, isLost, isSignedOut, lastAnswerAt, liveAlarms, useLiveAlarms } from './server.ts';
import { language, say, type Word } from './text.ts';
import { isPlaying, TimeBar } from './time-bar.tsx';
import { Accuracy } from './views/accuracy.tsx';
import { Alarms } from './views/alarms.tsx';
import { Compare } from './views/compare.tsx';
import { Host } from './views/host.tsx';
import { Hosts } from './views/hosts.tsx';
import { Now } from './views/now.tsx';
import { Process } from './views/process.tsx';
import { Processes } from './views/processes.tsx';
import { Slas } from './views/slas.tsx';

const menu: readonly (readonly [Word, readonly string[]])[] = [
  ['now', []],
  ['hosts', ['hosts']],
  ['processes', ['processes']],
  ['compare', ['compare']],
  ['alarms', ['alarms']],
  ['accuracy', ['accuracy']],
  ['slas', ['slas']],
];

function View() {
  const [view, first, second, ...more] = place.value.path;
  if (more.length > 0) return <p>{say('notFound')}</p>;
  switch (view) {
    case undefined:
      return <Now />;
    case 'hosts':
      if (first === undefined) return <Hosts />;
      return second === undefined ? (
        <Host key={first} host={first} />
      ) : (
        <Process key={`${first}\n${second}`} host={first} process={second} />
      );
    case 'processes':
      return <Processes />;
    case 'compare':
      return <Compare />;
    case 'alarms':
      return <Alarms />;
    case 'accuracy':
      return <Accuracy />;
    case 'slas':
      return <Slas key={first} {...(first !== undefined && { id: first })} />;
    default:
      return <p>{say('notFound')}</p>;
  }
}

/** What is seen is of these: whenever one changes, all is drawn anew. */
const seen = [place, isSignedOut, isLost, liveAlarms, isPlaying];

function useSignals(): void {
  const [, redraw] = useReducer((count: number, _: null) => count + 1, 0);
  useEffect(
    () =>
      effect(() => {
        for (const each of seen) each.value;
        redraw(null);
      }),
    [],
  );
}

function Page() {
  useSignals();
  useLiveAlarms();
  const help = useRef<HTMLDialogElement>(null);
  useKeys(() => help.current?.showModal());
  if (isSignedOut.value) return <SignIn />;
  const [view] = place.value.path;
  return (
    <>
      <header>
        <span class="name-of-page">amberwatch</span>
        <nav aria-label={say('menu')}>
          <ul>
            {menu.map(([word, path]) => (
              <li key={word}>
                <MenuLink word={word} path={path} isCurrent={path[0] === view} />
              </li>
            ))}
            <li>
              <a href="/docs">{say('api')}</a>
            </li>
          </ul>
        </nav>
        <SignOut />
        <TimeBar />
        <Lost />
      </header>
      <main class={isLost.value ? 'was' : ''}>
        <View />
      </main>
      <dialog ref={help} aria-label={say('help')}>
        <p>{say('helpText')}</p>
        <form method="dialog">
          <button type="submit">OK</button>
        </form>
      </dialog>
    </>
  );
}

function MenuLink({ word, path, isCurrent }: { word: Word; path: readonly string[]; isCurrent: boolean }) {
  return isCurrent ? (
    <strong aria-current="page">
      <Link to={path}>{say(word)}</Link>
    </strong>
  ) : (
    <Link to={path}>{say(word)}</Link>
  );
}

/** What is shown is as it was when the server answered last. */
function Lost() {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  if (!isLost.value) return null;
  return (
    <p class="banner lost" role="alert">
      {say('lost', { age: duration(now - lastAnswerAt.value) })}
    </p>
  );
}

function SignIn() {
  const [isWrong, setWrong] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const token = String(new FormData(event.currentTarget as HTMLFormElement).get('token') ?? '').trim();
    const body = JSON.stringify({ token });
    try {
      await ask('/v1/session', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      setWrong(false);
      isSignedOut.value = false;
    } catch {
      setWrong(true);
    }
  };
  return (
    <main class="login">
      <h1>amberwatch</h1>
      <p>{say('loginWhy')}</p>
      <form onSubmit={submit}>
        <label>
          {say('token')} <input type="password" name="token" autocomplete="current-password" required autofocus />
        </label>{' '}
        <button type="submit">{say('login')}</button>
      </form>
      {isWrong && (
        <p class="problem" role="alert">
          {say('wrongToken')}
        </p>
      )}
    </main>
  );
}

/** Only where somebody has signed in. */
function SignOut() {
  const [isSignedIn, setSignedIn] = useState(false);
  useEffect(() => {
    ask<{ signedIn: boolean }>('/v1/session').then(
      ({ signedIn }) => setSignedIn(signedIn),
      () => undefined,
    );
  }, []);
  const leave = async () => {
    await ask('/v1/session', { method: 'DELETE' });
    isSignedOut.value = true;
  };
  return isSignedIn ? (
    <button type="button" onClick={leave}>
      {say('logout')}
    </button>
  ) : null;
}

function useKeys(showHelp: () => void): void {
  useEffect(() => {
    const keys: Record<string, () => void> = {
      '/': () => document.querySelector<HTMLInputElement>('[data-filter]')?.focus(),
      j: () => moveRow(1),
      k: () => moveRow(-1),
      '[': () => step(-1),
      ']': () => step(1),
      t: () => lookAt(null),
      '?': showHelp,
    };
    const pressed = (event: KeyboardEvent) => {
      const { target } = event;
      const isTyping = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
      const action = keys[event.key];
      if (action === undefined || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      action();
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, []);
}

/** To the link of the next row, or of the one before. */
function moveRow(direction: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')];
  const current = rows.indexOf(document.activeElement as HTMLElement);
  rows[Math.min(rows.length - 1, Math.max(0, current + direction))]?.focus();
}

document.documentElement.lang = language;
const root = document.getElementById('page');
if (root !== null) render(<Page />, root);
