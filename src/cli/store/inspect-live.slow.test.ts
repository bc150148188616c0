import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import { expect, onTestFinished, test } from 'vitest';
import { inspectCommand } from './inspect-command.ts';
import { runStoreCommand } from './store-command.ts';
import { scratch } from './store-process.harness.ts';

/** Writes without a pause, so that segments and checkpoints come and go all the time. */
const writerProgram = `
  const { openStore } = await import(${JSON.stringify(new URL('../../engines/embedded/embedded.ts', import.meta.url).href)});
  const store = await openStore({ directory: process.argv[1], segmentBytes: 2_000, checkpointBytes: 4_000 });
  console.log('open');
  for (let index = 0; ; index++) await store.transact((tx) => tx.set(['key', index % 50], 'x'.repeat(index % 300)));
`;

test('semel inspect never takes for damage what another process writes, seals and removes meanwhile', async () => {
  const directory = join(scratch(), 'store');
  const words = [
    '--experimental-strip-types',
    '--no-warnings',
    '--input-type=module',
    '--eval',
    writerProgram,
    directory,
  ];
  const writer = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(writer, 'exit');
  onTestFinished(async () => {
    writer.kill('SIGKILL');
    await exit;
  });
  await once(writer.stdout, 'data');
  const printed: string[] = [];
  const told: string[] = [];
  const terminal = {
    print: (text: string) => void printed.push(text),
    tell: (text: string) => void told.push(text),
    confirm: undefined,
    onInterrupt: () => () => undefined,
  };
  for (let look = 0; look < 1_500; look++) {
    const status = await runStoreCommand(inspectCommand, [directory], terminal);
    expect([0, 3], `${printed.at(-1)}${told.at(-1)}`).toContain(status);
  }
  // It was looked at while it changed, or this shows nothing.
  const checkpoints = new Set(printed.map((text) => /checkpoint-\d+/.exec(text)?.[0]));
  expect(checkpoints.size).toBeGreaterThan(2);
  expect(writer.exitCode).toBe(null);
});
