import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { InvalidArgumentError, type Key } from 'semel';
import { openStore } from 'semel/embedded';

// Run by scripts/node22.ts without the condition `semel-source`: the doors lead to dist/, as they do for users.

const root = join(import.meta.dirname, '..');

await test('package.json declares the version that this runs on', async () => {
  const { engines }: { engines: { node: string } } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  assert.equal(`${engines.node}.0`, `>=${process.versions.node}`);
});

await test('every door opens and leads to dist', async () => {
  const { exports }: { exports: Record<string, unknown> } = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  );
  const doors = Object.keys(exports).filter((door) => !door.endsWith('.json'));
  assert.ok(doors.length > 3);
  for (const door of doors) {
    const specifier = door.replace(/^\./, 'semel');
    assert.match(import.meta.resolve(specifier), /\/dist\//);
    const names: object = await import(specifier);
    assert.ok(Object.keys(names).length > 0, `${specifier} exports nothing`);
  }
});

await test('a store keeps what it acknowledged, over a restart', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'semel-node22-'));
  const key: Key = ['account', 1n];
  try {
    const first = await openStore({ directory });
    await first.transact(async (tx) => {
      tx.set(key, { balance: 5n, bytes: new Uint8Array([0, 255]) });
      assert.deepEqual(await tx.add(['count'], 2), { outcome: 'ok' });
    });
    await assert.rejects(
      first.transact((tx) => tx.set([], 1)),
      InvalidArgumentError,
    );
    await first.close();

    const second = await openStore({ directory });
    assert.deepEqual(await second.read((tx) => tx.getMany([key, ['count']])), [
      { balance: 5n, bytes: new Uint8Array([0, 255]) },
      2,
    ]);
    await second.close();
  } finally {
    await rm(directory, { recursive: true });
  }
});

await test('of two transactions that read and write one key, both take effect', async () => {
  const store = await openStore();
  const increment = () =>
    store.transact(async (tx) => {
      const value = await tx.get(['n']);
      tx.set(['n'], (typeof value === 'number' ? value : 0) + 1);
    });
  await Promise.all(Array.from({ length: 20 }, increment));
  assert.equal(await store.read((tx) => tx.get(['n'])), 20);
  await store.close();
});
