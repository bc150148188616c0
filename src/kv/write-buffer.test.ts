import { expect, test } from 'vitest';
import { limits } from './limits.ts';
import { storeValue } from './value.ts';
import { WriteBuffer } from './write-buffer.ts';

const set = (key: string, value: string) => ({ kind: 'set', key, stored: storeValue(value) }) as const;

test('WriteBuffer has one write a key, the last one, in the order in which the keys came, however many there are', () => {
  const buffer = new WriteBuffer();
  const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`);
  // Each key's first write, some keys again while the list is short, and all again when it is long.
  for (const key of keys) {
    buffer.put(set(key, 'first'));
    buffer.put(set(keys[0] ?? '', 'again'));
  }
  for (const key of keys) buffer.put(set(key, `last of ${key}`));
  expect(buffer.own().map(({ key }) => key)).toEqual(keys);
  expect(buffer.size).toBe(keys.length);
  for (const key of keys) expect(buffer.get(key)).toEqual(set(key, `last of ${key}`));
});

test('WriteBuffer counts what its nested scopes wrote towards its bytes', () => {
  const buffer = new WriteBuffer();
  const value = 'x'.repeat(1_000_000);
  const fits = Math.floor(limits.transactionBytesMax / 1_000_010);
  for (let index = 0; index < fits; index++) {
    const inner = new WriteBuffer(buffer);
    inner.put(set(String(index), value));
    inner.join();
  }
  expect(() => new WriteBuffer(buffer).put(set('one more', value))).toThrow('transactionBytesMax');
});
