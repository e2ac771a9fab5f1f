/** Says something to whoever runs the program: a sentence, and before it what belongs to it. */
export interface Say {
  (message: string): void;
  (details: Record<string, unknown>, message: string): void;
}

/** What every daemon writes its log to; pino's has this shape. An error is given as `err`. */
export interface Log {
  info: Say;
  warn: Say;
  error: Say;
}
