import type { Announcement } from '../announcement.ts';
import type { OutboxEntry } from '../outbox.ts';
import type { Channel, Outcome } from './channel.ts';

/** Whoever sits before it. */
export class TerminalChannel implements Channel {
  readonly name = 'terminal';
  readonly label = 'the terminal';
  readonly isInstant = true;
  readonly #announce: (announcement: Announcement) => void;

  constructor(announce: (announcement: Announcement) => void) {
    this.#announce = announce;
  }

  async deliver({ announcement }: OutboxEntry): Promise<Outcome> {
    this.#announce(announcement);
    return { kind: 'taken' };
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}
