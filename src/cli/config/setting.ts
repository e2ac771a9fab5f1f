export type CommandName =
  | 'up'
  | 'serve'
  | 'collect'
  | 'alert'
  | 'accuracy'
  | 'backtest'
  | 'join'
  | 'token'
  | 'host'
  | 'spool'
  | 'store'
  | 'move'
  | 'disk'
  | 'stats'
  | 'top'
  | 'history'
  | 'sla'
  | 'source'
  | 'config';

/** One setting: how it is written everywhere, and what it means. */
export interface Setting<T> {
  /** What stands after the flag in --help; '': it is a switch; undefined: environment and file only. */
  argument?: string;
  description: string;
  /** Shown in --help and in the README. */
  defaultText: string;
  commands: readonly CommandName[];
  repeatable?: true;
  /** Never printed, never a flag: a process list shows flags to everyone. */
  secret?: true;
  /** What `config print` shows, where that is not the text itself or the default's; null: it is not set. */
  format?: (value: T, dataFolder: string) => string | readonly unknown[] | null;
  read(text: readonly string[], environment: Environment): T;
}

export type Environment = Readonly<Record<string, string | undefined>>;
export type SettingValue<S> = S extends Setting<infer T> ? T : never;

export const daemons = ['up', 'serve', 'collect', 'alert'] as const;
export const serving = ['up', 'serve'] as const;
/** What they need to get into a store. */
export const storing = [...serving, 'move'] as const;
export const collecting = ['up', 'collect'] as const;
/** They talk to a server. */
export const asking = [
  'collect',
  'alert',
  'accuracy',
  'backtest',
  'host',
  'join',
  'store',
  'disk',
  'stats',
  'top',
  'history',
  'sla',
  'source',
] as const;

export function setting<T>(definition: Setting<T>): Setting<T> {
  return definition;
}

export function orNotSet(text: string | undefined): string | null {
  return text ?? null;
}
