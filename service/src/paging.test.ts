import { openStore, type EmbeddedStore } from 'semel/embedded';
import { ManualWorld } from 'semel/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { kvKey } from './kv-space.ts';
import { Paging, type Page, type RangeQuery } from './paging.ts';
import { serviceLimits } from './service-limits.ts';

const all: RangeQuery = { stretch: {}, limit: 2, reverse: false };

async function pagingOver(keys: readonly string[], tenant = 'a') {
  const world = new ManualWorld();
  const store = await openStore({ world });
  const paging = new Paging({ store, max: serviceLimits.pagingSessionsMax, world });
  onTestFinished(async () => {
    await paging.close();
    await store.close();
  });
  await setAll(store, tenant, keys, 'old');
  return { world, store, paging };
}

async function setAll(store: EmbeddedStore, tenant: string, keys: readonly string[], value: string): Promise<void> {
  await store.transact((tx) => {
    for (const key of keys) tx.set(kvKey(tenant, key), value);
  });
}

function keysOf(page: Page): unknown[] {
  return page.entries.map((entry) => JSON.parse(entry).key);
}

function cursorOf(page: Page): string {
  if (page.cursor === undefined) throw new Error('there is no further page');
  return page.cursor;
}

async function nextOf(paging: Paging, query: RangeQuery, cursor: string, tenant = 'a'): Promise<Page> {
  const next = await paging.nextPage(tenant, query, cursor);
  if (next.outcome !== 'page') throw new Error(next.outcome);
  return next.page;
}

async function walk(paging: Paging, query: RangeQuery): Promise<unknown[]> {
  let page = await paging.firstPage('a', query);
  const keys = keysOf(page);
  while (page.cursor !== undefined) {
    page = await nextOf(paging, query, page.cursor);
    keys.push(...keysOf(page));
  }
  return keys;
}

