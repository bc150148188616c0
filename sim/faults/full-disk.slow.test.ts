import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import type { FullDiskReport, Numbers } from './full-disk-child.ts';

const run = promisify(execFile);

/** A disk of its own, which nobody else sees and which goes when the command ends. Who is not root gets a user namespace as well. */
const ownDisk = ['unshare', process.getuid?.() === 0 ? '-m' : '-rm', 'sh', '-c'] as const;
const mountAndRun = 'mount -t tmpfs -o size=1m tmpfs "$1" && shift && exec "$@"';

async function onSmallDisk(directory: string, words: readonly string[]): Promise<string> {
  const [command, ...options] = ownDisk;
  return (await run(command, [...options, mountAndRun, 'sh', directory, ...words])).stdout;
}

async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'semel-full-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

const child = join(import.meta.dirname, 'full-disk-child.ts');

/** What others have on the disk decides where in a record it is full; a tmpfs gives out pages of 4,096 bytes. */
test.for([600_000, 700_000, 800_000])(
  'openStore on a real disk that fills up, %i bytes of it with other things, refuses, loses nothing, and goes on when there is space',
  async (othersBytes, { skip }) => {
    const directory = await scratch();
    const refusal = await onSmallDisk(directory, ['true']).then(() => undefined, String);
    if (refusal !== undefined && process.env['CI'] === undefined) {
      console.warn(`NOT TRIED: a full disk, since none can be mounted here: ${refusal}`);
      skip('no disk can be mounted here');
    }
    expect(refusal).toBe(undefined);
    const words = [process.execPath, '--conditions=semel-source', child, directory, String(othersBytes)];
    const report: FullDiskReport = JSON.parse(await onSmallDisk(directory, words));

    const { acknowledged, refusals, whileFull, afterSpace, goneOn, atLast } = report;
    expect(refusals).toHaveLength(64);
    for (const { code, effect, message } of refusals) {
      expect(['commit-unknown', 'poisoned']).toContain(code);
      expect(effect).toBe(code === 'poisoned' ? 'did-not-happen' : 'unknown');
      expect(message).toMatch(
        code === 'poisoned' ? /ENOSPC.*free space on the disk.*then open the store again/ : /disk.* failed/,
      );
    }
    expect(whileFull.write).toMatchObject({ code: 'poisoned', effect: 'did-not-happen' });
    if (whileFull.opening !== undefined) expect(whileFull.opening.message).toMatch(/ENOSPC|free space/);
    for (const found of [whileFull, afterSpace]) {
      expect(found.difference).toBe(undefined);
      expect(gapsBetween(acknowledged, found.reached)).toEqual([]);
    }
    expect(goneOn).toEqual(
      Object.fromEntries(Object.entries(afterSpace.reached).map(([writer, last]) => [writer, last + 3])),
    );
    expect(atLast).toEqual({ reached: goneOn, difference: undefined });
  },
);

/** Writers who are not where they were acknowledged to be, nor by the one operation further whose fate was unknown. */
function gapsBetween(acknowledged: Numbers, reached: Numbers): readonly string[] {
  return Object.entries(acknowledged)
    .filter(([writer, last]) => reached[writer] !== last && reached[writer] !== last + 1)
    .map(([writer, last]) => `${writer} was acknowledged up to ${last}, and is at ${reached[writer]}`);
}
