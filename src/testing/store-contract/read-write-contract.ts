import { describe, expect, test } from 'vitest';
import { InvalidArgumentError } from '../../kv/errors.ts';
import type { Key } from '../../kv/key.ts';
import type { Transaction } from '../../kv/store.ts';
import type { Value } from '../../kv/value.ts';
import { begin } from './session.ts';
import { faultOf, look, type OpenStore, put } from './shorthand.ts';

const key = ['k'];
const other = ['other'];

export function readWriteContract(open: OpenStore): void {
  describe('get and set', () => {
    ownWrites(open);
    committedWrites(open);
    values(open);
    badInput(open);
  });
}

function ownWrites(open: OpenStore): void {
  test('get answers undefined for a key that is absent', async () => {
    const store = await open();
    expect(await store.transact((tx) => tx.get(key))).toBeUndefined();
  });

  test('get sees what its own transaction set and deleted, before the commit', async () => {
    const store = await open();
    await put(store, other, 'before');
    await store.transact(async (tx) => {
      tx.set(key, 1);
      tx.set(key, 2);
      expect(await tx.get(key)).toBe(2);
      tx.delete(other);
      expect(await tx.get(other)).toBeUndefined();
      tx.set(other, 'after');
      expect(await tx.get(other)).toBe('after');
    });
    expect([await look(store, key), await look(store, other)]).toEqual([2, 'after']);
  });

  test('getMany answers in the order of the keys, own writes among them', async () => {
    const store = await open();
    await put(store, ['a'], 1);
    await store.transact(async (tx) => {
      tx.set(['b'], 2);
      expect(await tx.getMany([['b'], ['absent'], ['a'], ['b']])).toEqual([2, undefined, 1, 2]);
      expect(await tx.getMany([])).toEqual([]);
    });
  });

  test('getEntry answers key, value and version, and undefined for a key that is absent', async () => {
    const store = await open();
    await put(store, key, 'value');
    const entry = await store.transact((tx) => tx.getEntry(key));
    expect(entry).toEqual({ key, value: 'value', version: expect.any(String) });
    expect(await store.transact((tx) => tx.getEntry(other))).toBeUndefined();
  });

  test('getEntry has no version for what its own transaction wrote', async () => {
    const store = await open();
    await put(store, key, 'before');
    await store.transact(async (tx) => {
      tx.set(key, 'after');
      expect(await tx.getEntry(key)).toEqual({ key, value: 'after', version: undefined });
      await tx.add(other, 1);
      expect(await tx.getEntry(other)).toEqual({ key: other, value: 1, version: undefined });
    });
  });
}

function committedWrites(open: OpenStore): void {
  test('set is invisible to others until the commit, then visible to all that begin after it', async () => {
    const store = await open();
    const writer = await begin(store);
    writer.tx.set(key, 1);
    expect(await look(store, key)).toBeUndefined();
    expect(await store.transact((tx) => tx.get(key))).toBeUndefined();
    await writer.commit();
    expect(await look(store, key)).toBe(1);
    expect(await store.transact((tx) => tx.get(key))).toBe(1);
  });

  test('set leaves every other key alone, one that begins with it included', async () => {
    const store = await open();
    await put(store, ['k', 'inner'], 'inner');
    await put(store, ['k\0'], 'neighbour');
    await put(store, key, 'outer');
    await store.transact((tx) => tx.delete(key));
    expect(await store.read((tx) => tx.getMany([key, ['k', 'inner'], ['k\0']]))).toEqual([
      undefined,
      'inner',
      'neighbour',
    ]);
  });

  test('delete removes a key, and does nothing to one that is absent', async () => {
    const store = await open();
    await put(store, key, 1);
    await store.transact((tx) => {
      tx.delete(key);
      tx.delete(other);
    });
    expect(await store.read((tx) => tx.getMany([key, other]))).toEqual([undefined, undefined]);
  });

  test('delete with a set after it leaves the value of the set', async () => {
    const store = await open();
    await put(store, key, 1);
    await store.transact((tx) => {
      tx.delete(key);
      tx.set(key, 2);
    });
    expect(await look(store, key)).toBe(2);
  });
}

