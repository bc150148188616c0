import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { describeMachine } from '../machine.ts';
import type { StorageFigures } from './measure-storage.ts';

/**
 *     npm run bench:storage -- [--write]
 *
 * What a store takes of memory and of time to be opened and checkpointed, by the number of its keys. `--write` writes
 * docs/storage.md. Where memory is beyond what that page states, it fails.
 */
const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
const sizes = [100_000, 300_000, 1_000_000];
/** Bytes of the heap that a key may take: three times its own and its value's, and this. */
const constantBytes = 50;

const machine = [describeMachine()];
const measured = sizes.map(measure);
machine.push(describeMachine());
const page = `${pageLines().join('\n\n')}\n`;
console.log(page);
if (values.write) writeFileSync(join(import.meta.dirname, '..', '..', 'docs', 'storage.md'), page);
for (const { keys, rawBytes, heapBytesPerKey } of measured) {
  if (heapBytesPerKey > (3 * rawBytes) / keys + constantBytes) {
    console.error(`${keys} keys take ${heapBytesPerKey} bytes each, which is more than is promised`);
    process.exitCode = 1;
  }
}

function measure(keys: number): StorageFigures {
  const program = join(import.meta.dirname, 'measure-storage.ts');
  const options = ['--expose-gc', '--conditions=semel-source', '--max-old-space-size=4096'];
  const { stdout, status } = spawnSync(process.execPath, [...options, program, String(keys)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`measuring ${keys} keys failed`);
  return JSON.parse(stdout) as StorageFigures;
}

function pageLines(): readonly string[] {
  const row = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  const memory = measured.map(({ keys, rawBytes, heapBytesPerKey, residentBytesPerKey }) => {
    const raw = rawBytes / keys;
    return row([
      thousands(keys),
      raw,
      heapBytesPerKey.toFixed(0),
      residentBytesPerKey.toFixed(0),
      (heapBytesPerKey / raw).toFixed(1),
    ]);
  });
  const checkpoints = measured.map(({ keys, checkpointMs, sliceMsMax, waitMsMax }) =>
    row([thousands(keys), ...[checkpointMs, sliceMsMax, waitMsMax.before, waitMsMax.meanwhile].map(milliseconds)]),
  );
  const openings = measured.map(({ keys, openingMs, logBytes }) =>
    row([
      thousands(keys),
      milliseconds(openingMs.checkpoint),
      (logBytes / 2 ** 20).toFixed(0),
      milliseconds(openingMs.withLog),
    ]),
  );
  return [
    '# What a store takes',
    '<!-- Written by `npm run bench:storage -- --write`. -->',
    `Figures of one machine at one moment, by \`npm run bench:storage\`: a store in a process of its own, each of its keys 100 bytes with its
value. No time here is a claim. Measured on (before, after):`,
    machine.map((words) => `- ${words}`).join('\n'),
    '## Memory',
    `A key takes at most three times its own bytes and its value's, and ${constantBytes} more, of the heap. The command fails
where it does not. A value that is an object takes what JavaScript makes of it. Resident memory has the garbage of the filling in it, which weighs
more where there are fewer keys.`,
    ['| keys | raw bytes a key | heap | resident | heap / raw |', '| --: | --: | --: | --: | --: |', ...memory].join(
      '\n',
    ),
    '## Checkpoints',
    `A checkpoint is written in slices; between two of them everything else runs. 64 writers were at work, each waiting for its sync, for a second
before it and throughout. The longest wait of any of them is the longest pause that a writer can have noticed.`,
    [
      '| keys | checkpoint took, ms | longest slice, ms | longest wait before, ms | meanwhile, ms |',
      '| --: | --: | --: | --: | --: |',
      ...checkpoints,
    ].join('\n'),
    '## Opening',
    `An opening reads the checkpoint and the log since, which is at most 64 MiB, or as long as the checkpoint if that is more, and what came while
the next one was being written.`,
    [
      '| keys | from the checkpoint alone, ms | log behind it, MiB | with that, ms |',
      '| --: | --: | --: | --: |',
      ...openings,
    ].join('\n'),
  ];
}

function thousands(count: number): string {
  return count.toLocaleString('en-US');
}

function milliseconds(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : ms.toFixed(0);
}
