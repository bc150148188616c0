import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import { type Fault, faultOf } from './report.ts';
import { differenceFrom, operate, type Reached, reachedBy } from './workload.ts';

/** Writes until the disk is full, goes on when there is space again, and tells what it saw. Its disk is `directory` alone. */
export interface FullDiskReport {
  readonly acknowledged: Numbers;
  /** Why each writer stopped. */
  readonly refusals: readonly Fault[];
  /** On the full disk: what is read, whether a write is refused, and whether another opening is. */
  readonly whileFull: Found & { readonly write: Fault | undefined; readonly opening: Fault | undefined };
  readonly afterSpace: Found;
  /** What the writers had reached when they had gone on, and what the last opening finds. */
  readonly goneOn: Numbers;
  readonly atLast: Found;
}

export type Numbers = Readonly<Record<string, number>>;

export interface Found {
  readonly reached: Numbers;
  readonly difference: string | undefined;
}

const writers: readonly string[] = Array.from({ length: 64 }, (_, index) => `writer ${index}`);

const [directory = '', othersBytes = ''] = process.argv.slice(2);
const others = join(directory, 'others');
await writeFile(others, Buffer.alloc(Number(othersBytes), 1));
const options = { directory: join(directory, 'store') };
process.stdout.write(JSON.stringify(await fillUp()));

async function fillUp(): Promise<FullDiskReport> {
  const store = await openStore(options);
  const nobody = new Map(writers.map((writer) => [writer, 0]));
  const { reached, refusals } = await writeOn(store, nobody, Infinity);
  const found = await look(store);
  const write = await store.transact((tx) => operate(tx, 'writer 0', 0)).then(() => undefined, faultOf);
  await store.close();
  const opening = await openStore(options).then((again) => again.close(), faultOf);
  const whileFull = { ...found, write, opening: opening ?? undefined };

  await rm(others);
  const roomy = await openStore(options);
  const afterSpace = await look(roomy);
  const more = await writeOn(roomy, new Map(Object.entries(afterSpace.reached)), 3);
  await roomy.close();
  const last = await openStore(options);
  const atLast = await look(last);
  await last.close();
  return {
    acknowledged: Object.fromEntries(reached),
    refusals: [...refusals, ...more.refusals],
    whileFull,
    afterSpace,
    goneOn: Object.fromEntries(more.reached),
    atLast,
  };
}

/** All writers at once; each until it is refused, or has made so many operations more. */
async function writeOn(
  store: EmbeddedStore,
  from: Reached,
  operations: number,
): Promise<{ readonly reached: Reached; readonly refusals: readonly Fault[] }> {
  const reached = new Map(from);
  const refusals: Fault[] = [];
  const write = async ([writer, first]: readonly [string, number]): Promise<void> => {
    for (let operation = first + 1; operation <= first + operations; operation++) {
      try {
        await store.transact((tx) => operate(tx, writer, operation));
      } catch (error) {
        refusals.push(faultOf(error));
        return;
      }
      reached.set(writer, operation);
    }
  };
  await Promise.all([...from].map(write));
  return { reached, refusals };
}

async function look(store: EmbeddedStore): Promise<Found> {
  const reached = await reachedBy(store, writers);
  const difference = await store.read((tx) => differenceFrom(tx, reached));
  return { reached: Object.fromEntries(reached), difference };
}
