import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { type EmbeddedStore, openStore, type StoreEvent } from 'semel/embedded';

/**
 *     node --expose-gc measure-storage.ts <keys>
 *
 * One store of so many keys, of a hundred bytes each with its value, in a process of its own. Prints its figures as JSON.
 */
export interface StorageFigures {
  readonly keys: number;
  /** Of keys and values, as their encodings have them. */
  readonly rawBytes: number;
  readonly heapBytesPerKey: number;
  readonly residentBytesPerKey: number;
  readonly checkpointMs: number;
  readonly sliceMsMax: number;
  /** The longest that one of 64 writers had to wait, before and while the checkpoint was written. */
  readonly waitMsMax: { readonly before: number; readonly meanwhile: number };
  /** From a checkpoint and no log; and with as much log behind it as there may be. */
  readonly openingMs: { readonly checkpoint: number; readonly withLog: number };
  readonly logBytes: number;
}

const keyCount = Number(process.argv[2]);
const keyBytes = 16;
const valueBytes = 84;
const writers = 64;

const directory = await mkdtemp(join(tmpdir(), 'semel-storage-'));
try {
  console.log(JSON.stringify(await measure()));
} finally {
  await rm(directory, { recursive: true });
}

async function measure(): Promise<StorageFigures> {
  const before = usage();
  const events: StoreEvent[] = [];
  // No checkpoint but the one that is asked for.
  const options = {
    directory,
    checkpointBytes: Number.MAX_SAFE_INTEGER,
    onEvent: (event: StoreEvent) => void events.push(event),
  };
  const store = await openStore(options);
  for (let first = 0; first < keyCount; first += 1_000) {
    await store.transact((tx) => {
      for (let n = first; n < Math.min(keyCount, first + 1_000); n++) tx.set(keyOf(n), valueOf(n, 0));
    });
  }
  const after = usage();
  const waitBefore = await longestWait(store, () => pause(1_000));
  const waitMeanwhile = await longestWait(store, () => store.checkpoint());
  const checkpointed = last(events, 'checkpointed');
  await store.close();
  const fresh = await openStore(options);
  await fresh.checkpoint();
  await fresh.close();
  const checkpoint = await opening(options);
  const grown = await openStore(options);
  const { bytes } = last(events, 'checkpointed');
  const logBytes = Math.max(67_108_864, bytes);
  let written = 0;
  for (let n = 0; written < logBytes; n++) {
    await grown.transact((tx) => {
      for (let count = 0; count < 100; count++) tx.set(keyOf((n * 100 + count) % keyCount), valueOf(n, 1));
    });
    written += 100 * (keyBytes + valueBytes + 8);
  }
  await grown.close();
  const withLog = await opening(options);
  return {
    keys: keyCount,
    rawBytes: keyCount * (keyBytes + valueBytes),
    heapBytesPerKey: (after.heapUsed - before.heapUsed) / keyCount,
    residentBytesPerKey: (after.rss - before.rss) / keyCount,
    checkpointMs: checkpointed.durationMs,
    sliceMsMax: checkpointed.sliceMsMax,
    waitMsMax: { before: waitBefore, meanwhile: waitMeanwhile },
    openingMs: { checkpoint, withLog },
    logBytes: last(events, 'recovered').bytes,
  };
}

/** A string part takes two bytes beside its own. */
function keyOf(n: number): readonly [string] {
  return [String(n).padStart(keyBytes - 2, '0')];
}

/** So does a string. */
function valueOf(n: number, round: number): string {
  return `${round}:${n}`.padEnd(valueBytes - 2, '.');
}

async function longestWait(store: EmbeddedStore, during: () => Promise<void>): Promise<number> {
  const over = new AbortController();
  let longest = 0;
  const writing = Array.from({ length: writers }, async (_, writer) => {
    for (let n = writer; !over.signal.aborted; n = (n + 7_919) % keyCount) {
      const startedAt = performance.now();
      await store.transact((tx) => tx.set(keyOf(n), valueOf(n, 2)));
      longest = Math.max(longest, performance.now() - startedAt);
    }
  });
  await during();
  over.abort();
  await Promise.all(writing);
  return longest;
}

async function opening(options: Parameters<typeof openStore>[0]): Promise<number> {
  const startedAt = performance.now();
  const store = await openStore(options);
  const took = performance.now() - startedAt;
  if (store.status().keys !== keyCount) throw new Error(`${store.status().keys} keys were found of ${keyCount}`);
  await store.close();
  return took;
}

function last<Type extends StoreEvent['type']>(
  events: readonly StoreEvent[],
  type: Type,
): Extract<StoreEvent, { type: Type }> {
  const found = events.findLast((event): event is Extract<StoreEvent, { type: Type }> => event.type === type);
  if (found === undefined) throw new Error(`nothing was told of type ${type}`);
  return found;
}

function usage(): NodeJS.MemoryUsage {
  globalThis.gc?.();
  return process.memoryUsage();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
