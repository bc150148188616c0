import { openStore, restoreBackup } from '../../src/engines/embedded/embedded.ts';
import type { Key } from '../../src/kv/key.ts';
import type { ReadTransaction, Transaction } from '../../src/kv/store.ts';
import { SimulatedDisk } from '../../src/testing/simulated-disk.ts';
import { check } from '../check-failed.ts';
import type { Client } from '../client.ts';
import type { Marks } from '../marks.ts';
import type { Circumstances, Workload, WorkloadOptions } from '../workload.ts';

/**
 * Checkpoints and backups under load. A copy that is restored of a backup is the store as it was at one moment, no earlier than when
 * the backup was asked for, and the invariants of all workloads hold there. It is a life of its own.
 */
export class Backups implements Workload {
  readonly #marks: Marks;
  #acknowledged = 0;

  constructor({ marks }: WorkloadOptions) {
    this.#marks = marks;
  }

  async setup(tx: Transaction): Promise<void> {
    for (let number = 0; number < ballastKeys; number++) tx.set([...ballast, number], '');
  }

  async start(client: Client): Promise<void> {
    const way = client.random.fraction();
    if (way < 0.8) await this.#count(client);
    else if (way < 0.92) await client.attempt(() => client.checkpoint(), false);
    else if (client.number === 0) await this.#backUp(client);
  }

  async check(tx: ReadTransaction, { when }: Circumstances): Promise<void> {
    const least = when === 'opened' || when === 'under-load' ? this.#acknowledged : 0;
    const count = Number((await tx.get(counter)) ?? 0);
    check(count >= least, 'what was acknowledged is there', () => `the count is ${count}, acknowledged was ${least}`);
    const other = Number((await tx.get(otherCounter)) ?? 0);
    check(other === count, 'backups: both counters say the same', () => `one says ${count}, the other ${other}`);
    for await (const { key, value } of tx.scan({ prefix: ballast })) {
      check(typeof value === 'string', 'backups: the ballast is there', () => `${String(key.at(-1))} is not`);
    }
  }

  async #count(client: Client): Promise<void> {
    const answer = await client.transact(async (tx) => {
      const count = Number((await tx.get(counter)) ?? 0) + 1;
      tx.set(counter, count);
      tx.set(otherCounter, count);
      tx.set([...ballast, client.random.integer(0, ballastKeys - 1)], client.padding());
      await client.rest();
      return count;
    });
    if (answer.outcome === 'done') this.#acknowledged = Math.max(this.#acknowledged, answer.value);
  }

  async #backUp(client: Client): Promise<void> {
    const { store, world, random } = client;
    const pause = () => world.pause(random.fraction());
    const [backup, copy] = [0, 1].map(() => new SimulatedDisk({ seed: random.integer(0, 2 ** 31), pause }));
    if (backup === undefined || copy === undefined) return;
    const least = this.#acknowledged;
    client.tell(() => `backs up, when ${least} are acknowledged`);
    const answer = await client.attempt(() => store.backup(backup), false);
    if (answer.outcome === 'fault') return;
    // A backup that was told to be there is there.
    const restored = await restoreBackup(backup.crash(), copy, { world });
    check(
      restored.restoredFrom === store.status().incarnation.id,
      'backups: a copy knows whose it is',
      () => restored.restoredFrom,
    );
    const other = await openStore({ disk: copy.crash(), world });
    const { id, restoredFrom } = other.status().incarnation;
    check(
      id === restored.incarnation && restoredFrom === restored.restoredFrom,
      'backups: a copy knows that it is one',
      () => id,
    );
    await other.read(async (tx) => {
      const count = Number((await tx.get(counter)) ?? 0);
      check(
        count >= least,
        'backups: what was acknowledged before is in the copy',
        () => `the count is ${count}, not ${least}`,
      );
      await client.service.checkCopy(tx);
    });
    const answered = await other.transact((tx: Transaction) => tx.version);
    client.service.witness.version(answered);
    await other.close();
    this.#marks.reach('backup restored');
  }
}

const counter: Key = ['backups', 'count'];
/** With the ballast between them, so that no slice of a state has both. */
const otherCounter: Key = ['backups', 'other count'];
const ballast: Key = ['backups', 'load'];
/** Some more than a slice has. */
const ballastKeys = 400;
