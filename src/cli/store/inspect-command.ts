import {
  type FileContent,
  type FileInspection,
  inspectStore,
  type ReadableDisk,
  type StoreInspection,
} from '../../engines/embedded/inspect-store.ts';
import { type Gap, missingGroups } from '../../engines/embedded/records-reading.ts';
import type { Terminal } from '../terminal.ts';
import { ownerOf } from './owner.ts';
import { FileGoneError, readableDisk } from './readable-disk.ts';
import type { Asked, ExitCode, StoreCommand } from './store-command.ts';

const usage = `semel inspect DIR [--json]

Says of each file in a store's directory whether it is intact, torn (a crash left it so; opening cuts that off, and nothing in it was
acknowledged) or rotten (opening is refused), with offsets in bytes, and what is in it. It reads alone: it changes nothing, locks nothing, and
works while another process has the store open, whose newest records may then look torn because they are being written.

  --json  the same for programs

Exit codes: 0 intact, 1 rotten, 2 it could not run, or DIR has no store in it, 3 torn.
`;

export const inspectCommand: StoreCommand = {
  name: 'inspect',
  purpose: "whether a store's files are intact, torn or rotten, and where",
  usage,
  wordsMax: 0,
  options: { json: 'boolean' },
  run: runInspect,
};

async function runInspect({ directory, flags }: Asked, terminal: Terminal): Promise<ExitCode> {
  const inspection = await inspectPatiently(await readableDisk(directory));
  const owner = await ownerOf(directory);
  terminal.print(
    flags.has('json')
      ? `${JSON.stringify({ ...inspection, owner: owner ?? null }, null, 2)}\n`
      : [...inspection.files.flatMap(describeFile), '', summaryOf(inspection, owner), ''].join('\n'),
  );
  return exitCodes[inspection.verdict];
}

/** More often than a process that writes at full speed removes files while they are looked at. */
const looksMax = 100;

async function inspectPatiently(disk: ReadableDisk): Promise<StoreInspection> {
  for (let look = 1; ; look++) {
    try {
      return await inspectStore(disk);
    } catch (error) {
      if (!(error instanceof FileGoneError) || look === looksMax) throw error;
    }
  }
}

const exitCodes = Object.freeze({ intact: 0, none: 0, torn: 3, rotten: 1 } as const);

function summaryOf({ verdict }: StoreInspection, owner: string | undefined): string {
  const open = owner === undefined ? '' : `\nopen: ${owner}; a torn end may be what it is writing just now`;
  switch (verdict) {
    case 'intact':
      return `intact${open}`;
    case 'torn':
      return `torn: opening copies the torn end aside and cuts it off; nothing in it was acknowledged${open}`;
    case 'rotten':
      return `rotten: it is refused; take a backup, or see what semel salvage can save${open}`;
    case 'none':
      return `begun: a crash cut the making of this store; opening begins it anew, and nothing was acknowledged${open}`;
  }
}

function describeFile({ name, bytes, kind, verdict, content }: FileInspection): readonly string[] {
  const head = `${name.padEnd(nameWidth)}  ${String(bytes).padStart(bytesWidth)} bytes  `;
  if (verdict === undefined) return [head + kindsInWords[kind]];
  const where = verdict.kind === 'intact' ? '' : ` at byte ${verdict.offset}`;
  const lines = [`${verdict.kind}${where}${verdict.kind === 'rotten' ? `: ${verdict.reason}` : ''}`];
  if (content !== undefined) lines.push(inWords(content));
  if (verdict.kind === 'rotten') lines.push(...(content?.gaps ?? []).map(describeGap));
  return lines.map((line, index) => (index === 0 ? head : ' '.repeat(head.length)) + line);
}

const nameWidth = 'checkpoint-000000000000'.length;
const bytesWidth = 12;

const kindsInWords: Readonly<Record<FileInspection['kind'], string>> = Object.freeze({
  log: 'a segment of the log',
  checkpoint: 'a checkpoint',
  backup: 'a backup',
  missing: 'missing',
  superseded: 'superseded by the checkpoint; opening removes it',
  unfinished: 'unfinished, left by a crash; opening removes it',
  'kept-aside': 'the copy of a torn end; may be deleted',
  lock: 'names the process that has the store open',
  foreign: "none of the store's",
});

function inWords({ groups, lastGroup, entries, commits, lastVersion }: FileContent): string {
  const versions = lastVersion === 0 ? '' : `; versions up to ${lastVersion}`;
  return `${groups} groups whole, the last is ${lastGroup}; ${entries} entries, ${commits} of them commits${versions}`;
}

function describeGap(gap: Gap): string {
  return `bytes ${gap.from} to ${gap.to} cannot be read: ${missingGroups(gap) ?? 'no group is missing'}`;
}
