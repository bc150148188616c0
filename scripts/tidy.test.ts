import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { assembleHouse, readHouse, type House, type Manifest } from './house.ts';
import { parseSource } from './source-file.ts';
import { findUntidiness } from './tidy.ts';

describe('the house', () => {
  const house = readHouse(join(import.meta.dirname, '..'));

  test('findUntidiness finds nothing in this repository', () => {
    expect(findUntidiness(house).join('\n')).toBe('');
  });

  test('readHouse sees the whole repository: each door, the service, the tests', () => {
    const paths = house.files.map(({ path }) => path);
    expect(paths.length).toBeGreaterThan(30);
    expect(paths).toContain('src/kv/store.ts');
    expect(paths).toContain('scripts/tidy.test.ts');
    expect(paths.filter((path) => path.startsWith('service/src/')).length).toBeGreaterThan(0);
    expect(house.doors.size).toBeGreaterThan(3);
    for (const [door, file] of house.doors) {
      if (file.endsWith('.ts')) expect(paths, `the file behind the door ${door}`).toContain(file);
    }
  });

  test('readHouse sees imports between its files', () => {
    const count = house.files.flatMap(({ imports }) => imports).length;
    expect(count).toBeGreaterThan(50);
  });
});

describe('an import', () => {
  test.for([
    ['of a value', `import { openStore } from '../../engines/embedded/embedded.ts';`],
    ['of a type', `import type { Store } from '../../engines/embedded/embedded.ts';`],
    ['of a type, inline', `let store: import('../../engines/embedded/embedded.ts').Store;`],
    ['at run time', `await import('../../engines/embedded/embedded.ts');`],
    ['at run time, in a template', 'await import(`../../engines/embedded/embedded.ts`);'],
    ['for its effects', `import '../../engines/embedded/embedded.ts';`],
    ['that re-exports names', `export { openStore } from '../../engines/embedded/embedded.ts';`],
    ['that re-exports everything', `export * from '../../engines/embedded/embedded.ts';`],
  ] as const)('%s is held against the table', ([, source]) => {
    expect(find({ 'src/layers/idempotency/idempotency.ts': source })).toEqual([
      expect.stringContaining(
        'imports `engines/embedded`, but ARCHITECTURE.md lets `layers/idempotency` import only kv',
      ),
    ]);
  });

  test.for([
    ['src/kv/store.ts', '../http/http.ts', 'lets `kv` import nothing of ours'],
    ['src/engines/embedded/log.ts', '../postgres/postgres.ts', 'imports `engines/postgres`'],
    ['src/layers/outbox.ts', './ledger.ts', 'imports `layers/ledger`'],
    ['src/http/http.ts', '../testing/testing.ts', 'imports `testing`'],
    ['src/http/http.ts', '../../sim/main.ts', 'imports `sim`'],
    ['src/http/http.ts', '../../bench/main.ts', 'imports `bench`'],
    ['src/http/http.ts', '../../examples/shop.ts', 'imports `examples`'],
    ['src/http/http.test.ts', '../../sim/main.ts', 'imports `sim`'],
    ['src/http/http.ts', '../semel.ts', 'imports `semel.ts`'],
    ['src/http/http.ts', 'semel/embedded', 'inside src write the relative path'],
    ['src/nowhere/nowhere.ts', '../kv/store.ts', 'of which ARCHITECTURE.md has no row'],
    ['src/http/http.ts', 'vitest', 'which users would not have'],
    ['src/http/http.ts', '@scope/name/deep', 'imports @scope/name, which users would not have'],
    ['service/src/main.ts', '../../src/semel.ts', 'imports `semel.ts`'],
    ['service/src/main.ts', '../../src/http/http.ts', 'imports `http`'],
    ['service/src/main.ts', 'semel/http/problems', 'which is no published door; take one of semel, semel/embedded'],
    ['examples/shop.ts', '../src/kv/store.ts', 'imports `kv`'],
  ] as const)('in %s of %s is refused', ([path, specifier, words]) => {
    expect(find({ [path]: `import '${specifier}';` })).toEqual([expect.stringContaining(words)]);
  });

  test.for([
    ['src/kv/store.ts', './errors.ts'],
    ['src/kv/store.ts', 'node:fs'],
    ['src/layers/payments/intent.ts', '../ledger/ledger.ts'],
    ['src/layers/payments.ts', '../kv/store.ts'],
    ['src/semel.ts', './kv/store.ts'],
    ['src/http/fastify.ts', 'fastify'],
    ['src/http/http.test.ts', '../engines/embedded/embedded.ts'],
    ['src/http/http.test.ts', '../testing/testing.ts'],
    ['src/http/http.test.ts', 'semel/embedded'],
    ['src/http/http.test.ts', 'vitest'],
    ['src/http/hono.harness.ts', '@hono/node-server'],
    ['service/src/main.ts', 'semel'],
    ['service/src/main.ts', 'semel/embedded'],
    ['sim/main.ts', '../src/kv/store.ts'],
  ] as const)('in %s of %s is fine', ([path, specifier]) => {
    expect(find({ [path]: `import '${specifier}';` })).toEqual([]);
  });

  test('of a framework is refused where the door of another leads to it, be it of a type', () => {
    const doors = {
      'src/http/fastify.ts': `import './route.ts'; import type { FastifyRequest } from 'fastify';`,
      'src/http/hono.ts': `import './route.ts';`,
      'src/http/route.ts': `import type { Context } from 'hono/types';`,
    };
    expect(find(doors)).toEqual([
      'src/http/route.ts:1 imports hono/types, and semel/fastify leads here; only semel/hono may lead to it',
    ]);
    expect(find({ 'src/http/fastify.test.ts': `import 'fastify'; import 'hono';` })).toEqual([]);
  });

  test('that is computed is refused in src', () => {
    expect(find({ 'src/cli/cli.ts': 'await import(process.argv[2]);' })).toEqual([
      expect.stringContaining('imports what it computes'),
    ]);
  });

  test('that leads back is a cycle, even if only of types', () => {
    const cycle = {
      'src/kv/a.ts': `import type { B } from './b.ts'; export type A = B;`,
      'src/kv/b.ts': `export * from './c.ts';`,
      'src/kv/c.ts': `import { a } from './a.ts';`,
    };
    expect(find(cycle)).toEqual([expect.stringContaining('src/kv/a.ts -> src/kv/b.ts -> src/kv/c.ts -> src/kv/a.ts')]);
  });
});

