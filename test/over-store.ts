import type { Store } from '../src/core/store.ts';

/** A store with some methods of others: a copy of an object with private fields has none of them. */
export function overStore(store: Store, over: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, key) {
      if (Object.hasOwn(over, key)) return over[key as keyof Store];
      const value: unknown = target[key as keyof Store];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
