import { openStore } from '../../src/store/open.ts';
import { storeContract } from './store-contract.ts';

const options = { retentionMs: 2 * 86_400_000, warn: () => undefined };

storeContract('memory', async () => {
  const store = await openStore('memory:', options);
  return {
    open: async (more) => (more === undefined ? store : openStore('memory:', { ...options, ...more })),
    now: Date.now(),
    durable: false,
    expires: true,
    conflict: 'first-wins',
  };
});
