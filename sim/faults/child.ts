import { writeSync } from 'node:fs';
import process from 'node:process';
import { openStore, type Disk, type EmbeddedStore, type StoreEvent } from 'semel/embedded';
import { nodeDisk } from '../../src/engines/embedded/node-disk.ts';
import { faultOf, type Report } from './report.ts';
import { operate, reachedBy, twoWriters } from './workload.ts';

/** Where the parent reads. */
const reportsFd = 3;
/** The second one opens what the first one left, in whichever state a fault made it leave it. */
const sessions = 2;
const operationsASession = 5;

/** So that a few operations make several segments and checkpoints. */
const small = Object.freeze({ segmentBytes: 1_500, checkpointBytes: 3_000 });

/** The shipped engine on a real directory. `spoilDisk` is what a deliberately wrong one does to its disk. */
export async function runChild(directory: string, spoilDisk: (disk: Disk) => Disk = (disk) => disk): Promise<void> {
  for (let session = 1; session <= sessions; session++) {
    let store: EmbeddedStore;
    try {
      store = await openStore({ ...small, disk: spoilDisk(await nodeDisk(directory)), onEvent });
    } catch (error) {
      report({ type: 'refused', session, fault: faultOf(error) });
      continue;
    }
    report({ type: 'opened', session });
    const reached = await reachedBy(store, twoWriters);
    await Promise.all([...reached].map(([writer, last]) => write(store, writer, last)));
    // Asked for, since closing ends one that has begun by itself. The observer hears of its failure.
    await store.checkpoint().catch(() => undefined);
    const fault = await store.close().then(() => undefined, faultOf);
    report({ type: 'closed', session, fault });
  }
}

/** It ends where an operation fails: whether that one is there, only another opening can tell. */
async function write(store: EmbeddedStore, writer: string, last: number): Promise<void> {
  for (let operation = last + 1; operation <= last + operationsASession; operation++) {
    report({ type: 'begun', writer, operation });
    try {
      await store.transact((tx) => operate(tx, writer, operation));
    } catch (error) {
      report({ type: 'failed', writer, operation, fault: faultOf(error) });
      return;
    }
    report({ type: 'acknowledged', writer, operation });
  }
}

function onEvent({ type }: StoreEvent): void {
  if (type === 'checkpointed') report({ type });
  if (type === 'poisoned' || type === 'checkpoint-failed') report({ type: 'event', event: type });
}

function report(what: Report): void {
  writeSync(reportsFd, `${JSON.stringify(what)}\n`);
}

const [, program, directory] = process.argv;
if (program === import.meta.filename && directory !== undefined) await runChild(directory);
