import { describe, expect, test } from 'vitest';
import { ConflictError, InvalidArgumentError } from '../../kv/errors.ts';
import type { Key, Range } from '../../kv/key.ts';
import type { ScanOptions, Store, Transaction } from '../../kv/store.ts';
import type { Value } from '../../kv/value.ts';
import { begin, commits } from './session.ts';
import { cross, faultOf, keysOf, type OpenStore, pairsOf, put } from './shorthand.ts';

const rows = { prefix: ['row'] };

export function scanContract(open: OpenStore): void {
  describe('scan', () => {
    ranges(open);
    ownWrites(open);
    snapshots(open);
    phantoms(open);
  });
}

/** A store with the rows `letters`, each with its letter as value. */
async function openRows(open: OpenStore, letters: string): Promise<Store> {
  const store = await open();
  await store.transact((tx) => {
    for (const letter of letters) tx.set(['row', letter], letter);
  });
  return store;
}

async function lettersOf(tx: Pick<Transaction, 'scan'>, range: Range, options?: ScanOptions): Promise<string> {
  let letters = '';
  for await (const { key } of tx.scan(range, options)) letters += String(key[1]);
  return letters;
}

function ranges(open: OpenStore): void {
  test('scan yields keys in order: part by part, a key before those that it begins, and type by type', async () => {
    const store = await open();
    const ordered: Key[] = [
      [new Uint8Array([0])],
      [new Uint8Array([255])],
      [''],
      ['a'],
      ['a', new Uint8Array()],
      ['a', 1n],
      ['a\0'],
      ['b'],
      ['\uffff'],
      ['😀'],
      [-(2n ** 90n)],
      [-256n],
      [-255n],
      [0n],
      [9n],
      [10n],
      [2n ** 90n],
      [-1.5],
      [-0.5],
      [0],
      [0.5],
      [9],
      [10],
      [false],
      [true],
    ];
    await store.transact((tx) => ordered.toReversed().forEach((key, index) => tx.set(key, index)));
    expect(await store.read((tx) => keysOf(tx, {}))).toEqual(ordered);
    expect(await store.transact((tx) => keysOf(tx, {}))).toEqual(ordered);
    expect(await store.transact((tx) => keysOf(tx, {}, { reverse: true }))).toEqual(ordered.toReversed());
  });

  test('scan of a prefix yields the key that consists of it and all that continue it, and no neighbour', async () => {
    const store = await open();
    const inside: Key[] = [['a'], ['a', 'x'], ['a', 1, 2]];
    const outside: Key[] = [['a\0'], ['ab'], ['b'], [new Uint8Array([0x61])]];
    await store.transact((tx) => [...inside, ...outside].forEach((key) => tx.set(key, true)));
    expect(await store.read((tx) => keysOf(tx, { prefix: ['a'] }))).toEqual(inside);
  });

  const cases: [string, Range, ScanOptions, string][] = [
    ['everything', {}, {}, 'abcdef'],
    ['a prefix', rows, {}, 'abcdef'],
    ['a prefix that nothing has', { prefix: ['none'] }, {}, ''],
    ['from a start on, inclusive', { start: ['row', 'c'] }, {}, 'cdef'],
    ['up to an end, exclusive', { end: ['row', 'c'] }, {}, 'ab'],
    ['from start to end', { start: ['row', 'b'], end: ['row', 'e'] }, {}, 'bcd'],
    ['bounds between the keys', { start: ['row', 'b5'], end: ['row', 'd5'] }, {}, 'cd'],
    ['bounds beyond the prefix', { ...rows, start: ['a'], end: ['z'] }, {}, 'abcdef'],
    ['all three', { ...rows, start: ['row', 'b'], end: ['row', 'd'] }, {}, 'bc'],
    ['a start behind the prefix', { ...rows, start: ['s'] }, {}, ''],
    ['an end before the start', { start: ['row', 'd'], end: ['row', 'b'] }, {}, ''],
    ['an end at the start', { start: ['row', 'd'], end: ['row', 'd'] }, {}, ''],
    ['in reverse', rows, { reverse: true }, 'fedcba'],
    ['with a limit', rows, { limit: 2 }, 'ab'],
    ['with a limit beyond its end', rows, { limit: 100 }, 'abcdef'],
    ['in reverse with a limit', rows, { reverse: true, limit: 2 }, 'fe'],
    ['from start to end in reverse', { start: ['row', 'b'], end: ['row', 'e'] }, { reverse: true, limit: 2 }, 'dc'],
  ];

  test.each(cases)('scan yields %s', async (_, range, options, letters) => {
    const store = await openRows(open, 'abcdef');
    expect(await store.read((tx) => lettersOf(tx, range, options))).toBe(letters);
    expect(await store.transact((tx) => lettersOf(tx, range, options))).toBe(letters);
  });

  test.each([0, -1, 1.5, Number.NaN])('scan refuses the limit %d', async (limit) => {
    const store = await openRows(open, 'ab');
    await faultOf(
      InvalidArgumentError,
      store.transact((tx) => keysOf(tx, rows, { limit })),
    );
    await faultOf(
      InvalidArgumentError,
      store.read((tx) => keysOf(tx, rows, { limit })),
    );
  });

  test('scan refuses a range with a bad key in it', async () => {
    const store = await open();
    await faultOf(
      InvalidArgumentError,
      store.transact((tx) => keysOf(tx, { start: [Number.NaN] })),
    );
  });

  test('scan yields with each entry the version of its own write', async () => {
    const store = await open();
    const versions: string[] = [];
    for (const letter of 'ab') {
      await store.transact((tx) => {
        versions.push(tx.version);
        tx.set(['row', letter], letter);
      });
    }
    const found = await store.read(async (tx) => {
      const entries = [];
      for await (const entry of tx.scan(rows)) entries.push(entry);
      return entries;
    });
    expect(found).toEqual([
      { key: ['row', 'a'], value: 'a', version: versions[0] },
      { key: ['row', 'b'], value: 'b', version: versions[1] },
    ]);
  });
}

