import { expect, test } from 'vitest';
import { PoisonedError } from '../../kv/errors.ts';
import { realWorld } from '../../kv/world.ts';
import { PowerCutError, SimulatedDisk } from '../../testing/simulated-disk.ts';
import { segmentName } from './log-segment.ts';
import { Log } from './log.ts';

/**
 * What must hold of a log however its disk fails. Each run is a chain of processes on one disk, each of which ends in its
 * own way; before and after each, the log holds every acknowledged entry, and of the others the first so many, in whole
 * groups.
 */
const seeds = [1, 2, 3, 4, 5];

test('Log has every acknowledged entry and no half group after a power cut at any operation', async () => {
  let survivedUnacknowledged = 0;
  for (const seed of seeds) {
    for (const when of ['before', 'during'] as const) {
      for (let operation = 1; ; operation += 1) {
        const history = new History(`seed ${seed}, power cut ${when} operation ${operation}`);
        const disk = new SimulatedDisk({ seed: seed * 1_000 + operation });
        disk.cutPower({ operation, when });
        const cut = await history.live(disk);
        await history.check(disk.crash());
        survivedUnacknowledged += history.survivedUnacknowledged;
        if (!cut) break;
        expect(operation).toBeLessThan(1_000);
      }
    }
  }
  // Otherwise the disk was too kind to prove anything of groups.
  expect(survivedUnacknowledged).toBeGreaterThan(0);
});

test('Log has every acknowledged entry after a second power cut, at any operation of the recovery from the first', async () => {
  for (const seed of seeds.slice(0, 2)) {
    for (let first = 5; first <= 30; first += 1) {
      for (let second = 1; ; second += 1) {
        const history = new History(`seed ${seed}, power cuts at ${first} and then ${second}`);
        const disk = new SimulatedDisk({ seed: seed * 1_000 + first });
        disk.cutPower({ operation: first, when: 'during' });
        await history.live(disk);
        const next = disk.crash();
        next.cutPower({ operation: second, when: second % 2 === 0 ? 'before' : 'during' });
        const cut = await history.live(next);
        await history.check(next.crash());
        if (!cut) break;
        expect(second).toBeLessThan(1_000);
      }
    }
  }
});

test('Log has every acknowledged entry after a failed sync and a restart, over a power cut later on', async () => {
  for (const seed of seeds) {
    for (let sync = 1; sync <= 25; sync += 1) {
      const history = new History(`seed ${seed}, sync ${sync} fails`);
      const disk = new SimulatedDisk({ seed: seed * 1_000 + sync });
      disk.failSync(sync);
      await history.live(disk);
      // The kernel still shows what the failed sync lost, and believes that it is on the disk.
      const restarted = disk.kill();
      await history.live(restarted);
      await history.check(restarted.crash());
    }
  }
});

test('Log has every acknowledged entry whatever happens to twelve processes in a row', async () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const history = new History(`seed ${seed}`);
    const random = randomFrom(seed);
    let disk = new SimulatedDisk({ seed });
    for (let life = 0; life < 12; life += 1) {
      const at = 1 + Math.floor(random() * 30);
      const fault = Math.floor(random() * 5);
      if (fault === 0) disk.cutPower({ operation: at, when: random() < 0.5 ? 'before' : 'during' });
      if (fault === 1) disk.failSync(at);
      if (fault === 2) disk.limitSpace(at * 40);
      history.note(`life ${life}: fault ${fault} at ${at}`);
      const cut = await history.live(disk, fault === 3 ? 'dies' : 'closes');
      disk = cut || random() < 0.5 ? disk.crash() : disk.kill();
    }
    await history.check(disk);
  }
});

test('Log goes on where a power cut lost a mark and spared the group behind it', async () => {
  let lostMarks = 0;
  // Somewhere in here the mark lies across the border of two sectors, and its first one is lost alone.
  for (let length = 380; length < 460; length += 4) {
    for (const seed of seeds) {
      const disk = new SimulatedDisk({ seed: seed * 1_000 + length });
      const log = await openLog(disk, [], Infinity);
      log.append(Buffer.alloc(length, '.'));
      await log.whenDurable(1);
      const before = Buffer.from(await disk.read(segmentName(1)));
      disk.cutPower({ operation: disk.operations + 2, when: 'during' });
      log.append(Buffer.from('behind the mark'));
      await expect(log.whenDurable(2)).rejects.toThrow(PoisonedError);
      const next = disk.crash();
      const after = Buffer.from(await next.read(segmentName(1))).subarray(0, before.length);
      const entries: string[] = [];
      await openLog(next, entries);
      expect(entries[0]).toHaveLength(length);
      if (entries.length < 2) continue;
      if (!after.equals(before)) lostMarks += 1;
      expect(before.equals((await next.read(segmentName(1))).subarray(0, before.length))).toBe(true);
    }
  }
  expect(lostMarks).toBeGreaterThan(0);
});

