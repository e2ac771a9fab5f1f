/**
 * Where what was taken in becomes durable, in order: the one place between a request and its acknowledgement. Now it is
 * a store's own group commit (store/group-commit.ts); a log of several machines in front of the store would be another.
 */
export interface DurableLog<T> {
  /**
   * Resolves once it is durable.
   * @param isAlone sent by itself, and not as a part of a backlog
   * @throws MonitorError `unavailable` when too much waits; otherwise why this item cannot be durable
   */
  add(item: T, isAlone?: boolean): Promise<void>;
  /** Resolves once all are; when some are not, it waits for the others and throws the first reason. */
  addAll(items: readonly T[]): Promise<void>;
  /** Runs when nothing is under way. */
  exclusive<R>(work: () => Promise<R>): Promise<R>;
}