describe('a word', () => {
  test.for([
    ['Date.now()', 'world.now() or tx.now'],
    ['globalThis.Date.now()', 'world.now() or tx.now'],
    ['new Date()', 'world.now() or tx.now'],
    ['Math.random()', 'world.random()'],
    ['setTimeout(act, 1)', 'world.after()'],
    ['globalThis.setTimeout(act, 1)', 'world.after()'],
    ['setInterval(act, 1)', 'world.after()'],
    ['setImmediate(act)', 'world.defer()'],
    ['performance.now()', 'world.monotonicMs()'],
    ['crypto.randomUUID()', 'world.randomBytes()'],
    ['crypto.getRandomValues(bytes)', 'world.randomBytes()'],
    ['process.hrtime.bigint()', 'world.monotonicMs()'],
    ['AbortSignal.timeout(5)', 'world.after()'],
    ['console.log(1)', 'the library logs nothing'],
    [`import { randomBytes as bytes } from 'node:crypto';`, 'world.randomBytes()'],
    [`import { randomUUID } from 'crypto';`, 'world.randomBytes()'],
    [`import { setTimeout as sleep } from 'node:timers/promises';`, 'world.after()'],
    ['/* TODO: write it */', 'do it'],
    ['// FIXME later', 'do it'],
  ] as const)('like %s is refused in src', ([source, instead]) => {
    const findings = find({ 'src/kv/store.ts': source });
    expect(findings).not.toEqual([]);
    for (const finding of findings) expect(finding).toContain(instead);
  });

  test.for(['world.now()', 'new Date(ms)', 'world.randomBytes(8)', `'Date.now'`, '// Date.now', 'clearTimeout(timer)'])(
    'like %s is fine',
    (source) => {
      expect(find({ 'src/kv/store.ts': source })).toEqual([]);
    },
  );

  test('of the real world is fine in kv/world.ts, in client/environment.ts and outside src', () => {
    const source = 'setTimeout(act, Date.now());';
    const fine = ['src/kv/world.ts', 'src/client/environment.ts', 'sim/main.ts', 'service/src/main.ts'];
    for (const path of fine) expect(find({ [path]: source })).toEqual([]);
    expect(find({ 'src/client/deliver.ts': source })).toHaveLength(2);
  });

  test('that sleeps is refused in a test of src, one that seeds is not', () => {
    const findings = find({ 'src/kv/store.test.ts': 'setTimeout(act, 5);\nMath.random();' });
    expect(findings).toEqual(['src/kv/store.test.ts:1 says setTimeout; move an injected clock, or wait for a signal']);
  });

  test.for([
    'test.only',
    'test.skip',
    'describe.skipIf(true)',
    'it.concurrent.only',
    'test.for([1]).only',
    'suite.todo',
  ])('like %s is refused in a test', (source) => {
    expect(find({ 'service/src/main.test.ts': `${source}('name', body);` })).toEqual([
      expect.stringContaining('every test runs, always'),
    ]);
  });
});

