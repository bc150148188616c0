import { Ajv } from 'ajv';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { optionNames, parseCheckWords } from './check-arguments.ts';
import { configNames, overrideByWords, readConfig } from './config-file.ts';
import { readRequest, requestMembers } from './request-file.ts';

const schema = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'semel-check.schema.json'), 'utf8'),
);
const satisfiesSchema = new Ajv({ strict: true, strictTypes: false, strictRequired: false }).compile(schema);
const path = '/shop/semel-check.json';
const read = (document: unknown, variables = {}) => readConfig(JSON.stringify(document), path, variables);

/** Whether the reader takes it, the request in it included. */
async function isRead(document: unknown): Promise<boolean> {
  try {
    const { request } = read(document);
    if (request !== undefined) await readRequest(request, path);
    return true;
  } catch {
    return false;
  }
}

describe('the schema of semel-check.json', () => {
  test('has the members that the reader has, and those are the options of the command line', () => {
    expect(Object.keys(schema.properties)).toEqual(configNames);
    expect(Object.keys(schema.definitions.request.properties)).toEqual(requestMembers);
    const elsewhere = ['config', 'help'];
    expect(configNames.filter((name) => name !== '$schema' && name !== 'url').toSorted()).toEqual(
      optionNames.filter((name) => !elsewhere.includes(name)).toSorted(),
    );
  });

  test.for([
    [{}, true],
    [{ $schema: 'here', url: 'http://localhost/', yes: true, only: ['a'], seed: 0, patience: 0.5 }, true],
    [{ header: { 'X-A': 'b' }, request: { body: null, headers: { a: 'b' }, method: 'PUT' } }, true],
    [{ header: { 'X A': 'b' } }, false],
    [{ header: { 'X-A': 1 } }, false],
    [{ request: { body: 1, bodyFile: 'b' } }, false],
    [{ request: { otherBodyFile: 1 } }, false],
    [{ request: { otherQuery: 'a=b', otherEndpoint: { url: '/b', body: 1 }, failing: [{ method: 'PUT' }] } }, true],
    [{ request: { failOnce: { headers: { a: 'b' } } } }, true],
    [{ request: { failOnce: {} } }, false],
    [{ request: { failing: [{ body: 1, bodyFile: 'b' }] } }, false],
    [{ request: { otherEndpoint: { path: '/b' } } }, false],
    [{ urls: [] }, false],
    [{ rate: 0 }, false],
    [{ rate: 1.5 }, false],
    [{ seed: 4_294_967_296 }, false],
    [{ quiet: 0 }, false],
    [[], false],
    [null, false],
  ] as const)('and the reader agree on %j', async ([document, isGood]) => {
    expect(satisfiesSchema(document)).toBe(isGood);
    expect(await isRead(document)).toBe(isGood);
  });

  test('and the reader agree on whatever is in a member', async () => {
    const value = fc.oneof(
      fc.constantFrom<unknown>(null, '', 'x', true, {}, [], ['a'], [1], { a: 'b' }, { 'a b': 'c' }, { a: 1 }),
      fc.constantFrom(-1, 0, 0.0001, 0.001, 0.5, 1, 99_999, 100_000, 2 ** 32 - 1, 2 ** 32, 1e21),
    );
    const document = fc.oneof(
      fc.dictionary(fc.constantFrom(...configNames, 'other', 'toString'), value, { maxKeys: 3 }),
      fc.record({
        request: fc.dictionary(fc.constantFrom(...requestMembers.filter((name) => !name.endsWith('File')), 'x'), value),
      }),
    );
    await fc.assert(
      fc.asyncProperty(document, async (given) => {
        expect(await isRead(given)).toBe(satisfiesSchema(given));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('readConfig', () => {
  test.for([
    [{ rates: 5 }, 'has rates; it can have $schema, url, request, effect, path'],
    [{ rate: 'many' }, `"rate" of ${path} is "many"; a whole number from 1 to 4294967295 is expected`],
    [{ only: 'fresh-key' }, '"only" of /shop/semel-check.json is "fresh-key"; a list of names is expected'],
    [{ quiet: -1 }, 'is -1; a number of seconds from 0.001 to 99999 is expected'],
    [
      { header: { Authorization: 1_234 } },
      'is something else; an object of strings, by the names of fields is expected',
    ],
    [{ header: { Authorization: '${SHOP_TOKEN}' } }, '"header" of /shop/semel-check.json needs SHOP_TOKEN'],
  ] as const)('tells what is wrong with %j', ([document, reason]) => {
    expect(() => read(document)).toThrow(reason);
  });

  test('refuses what is no JSON', () => {
    expect(() => readConfig('{,}', path, {})).toThrow('/shop/semel-check.json is not JSON');
  });

  test('finds files from where it is', () => {
    const files = {
      request: 'tea.json',
      json: 'out/a.json',
      junit: '/b.xml',
      database: 'sqlite:shop.db',
      pid: 'run/pid',
    };
    const { options } = read(files);
    expect(read({ pid: '7' }).options.pid).toBe('7');
    expect(options).toEqual({
      pid: '/shop/run/pid',
      request: '/shop/tea.json',
      json: '/shop/out/a.json',
      junit: '/b.xml',
      database: 'sqlite:/shop/shop.db',
    });
  });

  test('takes secrets from the environment', () => {
    const { options, request } = read(
      {
        header: { Authorization: 'Bearer ${TOKEN}', Price: '$5 {TOKEN} $TOKEN' },
        database: 'postgres://ann:${TOKEN}@localhost/shop',
        request: {
          headers: { 'X-Key': '${TOKEN}' },
          body: '${TOKEN}',
          otherEndpoint: { headers: { 'X-Key': '${TOKEN}' } },
          failing: [{ headers: { 'X-Key': '${TOKEN}' }, body: { headers: { a: '${TOKEN}' } } }],
        },
      },
      { TOKEN: 'sesame' },
    );
    expect(options.header).toEqual(['Authorization: Bearer sesame', 'Price: $5 {TOKEN} $TOKEN']);
    expect(options.database).toBe('postgres://ann:sesame@localhost/shop');
    expect(request).toEqual({
      headers: { 'X-Key': 'sesame' },
      body: '${TOKEN}',
      otherEndpoint: { headers: { 'X-Key': 'sesame' } },
      failing: [{ headers: { 'X-Key': 'sesame' }, body: { headers: { a: '${TOKEN}' } } }],
    });
  });
});

describe('overrideByWords', () => {
  const override = (document: unknown, ...words: readonly string[]) =>
    overrideByWords(read(document), parseCheckWords(words));

  test('lets the words win, of headers each by its name', () => {
    const config = { url: 'http://a/', rate: 5, seed: 1, only: ['a', 'b'], header: { A: '1', B: '2' } };
    const words = ['http://b/', '--seed', '2', '--only', 'c', '--header', 'a: 3'];
    expect(override(config, ...words)).toEqual({
      url: 'http://b/',
      options: { rate: '5', seed: '2', only: ['c'], header: ['A: 1', 'B: 2', 'a: 3'] },
    });
  });

  test.for([
    [['--effect-sql', 'SELECT 1'], { 'effect-sql': 'SELECT 1' }],
    [['--effect', 'http://c/'], { effect: 'http://c/', path: '$', 'effect-header': ['A: 1'] }],
    [['--effect-webhook', '0'], { 'effect-webhook': '0' }],
    [[], { effect: 'http://b/', path: '$', 'effect-header': ['A: 1'] }],
  ] as const)('with %j takes one count', ([words, options]) => {
    const config = { effect: 'http://b/', path: '$', 'effect-header': { A: '1' } };
    expect(override(config, ...words).options).toEqual(options);
  });
});