function ownWrites(open: OpenStore): void {
  test('scan sees its own transaction’s writes as they were when it began', async () => {
    const store = await openRows(open, 'abcd');
    await store.transact(async (tx) => {
      tx.set(['row', 'c'], 'before');
      const pairs: [unknown, Value][] = [];
      for await (const { key, value } of tx.scan(rows)) {
        if (pairs.length === 0) {
          tx.set(['row', 'b'], 'during');
          tx.set(['row', 'c'], 'during');
          tx.delete(['row', 'd']);
          tx.set(['row', 'e'], 'during');
        }
        pairs.push([key[1], value]);
      }
      expect(pairs).toEqual([
        ['a', 'a'],
        ['b', 'b'],
        ['c', 'before'],
        ['d', 'd'],
      ]);
      expect(await lettersOf(tx, rows)).toBe('abce');
    });
  });

  const write = async (tx: Transaction): Promise<void> => {
    tx.set(['row', 'a0'], 'new');
    tx.set(['row', 'b'], 'changed');
    tx.delete(['row', 'c']);
    tx.delete(['row', 'absent']);
    await tx.add(['row', 'n'], 3);
    await tx.add(['row', 'm'], 1);
    tx.set(['other'], 'out of range');
  };
  const expected = [
    [['row', 'a'], 'a'],
    [['row', 'a0'], 'new'],
    [['row', 'b'], 'changed'],
    [['row', 'd'], 'd'],
    [['row', 'm'], 1],
    [['row', 'n'], 10],
  ];

  test.each<[string, ScanOptions, (pairs: unknown[]) => unknown[]]>([
    ['', {}, (pairs) => pairs],
    [' in reverse', { reverse: true }, (pairs) => pairs.toReversed()],
    [' up to a limit', { limit: 3 }, (pairs) => pairs.slice(0, 3)],
    [' in reverse up to a limit', { reverse: true, limit: 3 }, (pairs) => pairs.toReversed().slice(0, 3)],
  ])('scan merges what its own transaction set, deleted and added%s', async (_, options, arrange) => {
    const store = await openRows(open, 'abcd');
    await put(store, ['row', 'n'], 7);
    await store.transact(async (tx) => {
      await write(tx);
      expect(await pairsOf(tx, rows, options)).toEqual(arrange(expected));
    });
    expect(await store.read((tx) => pairsOf(tx, rows, options))).toEqual(arrange(expected));
  });

  test('scan has no version for what its own transaction wrote', async () => {
    const store = await openRows(open, 'a');
    await store.transact(async (tx) => {
      tx.set(['row', 'b'], 'b');
      const versions = [];
      for await (const { version } of tx.scan(rows)) versions.push(version);
      expect(versions).toEqual([expect.any(String), undefined]);
    });
  });
}

