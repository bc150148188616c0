import { expect, test } from 'vitest';
import type { Value } from '../../kv/value.ts';
import { filesOf, type Files, flipped, readOnly, withFile, without } from './damaged-store.harness.ts';
import { inspectStore } from './inspect-store.ts';
import { readRecords } from './records-reading.ts';
import { salvageStore } from './salvage-store.ts';

const log = 'log-000000000001';
const commits = 6;
const files = await filesOf({}, async (store) => {
  for (let index = 1; index <= commits; index++) {
    await store.transact((tx) => {
      tx.set(['left', index], index);
      tx.set(['right', index], index);
      tx.set(['last'], index);
      tx.delete(['left', index - 3]);
      tx.delete(['right', index - 3]);
    });
  }
});
const bytes = files.get(log) ?? new Uint8Array();

async function salvaged(files: Files, untilDamage = false) {
  const { entries, missing } = await salvageStore(readOnly(files), { untilDamage });
  return { content: new Map<string, Value>([...entries].map(({ key, value }) => [key.join(' '), value])), missing };
}

/** What there is after so many commits. */
function contentAfter(count: number): ReadonlyMap<string, Value> {
  const indexes = [1, 2, 3, 4, 5, 6].filter((index) => index <= count && index > count - 3);
  const halves = ['left', 'right'].flatMap((half) => indexes.map((index) => [`${half} ${index}`, index] as const));
  return new Map(count === 0 ? [] : [['last', count], ...halves]);
}

test('salvageStore answers all of a store that is not damaged, and that nothing is missing', async () => {
  expect(await salvaged(files)).toEqual({ content: contentAfter(commits), missing: [] });
  // A torn end was never acknowledged.
  const torn = withFile(files, log, Buffer.concat([bytes, Buffer.alloc(99, 'torn')]));
  expect(await salvaged(torn)).toEqual({ content: contentAfter(commits), missing: [] });
});

test('salvageStore answers no transaction by half, and says that something is missing, whichever byte is altered', async () => {
  for (let at = 0; at < bytes.length; at++) {
    const damaged = withFile(files, log, flipped(bytes, at));
    const { content, missing } = await salvaged(damaged);
    for (let index = 1; index <= commits; index++) {
      expect(content.get(`left ${index}`), `byte ${at}`).toBe(content.get(`right ${index}`));
    }
    const { verdict } = await inspectStore(readOnly(damaged));
    expect(missing.length > 0, `byte ${at}`).toBe(verdict === 'rotten');
    // No altered byte can take along more than the group that it is in.
    expect(content.get('last')).toBeGreaterThanOrEqual(commits - 1);
  }
});

test('salvageStore until the damage answers a state that was, whichever byte is altered', async () => {
  const reached = new Set<Value | undefined>();
  for (let at = 0; at < bytes.length; at++) {
    const { content } = await salvaged(withFile(files, log, flipped(bytes, at)), true);
    const last = content.get('last');
    expect(content).toEqual(contentAfter(Number(last ?? 0)));
    reached.add(last);
  }
  expect(reached.size).toBe(commits + 1);
});

test('salvageStore finds its way without the header, and says that nothing else is damaged', async () => {
  const { content, missing } = await salvaged(withFile(files, log, flipped(bytes, 20)));
  expect(content).toEqual(contentAfter(commits));
  expect(missing).toEqual([
    "log-000000000001: nothing, as far as can be told, although its header's checksum is wrong, at byte 0",
  ]);
});

test('salvageStore finds nothing in a file that has no intact beginning at all, and says so', async () => {
  const { content, missing } = await salvaged(withFile(files, log, Buffer.alloc(500, 'x')));
  expect([...content]).toEqual([]);
  expect(missing).toEqual([
    'log-000000000001: bytes 0 to 500 cannot be read, groups from 1 on, if there were any: ' +
      'what was written there is missing, or older than it was',
  ]);
});

test('salvageStore lets no older record take back what came after it', async () => {
  const { groups } = readRecords('log', 1, Buffer.from(bytes), 0);
  const [first, third] = [groups[1], groups[3]];
  // A misdirected write: groups 2 to 4 a second time, at the end.
  const repeated = withFile(files, log, Buffer.concat([bytes, bytes.slice(first?.offset, third?.end)]));
  expect((await salvaged(repeated)).content).toEqual(contentAfter(commits));
});

/** A checkpoint after four commits, and a segment with one in each group behind it. */
const checkpointed = await filesOf({ segmentBytes: 300 }, async (store) => {
  for (let index = 1; index <= 8; index++) {
    await store.transact((tx) => tx.set(['key', index], index));
    if (index === 4) await store.checkpoint();
  }
});
const checkpoint = [...checkpointed.keys()].find((name) => name.startsWith('checkpoint-')) ?? '';
const segments = [...checkpointed.keys()].filter((name) => name.startsWith('log-')).toSorted();
const keys = (content: ReadonlyMap<string, Value>): readonly string[] => [...content.keys()];
const keysOf = (...indexes: readonly number[]): readonly string[] => indexes.map((index) => `key ${index}`);

test('salvageStore takes the checkpoint, and what the log says after it', async () => {
  expect(segments.length).toBeGreaterThan(1);
  const { content, missing } = await salvaged(checkpointed);
  expect(keys(content)).toEqual(keysOf(1, 2, 3, 4, 5, 6, 7, 8));
  expect(missing).toEqual([]);
});

test('salvageStore of a damaged checkpoint takes what the log says after it; until the damage that is nothing', async () => {
  const bytes = checkpointed.get(checkpoint) ?? new Uint8Array();
  const damaged = withFile(checkpointed, checkpoint, flipped(bytes, bytes.length - 60));
  const { content, missing } = await salvaged(damaged);
  expect(keys(content)).toEqual(keysOf(5, 6, 7, 8));
  expect(missing).toHaveLength(1);
  expect(missing[0]).toContain(`${checkpoint}: bytes `);
  expect(await salvaged(damaged, true)).toEqual({
    content: new Map(),
    missing: [`everything from byte 0 of ${checkpoint} on`],
  });
});

test('salvageStore goes on behind a segment that is missing; until the damage it does not', async () => {
  const [first = ''] = segments;
  const { content, missing } = await salvaged(without(checkpointed, first));
  expect(keys(content).slice(0, 4)).toEqual(keysOf(1, 2, 3, 4));
  expect(keys(content)).toContain('key 8');
  expect(keys(content).length).toBeLessThan(8);
  expect(missing[0]).toBe(`${first}: it is missing: what was written in it is missing, or older than it was`);
  const until = await salvaged(without(checkpointed, first), true);
  expect(keys(until.content)).toEqual(keysOf(1, 2, 3, 4));
  expect(until.missing).toEqual([`everything from byte 0 of ${first} on`]);
});
