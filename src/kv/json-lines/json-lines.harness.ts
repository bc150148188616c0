import * as fc from 'fast-check';
import { exportLines, importLines, type ImportResult, type Key, type Store, type Value } from 'semel';
import { openStore } from 'semel/embedded';
import { onTestFinished } from 'vitest';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }).filter((string) => string.isWellFormed()),
  fc.constantFrom(
    '',
    '$',
    '$$',
    '$bigint',
    '$bytes',
    '$number',
    '__proto__',
    'constructor',
    '\u2028',
    '\r\n',
    '\0',
    '😀',
  ),
);
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.constantFrom(-0, 0, 5e-324),
);
const bigint = fc.oneof(fc.bigInt({ min: -3n, max: 3n }), fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }));
const bytes = fc.uint8Array({ maxLength: 9 });
const part = fc.oneof(text, number, bigint, bytes, fc.boolean());

export const anyKey: fc.Arbitrary<Key> = fc.array(part, { minLength: 1, maxLength: 3 });
export const anyValue: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(part, fc.constant(null)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(text, tie('value'), { maxKeys: 4 }),
  ),
})).value;
export const anyEntries = fc.array(fc.tuple(anyKey, anyValue), { maxLength: 12 });

export async function storeOf(entries: readonly (readonly [Key, Value])[]): Promise<Store> {
  const store = await openStore();
  onTestFinished(() => store.close());
  await store.transact((tx) => entries.forEach(([key, value]) => tx.set(key, value)));
  return store;
}

/** What a store holds, without versions. */
export function contentOf(store: Store): Promise<readonly (readonly [Key, Value])[]> {
  return store.read((tx) => Array.fromAsync(tx.scan({}), ({ key, value }) => [key, value] as const));
}

export async function exportedFile(store: Store, options?: Parameters<typeof exportLines>[1]): Promise<string> {
  const lines = await Array.fromAsync(exportLines(store, options));
  return lines.map((line) => `${line}\n`).join('');
}

export function linesOfFile(file: string): readonly string[] {
  return file.replace(/\n$/, '').split('\n');
}

export async function importedStore(lines: Iterable<string>): Promise<{ store: Store; result: ImportResult }> {
  const store = await storeOf([]);
  return { store, result: await importLines(store, lines) };
}
