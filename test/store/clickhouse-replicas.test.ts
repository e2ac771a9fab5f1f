import type { ClickHouseClient } from '@clickhouse/client';
import { describe, expect, test } from 'vitest';
import { Replicas } from '../../src/store/clickhouse/replicas.ts';

interface Told {
  delay: number;
  parts: number;
}

const justStarted = 1_800_000_000;

/** A server that tells this of its replicated tables; null: it is away. */
function looking(told: Told | null): ClickHouseClient {
  const query = async ({ query: sql }: { query: string }) => {
    if (told === null) throw new Error('connect ECONNREFUSED');
    return { json: async () => [sql.includes('system.parts') ? { parts: told.parts } : { ...told, readonly: 0 }] };
  };
  return { query } as unknown as ClickHouseClient;
}

async function asked(...servers: (Told | null)[]): Promise<string[]> {
  const replicas = new Replicas(
    servers.map((told, index) => ({ base: `r${index}`, client: looking(told), looking: looking(told) })),
  );
  try {
    return (await replicas.upToDate()).map(({ base }) => base).sort();
  } finally {
    replicas.close();
  }
}

describe('which replicas of ClickHouse are asked', () => {
  const good = { delay: 0, parts: 9 };
  const joining = { delay: justStarted, parts: 9 };
  const fresh = { delay: justStarted, parts: 0 };

  test('one that has yet to join the others is not, as long as there is another', async () => {
    expect(await asked(joining, good)).toEqual(['r1']);
    expect(await asked(fresh, good)).toEqual(['r1']);
  });

  test('alone it is not asked either: it would tell of what is long over', async () => {
    await expect(asked(joining, null)).rejects.toThrow('has yet to join the replicas that are away');
    await expect(asked(fresh, null)).rejects.toThrow('r0 has yet to join');
    await expect(asked(joining, fresh)).rejects.toThrow('has yet to join');
  });

  test('of tables that have just been made everybody knows as much: nothing', async () => {
    expect(await asked(fresh, fresh)).toEqual(['r0', 'r1']);
  });
});
