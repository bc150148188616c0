import { describe, expect, test } from 'vitest';
import {
  AbortedError,
  CommitUnknownError,
  ConflictError,
  DamagedError,
  DeadlineExceededError,
  DeadlockError,
  DirectoryLockedError,
  describe as inWords,
  InvalidArgumentError,
  LimitExceededError,
  LockTimeoutError,
  PoisonedError,
  type SemelError,
  StoreClosedError,
  TransactionClosedError,
} from './errors.ts';

const faults: readonly SemelError[] = [
  new AbortedError(),
  new CommitUnknownError('the disk failed'),
  new ConflictError([['account', 1n]]),
  new DamagedError('log/3', 4_096, 'the checksum does not match'),
  new DeadlineExceededError(50),
  new DeadlockError([
    { transaction: 'transfer', waitsFor: '["b"]' },
    { transaction: '7', waitsFor: '["a"]' },
  ]),
  new DirectoryLockedError('./data', 'process 42'),
  new InvalidArgumentError('limit', 0, 'a whole number from 1'),
  new LimitExceededError('keyBytesMax', 4_096, 5_000),
  new LockTimeoutError('["a"]', 10),
  new PoisonedError({ cause: new Error('the sync failed') }),
  new StoreClosedError(),
  new TransactionClosedError('its attempt has ended'),
];

describe('SemelError', () => {
  test('SemelError has a code that no other fault has, and the name of its class', () => {
    expect(new Set(faults.map((fault) => fault.code)).size).toBe(faults.length);
    for (const fault of faults) expect(fault.name).toBe(fault.constructor.name);
  });

  test('SemelError says "unknown" of its effect only where a commit went out of sight', () => {
    const unknown = faults.filter((fault) => fault.effect === 'unknown');
    expect(unknown.map((fault) => fault.code)).toEqual(['commit-unknown']);
  });

  test('SemelError keeps its cause', () => {
    const cause = new Error('EIO');
    expect(new PoisonedError({ cause }).cause).toBe(cause);
  });

  test('SemelError states its facts in the message too', () => {
    expect(faults.map((fault) => fault.message)).toEqual([
      'the caller aborted before the commit',
      'the commit may or may not have taken effect: the disk failed',
      'another transaction changed ["account", 1n]',
      'log/3 is damaged at byte 4096: the checksum does not match',
      'the transaction did not commit within 50 ms and was fenced',
      'deadlock: transfer waits for ["b"], 7 waits for ["a"], and so round',
      './data is in use by process 42',
      'limit is 0; expected a whole number from 1',
      'keyBytesMax is 4096, found 5000',
      'no lock on ["a"] within 10 ms',
      'the store takes no more writes, and this attempt made none: the sync failed',
      'the store is closed',
      'the transaction can no longer be used: its attempt has ended',
    ]);
  });
});

describe('describe', () => {
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);

  test.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [-0.5, '-0.5'],
    [5n, '5n'],
    ['line\nbreak', '"line\\nbreak"'],
    [new Uint8Array(3), '3 bytes'],
    [['a', 1n, ['b']], '["a", 1n, ["b"]]'],
    [() => 1, 'a function'],
    [{}, 'an object'],
    [Object.create(null), 'an object'],
    [new Date(0), 'an instance of Date'],
    [cyclic, '[[[…]]]'],
    ['x'.repeat(100), `"${'x'.repeat(79)}…`],
  ])('describe puts %o into words', (value, words) => {
    expect(inWords(value)).toBe(words);
  });
});
