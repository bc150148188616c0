import { defineConfig } from 'vitest/config';

// Tests import by the package's own name; this condition points its doors at the source.
const conditions = ['semel-source'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['{src,service,sim,scripts,examples}/**/*.test.ts'],
    execArgv: ['--conditions=semel-source'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