describe('a file', () => {
  test.for([
    'index',
    'utils',
    'types',
    'common',
    'helpers',
    'lib',
    'utils.test',
    'utils.harness',
    'KvStore',
    'kv_store',
  ])('called %s.ts is refused', (name) => {
    expect(find({ [`src/kv/${name}.ts`]: '' })).toEqual([expect.stringContaining('name it after its main export')]);
  });

  test('of more than 400 lines is refused', () => {
    expect(find({ 'src/kv/store.ts': 'a;\n'.repeat(400) })).toEqual([]);
    expect(find({ 'src/kv/store.ts': 'a;\n'.repeat(401) })).toEqual([expect.stringContaining('split it')]);
  });

  test('that does not parse is not passed over', () => {
    expect(() => find({ 'src/kv/store.ts': 'const = ;' })).toThrow('src/kv/store.ts does not parse');
  });
});

test('readImportTable refuses a page without the table, and a row that it cannot read', () => {
  expect(() => assembleHouse([], 'no table here', manifest)).toThrow('no table');
  expect(() => assembleHouse([], `${tableHead}| kv | whatever |\n`, manifest)).toThrow('| kv | whatever |');
});

const tableHead = '| folder | may import |\n| --- | --- |\n';
const architecture = `${tableHead}| \`kv\` | nothing of ours |
| \`engines/*\` | \`kv\` |
| \`layers/*\` | \`kv\` |
| \`layers/payments\` | \`layers/ledger\` |
| \`http\` | \`kv\`, \`layers\` |
| \`client\` | nothing of ours |
| \`cli\` | \`kv\` |
| \`semel.ts\` | \`kv\` |
| \`service\` | \`semel/*\` |
| \`sim\` | \`src\`, \`semel/*\` |
| \`examples\` | \`semel/*\` |
`;

const manifest: Manifest = {
  name: 'semel',
  exports: {
    '.': { 'semel-source': './src/semel.ts', default: './dist/semel.js' },
    './embedded': { 'semel-source': './src/engines/embedded/embedded.ts' },
    './fastify': { 'semel-source': './src/http/fastify.ts' },
    './hono': { 'semel-source': './src/http/hono.ts' },
  },
  peerDependencies: { fastify: '^5.0.0', hono: '^4.0.0' },
};

/** What the rules find in a house of these files. */
function find(sources: Readonly<Record<string, string>>): readonly string[] {
  const files = Object.entries(sources).map(([path, text]) => parseSource(path, text));
  const house: House = assembleHouse(files, architecture, manifest);
  return findUntidiness(house);
}