/** What the processes of a run did, and what must therefore be there. */
class History {
  entries: string[] = [];
  acknowledged = 0;
  survivedUnacknowledged = 0;
  /** The numbers of entries at which one turn's appends, hence a group, may end. */
  readonly #turnEnds = new Set([0]);
  #story: string;

  constructor(story: string) {
    this.#story = story;
  }

  note(words: string): void {
    this.#story += `; ${words}`;
  }

  /** One process: opens, checks, appends a few entries a turn, waits for some, ends. True if the power was cut. */
  async live(disk: SimulatedDisk, end: 'closes' | 'dies' = 'closes'): Promise<boolean> {
    let log: Log;
    try {
      const recovered: string[] = [];
      log = await openLog(disk, recovered);
      this.#compare(recovered);
    } catch (error) {
      return wasCut(error) || rethrowUnlessOfTheDisk(error, this.#story);
    }
    const before = this.entries.length;
    try {
      for (let turn = 0; turn < 6; turn += 1) {
        for (let count = 0; count <= turn % 3; count += 1) {
          const entry = `entry ${this.entries.length} ${'.'.repeat((turn * 131 + count * 57) % 700)}`;
          log.append(Buffer.from(entry));
          this.entries.push(entry);
        }
        this.#turnEnds.add(this.entries.length);
        // Every other turn arrives during the sync of the one before.
        if (turn % 2 === 1 && !(turn === 5 && end === 'dies')) await this.#acknowledge(log, before);
        else await Promise.resolve();
      }
      // Written, and not known to be durable.
      if (end === 'dies') await nextTurn();
      else await this.#acknowledge(log, before);
    } catch (error) {
      expect(error, this.#story).toBeInstanceOf(PoisonedError);
    }
    this.acknowledged = Math.max(this.acknowledged, before + log.durableIndex);
    if (end === 'closes') await log.close();
    return wasCut(log.poison);
  }

  /** Two processes later on, the power cut between them: the second finds what the first found. */
  async check(disk: SimulatedDisk): Promise<void> {
    await this.#reopen(disk);
    const found = this.entries;
    await this.#reopen(disk.crash());
    expect(this.entries, this.#story).toEqual(found);
  }

  async #reopen(disk: SimulatedDisk): Promise<void> {
    const recovered: string[] = [];
    await openLog(disk, recovered).catch((cause: unknown) => {
      throw new Error(this.#story, { cause });
    });
    this.#compare(recovered);
  }

  async #acknowledge(log: Log, before: number): Promise<void> {
    const index = log.lastIndex;
    await log.whenDurable(index);
    this.acknowledged = before + index;
  }

  #compare(recovered: readonly string[]): void {
    expect(recovered.length, `${this.#story}: acknowledged entries`).toBeGreaterThanOrEqual(this.acknowledged);
    expect(recovered, `${this.#story}: a prefix of what was appended`).toEqual(this.entries.slice(0, recovered.length));
    expect(this.#turnEnds.has(recovered.length), `${this.#story}: whole groups, not ${recovered.length}`).toBe(true);
    this.survivedUnacknowledged += recovered.length - this.acknowledged;
    this.entries = [...recovered];
    // What a log has shown has to stay.
    this.acknowledged = recovered.length;
  }
}

/** So few that a life goes on over several segments. */
const segmentBytesFew = 1_200;

async function openLog(disk: SimulatedDisk, entries: string[], segmentBytes = segmentBytesFew): Promise<Log> {
  return Log.open({
    disk,
    world: { ...realWorld, randomBytes: (count) => new Uint8Array(count).fill(7) },
    onEntry: (entry) => void entries.push(Buffer.from(entry).toString()),
    segmentBytes,
    onDurable: () => undefined,
  });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => realWorld.defer(resolve));
}

/** Whether a power cut is the cause, or the cause of the cause. */
function wasCut(error: unknown): boolean {
  if (error instanceof PowerCutError) return true;
  return error instanceof Error && wasCut(error.cause);
}

/** Opening may fail for the fault that is armed; never because the log is damaged. */
function rethrowUnlessOfTheDisk(error: unknown, story: string): false {
  if (/EIO|ENOSPC/.test(String(error)) || (error instanceof Error && /EIO|ENOSPC/.test(String(error.cause))))
    return false;
  throw new Error(story, { cause: error });
}

function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}
