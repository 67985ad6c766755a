import { defineConfig } from 'vitest/config';

/** unit: parts and transcripts. dist: the built files as processes. real: servers and platforms that are installed. */
export default defineConfig({
  test: {
    passWithNoTests: false,
    // By default one worker less than there are cores: on two that is one after the other.
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'test/*.test.ts',
            'test/reporters/*.test.ts',
            'test/sandbox/*.test.ts',
            'test/sasl/*.test.ts',
            'test/send/*.test.ts',
            'test/credentials/*.test.ts',
            'test/deliver/*.test.ts',
            'test/directory/*.test.ts',
          ],
          testTimeout: 30_000,
        },
      },
      { test: { name: 'dist', include: ['test/dist/*.test.ts', 'test/faults/*.test.ts'], testTimeout: 30_000 } },
      {
        test: {
          name: 'real',
          include: ['test/real/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