describe('Paging', () => {
  const keys = ['a', 'a\0', 'ab', 'b', '\uffff', '\u{10000}'];

  test.each([1, 2, 3, 6, 7])('Paging yields every key once, both ways, %i a page', async (limit) => {
    const { paging } = await pagingOver(keys);
    expect(await walk(paging, { ...all, limit })).toEqual(keys);
    expect(await walk(paging, { ...all, limit, reverse: true })).toEqual(keys.toReversed());
  });

  test('Paging respects prefix, start and end together', async () => {
    const { paging } = await pagingOver(keys);
    expect(await walk(paging, { ...all, stretch: { prefix: 'a' } })).toEqual(['a', 'a\0', 'ab']);
    expect(await walk(paging, { ...all, stretch: { prefix: 'a', start: 'a\0', end: 'b' } })).toEqual(['a\0', 'ab']);
    expect(await walk(paging, { ...all, stretch: { start: '\uffff' } })).toEqual(['\uffff', '\u{10000}']);
    expect(await walk(paging, { ...all, stretch: { start: 'b', end: 'a' } })).toEqual([]);
    expect(await walk(paging, { ...all, stretch: { prefix: 'a', end: 'b' }, reverse: true, limit: 1 })).toEqual([
      'ab',
      'a\0',
      'a',
    ]);
  });

  test('Paging shows one snapshot, whatever is written between its pages', async () => {
    const { paging, store } = await pagingOver(['a', 'b', 'c', 'd']);
    const first = await paging.firstPage('a', all);
    await setAll(store, 'a', ['bb', 'c', 'd', 'e'], 'new');
    await store.transact((tx) => tx.delete(kvKey('a', 'd')));
    const second = await nextOf(paging, all, cursorOf(first));
    expect(second.entries.map((entry) => JSON.parse(entry))).toMatchObject([
      { key: 'c', value: 'old' },
      { key: 'd', value: 'old' },
    ]);
    expect(second.cursor).toBeUndefined();
  });

  test('Paging answers a cursor that is sent again with the same page again, the last one included', async () => {
    const { paging } = await pagingOver(['a', 'b', 'c', 'd', 'e']);
    const first = await paging.firstPage('a', all);
    const second = await nextOf(paging, all, cursorOf(first));
    const third = await nextOf(paging, all, cursorOf(second));
    expect(await nextOf(paging, all, cursorOf(first))).toEqual(second);
    expect(await nextOf(paging, all, cursorOf(second))).toEqual(third);
    expect(keysOf(third)).toEqual(['e']);
  });

  test('Paging gives a cursor to its own tenant alone, and with its own query alone', async () => {
    const { paging } = await pagingOver(['a', 'b', 'c']);
    const cursor = cursorOf(await paging.firstPage('a', all));
    expect(await paging.nextPage('b', all, cursor)).toEqual({ outcome: 'cursor-gone' });
    for (const query of [
      { ...all, limit: 3 },
      { ...all, reverse: true },
      { ...all, stretch: { prefix: 'a' } },
    ]) {
      expect(await paging.nextPage('a', query, cursor)).toEqual({ outcome: 'cursor-of-another-query' });
    }
    for (const garbage of ['', '.', 'x', `${cursor}x`.slice(1), '\ud800']) {
      expect(await paging.nextPage('a', all, garbage)).toEqual({ outcome: 'cursor-gone' });
    }
  });

  test('Paging lets go of a snapshot when it has been idle, and counts from the last page', async () => {
    const { paging, world } = await pagingOver(['a', 'b', 'c']);
    const cursor = cursorOf(await paging.firstPage('a', all));
    await world.advance(serviceLimits.pagingIdleMsMax - 1);
    await nextOf(paging, all, cursor);
    await world.advance(serviceLimits.pagingIdleMsMax - 1);
    await nextOf(paging, all, cursor);
    await world.advance(serviceLimits.pagingIdleMsMax);
    expect(await paging.nextPage('a', all, cursor)).toEqual({ outcome: 'cursor-gone' });
    expect(paging.openCount).toBe(0);
  });

  test('Paging lets go of a snapshot at its greatest age, however busy it is', async () => {
    const { paging, world } = await pagingOver(['a', 'b', 'c']);
    const cursor = cursorOf(await paging.firstPage('a', all));
    for (let ageMs = 0; ageMs < serviceLimits.pagingAgeMsMax; ageMs += serviceLimits.pagingIdleMsMax / 2) {
      await nextOf(paging, all, cursor);
      await world.advance(serviceLimits.pagingIdleMsMax / 2);
    }
    expect(await paging.nextPage('a', all, cursor)).toEqual({ outcome: 'cursor-gone' });
    expect(world.timers).toBe(0);
  });

  test('Paging holds at most pagingSessionsMax snapshots, and takes them from the tenant that has most', async () => {
    const { paging, store } = await pagingOver(['a', 'b', 'c']);
    await setAll(store, 'quiet', ['a', 'b', 'c'], 'old');
    const quiet = cursorOf(await paging.firstPage('quiet', all));
    const cursors: string[] = [];
    for (let count = 0; count < serviceLimits.pagingSessionsMax; count++) {
      cursors.push(cursorOf(await paging.firstPage('a', all)));
    }
    expect(paging.openCount).toBe(serviceLimits.pagingSessionsMax);
    await nextOf(paging, all, quiet, 'quiet');
    expect(await paging.nextPage('a', all, cursors[0] ?? '')).toEqual({ outcome: 'cursor-gone' });
    await nextOf(paging, all, cursors[1] ?? '');
  });

  test('Paging ends a page at pageCharsMax, and holds nothing open for a single page', async () => {
    const { paging, store } = await pagingOver([]);
    await setAll(store, 'a', ['a', 'b', 'c', 'd', 'e', 'f'], 'x'.repeat(1_000_000));
    const query = { ...all, limit: 100 };
    const first = await paging.firstPage('a', query);
    expect(keysOf(first)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(keysOf(await nextOf(paging, query, cursorOf(first)))).toEqual(['f']);
    expect(paging.openCount).toBe(1);
    await paging.firstPage('a', { ...query, stretch: { prefix: 'a' } });
    expect(paging.openCount).toBe(1);
  });

  test('Paging takes a cursor that was made up for gone, though its session is open', async () => {
    const { paging } = await pagingOver(['a', 'b', 'c']);
    const [id = ''] = cursorOf(await paging.firstPage('a', all)).split('.');
    for (const last of ['', 'x'.repeat(serviceLimits.keyBytesMax + 1), '\0'.repeat(9_000)]) {
      const madeUp = `${id}.${Buffer.from(last).toString('base64url')}`;
      expect(await paging.nextPage('a', all, madeUp)).toEqual({ outcome: 'cursor-gone' });
    }
  });

  test('Paging.close ends every snapshot, so that the store can close', async () => {
    const { paging } = await pagingOver(['a', 'b', 'c']);
    const cursor = cursorOf(await paging.firstPage('a', all));
    await paging.close();
    expect(await paging.nextPage('a', all, cursor)).toEqual({ outcome: 'cursor-gone' });
  });
});
