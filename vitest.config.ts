import { defineConfig } from 'vitest/config';

/** Tests without real processes, kernels or disks of their own, the simulation among them: beside each other. */
const pure = [
  'test/{alarms,alerter,api,core,forecast,hosts,mapping,sla,sources,statistics,wire}/**/*.test.ts',
  'test/store/{clickhouse-replicas,influxdb-versions,mean-plan,hour-plan,memory,group-commit}.test.ts',
  'test/simulation.test.ts',
];

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'pure', include: pure, sequence: { groupOrder: 0 } } },
      {
        extends: true,
        test: {
          name: 'real',
          globalSetup: 'test/global-setup.ts',
          include: ['test/**/*.test.ts'],
          exclude: pure,
          // They measure real processes, and must not be each other's load.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