function values(open: OpenStore): void {
  const all: Record<string, Value> = {
    nothing: null,
    no: false,
    zero: 0,
    negativeZero: -0,
    smallest: Number.MIN_VALUE,
    largest: Number.MAX_VALUE,
    empty: '',
    text: 'a\0😀\ufeff',
    bigint: -(2n ** 100n),
    bytes: new Uint8Array([0, 1, 255]),
    list: [[], {}, [null, [1n]]],
    members: { b: 1, a: { 0: 'zero' } },
  };

  test.each(Object.entries(all))('get gives back what was set: %s', async (_, value) => {
    const store = await open();
    await put(store, key, value);
    expect(await look(store, key)).toStrictEqual(value);
    expect(await store.transact((tx) => tx.get(key))).toStrictEqual(value);
  });

  test('get tells keys apart by type', async () => {
    const store = await open();
    const keys: Key[] = [['1'], [1], [1n], [true], [new Uint8Array([1])], ['1', '']];
    await store.transact((tx) => keys.forEach((each, index) => tx.set(each, index)));
    expect(await store.read((tx) => tx.getMany(keys))).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('get hands out frozen values', async () => {
    const store = await open();
    await put(store, key, { list: [{}] });
    const value = await look(store, key);
    expect(value).toSatisfy(Object.isFrozen);
    expect(value).toHaveProperty('list.0', expect.toSatisfy(Object.isFrozen));
  });

  test('set takes the value as it is at the call: what the caller does to it later has no effect', async () => {
    const store = await open();
    const bytes = new Uint8Array([1]);
    const value = { list: [1], bytes };
    const keyBytes = new Uint8Array([1]);
    const given = [keyBytes];
    await store.transact(async (tx) => {
      tx.set(given, value);
      value.list.push(2);
      bytes[0] = 9;
      keyBytes[0] = 9;
      expect(await tx.get([new Uint8Array([1])])).toEqual({ list: [1], bytes: new Uint8Array([1]) });
    });
    expect(await look(store, [new Uint8Array([1])])).toEqual({ list: [1], bytes: new Uint8Array([1]) });
  });

  test('get hands out bytes of the reader’s own', async () => {
    const store = await open();
    await put(store, key, [new Uint8Array([1])]);
    const overwrite = async (tx: Pick<Transaction, 'get'>): Promise<void> => {
      const value = await tx.get(key);
      const bytes = Array.isArray(value) ? value[0] : undefined;
      if (bytes instanceof Uint8Array) bytes[0] = 9;
    };
    await store.read(overwrite);
    await store.transact(overwrite);
    expect(await look(store, key)).toEqual([new Uint8Array([1])]);
  });
}

function badInput(open: OpenStore): void {
  const uses: [string, (tx: Transaction) => unknown][] = [
    ['get of a key without parts', (tx) => tx.get([])],
    ['getMany of a key with NaN in it', (tx) => tx.getMany([key, [Number.NaN]])],
    ['getEntry of a key with a lone surrogate in it', (tx) => tx.getEntry(['\ud800'])],
    ['set of a value with NaN in it', (tx) => tx.set(key, { n: Number.NaN })],
    ['set of a value with a lone surrogate in it', (tx) => tx.set(key, ['\ud800'])],
    ['set of a key without parts', (tx) => tx.set([], 1)],
    ['delete of a key without parts', (tx) => tx.delete([])],
    ['add to a key without parts', (tx) => tx.add([], 1)],
    ['lock of a key without parts', (tx) => tx.lock([])],
  ];

  test.each(uses)('%s is refused with InvalidArgumentError and changes nothing', async (_, use) => {
    const store = await open();
    await put(store, key, 'before');
    await store.transact(async (tx) => {
      const fault = await faultOf(InvalidArgumentError, () => use(tx));
      expect(fault.effect).toBe('did-not-happen');
      expect(await tx.get(key)).toBe('before');
      tx.set(other, 'goes on');
    });
    expect(await store.read((tx) => tx.getMany([key, other]))).toEqual(['before', 'goes on']);
  });
}
