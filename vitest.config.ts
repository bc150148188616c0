import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// Tests import by the package's own name; this condition points its doors at the source.
const conditions = ['semel-source'];

const tests = '{src,service/src,sim,scripts,examples,bench}/**/*.test.ts';
const slowTests = '**/*.slow.test.ts';

/** `unit` is what `npm run check` runs; `slow` tests start processes, kill them, or search long. `npm test` runs both. */
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    execArgv: ['--conditions=semel-source'],
    // Most of the time a slow test waits for the processes that it has started.
    maxWorkers: availableParallelism() + 1,
    // As Node does it: a CommonJS default import is module.exports.
    deps: { interopDefault: false },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [tests],
          exclude: [slowTests, '**/node_modules/**'],
          // Every test owns its store, so files may share their modules: that halves the time.
          isolate: false,
          // Ten times what the longest takes on a busy machine: it only has to end a test that hangs.
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'slow',
          include: [slowTests],
          exclude: ['**/node_modules/**'],
          testTimeout: 300_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
