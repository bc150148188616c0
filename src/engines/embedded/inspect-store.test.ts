import { describe, expect, test } from 'vitest';
import { DamagedError } from '../../kv/errors.ts';
import { SimulatedDisk } from '../../testing/simulated-disk.ts';
import { filesOf, type Files, flipped, readOnly, withFile, without } from './damaged-store.harness.ts';
import { openStore, type StoreEvent } from './embedded-store.ts';
import { inspectStore } from './inspect-store.ts';

const log = 'log-000000000001';
const single = await filesOf({}, async (store) => {
  for (let index = 1; index <= 3; index++) await store.transact((tx) => tx.set(['key'], index));
});
/** Three segments, all before a checkpoint could be written. */
const segmented = await filesOf({ segmentBytes: 200 }, async (store) => {
  for (let index = 1; index <= 6; index++) await store.transact((tx) => tx.set(['key'], 'x'.repeat(index * 20)));
});
const checkpointed = await filesOf({ segmentBytes: 200 }, async (store) => {
  for (let index = 1; index <= 3; index++) await store.transact((tx) => tx.set(['key', index], index));
  await store.checkpoint();
  for (let index = 1; index <= 4; index++) await store.transact((tx) => tx.set(['key', index], 'y'.repeat(60)));
});

/** What opening makes of a directory, in the words of an inspection. */
async function verdictOfOpening(files: Files): Promise<{ kind: string; file?: string; offset?: number }> {
  const events: StoreEvent[] = [];
  try {
    const store = await openStore({
      disk: new SimulatedDisk({ seed: 1, files }),
      onEvent: (event) => events.push(event),
    });
    await store.close();
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
    return { kind: 'rotten', file: error.file, offset: error.offset };
  }
  const recovered = events.find((event) => event.type === 'recovered');
  const [, file, offset] = /^torn-(.*)-(\d+)$/.exec(recovered?.keptAside ?? '') ?? [];
  return file === undefined ? { kind: 'intact' } : { kind: 'torn', file, offset: Number(offset) };
}

async function expectTheSame(files: Files): Promise<void> {
  const { verdict, files: inspected } = await inspectStore(readOnly(files));
  const { kind, file, offset } = await verdictOfOpening(files);
  expect(verdict).toBe(kind);
  if (file === undefined) return;
  expect(inspected.find(({ name }) => name === file)?.verdict).toMatchObject({ kind, offset });
}

describe.each([
  ['one segment', single],
  ['several segments', segmented],
  ['a checkpoint and several segments', checkpointed],
])('inspectStore on %s', (_, files) => {
  test('comes to the verdict of opening, whichever byte is altered', async () => {
    for (const [name, bytes] of files) {
      for (let at = 0; at < bytes.length; at++) await expectTheSame(withFile(files, name, flipped(bytes, at)));
    }
  });

  test('comes to the verdict of opening, wherever a file ends', async () => {
    for (const [name, bytes] of files) {
      for (let end = 0; end <= bytes.length; end++) await expectTheSame(withFile(files, name, bytes.slice(0, end)));
    }
  });

  test('comes to the verdict of opening, whichever file is missing, or has the content of another', async () => {
    for (const name of files.keys()) {
      if (files.size > 1) await expectTheSame(without(files, name));
      for (const bytes of files.values()) await expectTheSame(withFile(files, name, bytes));
    }
  });
});

test('the stores of these tests have the files that they are for', () => {
  expect([...segmented.keys()].length).toBeGreaterThan(2);
  expect([...checkpointed.keys()].filter((name) => name.startsWith('checkpoint-'))).toHaveLength(1);
  expect([...checkpointed.keys()].filter((name) => name.startsWith('log-')).length).toBeGreaterThan(1);
});

test('inspectStore counts what is in a segment that is whole', async () => {
  const bytes = single.get(log) ?? new Uint8Array();
  const { verdict, files } = await inspectStore(readOnly(single));
  expect(verdict).toBe('intact');
  const file = files.find(({ name }) => name === log);
  expect(file).toMatchObject({ kind: 'log', bytes: bytes.length, verdict: { kind: 'intact' } });
  expect(file?.content).toMatchObject({ commits: 3, lastVersion: 3, gaps: [] });
  expect(file?.content?.groups).toBe(file?.content?.lastGroup);
});

test('inspectStore tells which groups are missing in a segment that is rotten, and counts those behind', async () => {
  const bytes = single.get(log) ?? new Uint8Array();
  const whole = (await inspectStore(readOnly(single))).files.find(({ name }) => name === log)?.content;
  const damaged = withFile(single, log, flipped(bytes, Math.floor(bytes.length / 2)));
  const file = (await inspectStore(readOnly(damaged))).files.find(({ name }) => name === log);
  expect(file?.verdict?.kind).toBe('rotten');
  expect(file?.content).toMatchObject({ groups: (whole?.groups ?? 0) - 1, lastGroup: whole?.lastGroup });
  expect(file?.content?.gaps).toHaveLength(1);
  expect(file?.content?.gaps[0]?.firstMissing).toBe(file?.content?.gaps[0]?.lastMissing);
});

test('inspectStore tells what each other file is', async () => {
  const checkpoint = [...checkpointed.keys()].find((name) => name.startsWith('checkpoint-')) ?? '';
  const others = ['lock', `${checkpoint}.tmp`, 'torn-log-000000000001-88', 'notes.txt', 'log-000000000001'];
  const { files } = await inspectStore(
    readOnly(new Map([...checkpointed, ...others.map((name) => [name, new Uint8Array(3)] as const)])),
  );
  const kinds = new Map(files.map(({ name, kind }) => [name, kind]));
  expect(others.map((name) => kinds.get(name))).toEqual(['lock', 'unfinished', 'kept-aside', 'foreign', 'superseded']);
  expect(kinds.get(checkpoint)).toBe('checkpoint');
});

test('inspectStore judges a backup as well', async () => {
  const backup = new SimulatedDisk({ seed: 1 });
  const store = await openStore();
  await store.transact((tx) => tx.set(['key'], 'value'));
  await store.backup(backup);
  await store.close();
  const bytes = await backup.read('backup');
  expect(await inspectStore(readOnly(new Map([['backup', bytes]])))).toMatchObject({
    verdict: 'intact',
    files: [{ name: 'backup', kind: 'backup', verdict: { kind: 'intact' } }],
  });
  for (let at = 0; at < bytes.length; at++) {
    expect((await inspectStore(readOnly(new Map([['backup', flipped(bytes, at)]])))).verdict).toBe('rotten');
  }
});