function snapshots(open: OpenStore): void {
  test('scan stays on its snapshot while others commit between its steps', async () => {
    const store = await openRows(open, 'abd');
    const seen = await store.read(async (tx) => {
      let letters = '';
      for await (const { key } of tx.scan(rows)) {
        if (letters === '') {
          await store.transact((other) => {
            other.delete(['row', 'b']);
            other.set(['row', 'c'], 'c');
            other.set(['row', 'd'], 'changed');
          });
        }
        letters += String(key[1]);
      }
      return letters;
    });
    expect(seen).toBe('abd');
    expect(await store.read((tx) => lettersOf(tx, rows))).toBe('acd');
  });

  test('scan in a transaction stays on its snapshot too', async () => {
    const store = await openRows(open, 'abd');
    const session = await begin(store);
    const { tx } = session;
    const steps = tx.scan(rows)[Symbol.asyncIterator]();
    expect((await steps.next()).value).toHaveProperty('value', 'a');
    await put(store, ['row', 'c'], 'c');
    await store.transact((other) => other.delete(['row', 'b']));
    expect((await steps.next()).value).toHaveProperty('value', 'b');
    expect((await steps.next()).value).toHaveProperty('value', 'd');
    expect((await steps.next()).done).toBe(true);
    await session.rollback();
  });

  test('scan runs beside another scan of the same transaction', async () => {
    const store = await openRows(open, 'ab');
    await store.transact(async (tx) => {
      let pairs = '';
      for await (const outer of tx.scan(rows)) {
        for await (const inner of tx.scan(rows, { reverse: true }))
          pairs += `${String(outer.key[1])}${String(inner.key[1])} `;
      }
      expect(pairs).toBe('ab aa bb ba ');
    });
  });
}

function phantoms(open: OpenStore): void {
  /** Whether a transaction that read by `read` and wrote elsewhere commits although `letter` was set meanwhile. */
  async function survives(
    read: (tx: Transaction) => Promise<unknown>,
    letter: string,
    expected: boolean,
  ): Promise<boolean> {
    const store = await openRows(open, 'bdf');
    const reader = await begin(store);
    await read(reader.tx);
    if (expected) await put(store, ['row', letter], 'competitor');
    else await cross(store, ['elsewhere'], ['row', letter], 'competitor');
    reader.tx.set(['elsewhere'], true);
    return commits(reader);
  }

  const whole = (tx: Transaction): Promise<unknown> => keysOf(tx, rows);
  const firstTwo = (tx: Transaction): Promise<unknown> => keysOf(tx, rows, { limit: 2 });
  const lastTwo = (tx: Transaction): Promise<unknown> => keysOf(tx, rows, { limit: 2, reverse: true });
  const firstThenBreak = async (tx: Transaction): Promise<void> => {
    for await (const entry of tx.scan(rows)) {
      expect(entry.value).toBe('b');
      break;
    }
  };
  const stepOnce = async (tx: Transaction): Promise<void> => {
    await tx.scan(rows)[Symbol.asyncIterator]().next();
  };

  const cases: [string, (tx: Transaction) => Promise<unknown>, string, boolean][] = [
    ['of everything conflicts with a key set before the first', whole, 'a', false],
    ['of everything conflicts with a key set between two', whole, 'c', false],
    ['of everything conflicts with a key set behind the last', whole, 'z', false],
    ['of everything conflicts with a key that was changed', whole, 'd', false],
    ['with a limit conflicts with a key set before the first', firstTwo, 'a', false],
    ['with a limit conflicts with a key set between two that it yielded', firstTwo, 'c', false],
    ['with a limit conflicts with its last key', firstTwo, 'd', false],
    ['with a limit does not conflict with a key set behind its last', firstTwo, 'e', true],
    ['with a limit does not conflict with a later key', firstTwo, 'f', true],
    ['in reverse with a limit conflicts with a key set behind its first', lastTwo, 'z', false],
    ['in reverse with a limit conflicts with a key set between two that it yielded', lastTwo, 'e', false],
    ['in reverse with a limit does not conflict with a key set before its last', lastTwo, 'c', true],
    ['left early conflicts with what it yielded', firstThenBreak, 'b', false],
    ['left early conflicts with a key set before that', firstThenBreak, 'a', false],
    ['left early does not conflict with what it did not reach', firstThenBreak, 'c', true],
    ['not finished does not conflict with what it did not reach', stepOnce, 'c', true],
  ];

  test.each(cases)('scan %s', async (_, read, letter, expected) => {
    expect(await survives(read, letter, expected)).toBe(expected);
  });

  test('scan conflicts with a deletion of what it yielded, and the conflict names the key', async () => {
    const store = await openRows(open, 'abc');
    const reader = await begin(store);
    await keysOf(reader.tx, rows);
    await store.transact(async (tx) => {
      await tx.get(['elsewhere']);
      tx.delete(['row', 'b']);
    });
    reader.tx.set(['elsewhere'], true);
    const fault = await faultOf(ConflictError, reader.commit());
    expect(fault.keys).toEqual([['row', 'b']]);
  });

  test('scan of an empty range conflicts with the first key that is set in it', async () => {
    const store = await open();
    const reader = await begin(store);
    expect(await keysOf(reader.tx, rows)).toEqual([]);
    await cross(store, ['elsewhere'], ['row', 'a'], 'a');
    reader.tx.set(['elsewhere'], true);
    const fault = await faultOf(ConflictError, reader.commit());
    expect(fault.keys).toEqual([['row', 'a']]);
  });
}
