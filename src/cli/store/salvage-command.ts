import { salvageStore } from '../../engines/embedded/salvage-store.ts';
import { linesOf } from '../../kv/json-lines/export-lines.ts';
import type { Terminal } from '../terminal.ts';
import { tellProgress, writeLines } from './lines-output.ts';
import { ownerOf } from './owner.ts';
import { readableDisk } from './readable-disk.ts';
import { type Asked, CannotRunError, type ExitCode, type StoreCommand } from './store-command.ts';
import { reasonOf } from './store-directory.ts';

const usage = `semel salvage DIR [--out FILE] [--until-damage]

Writes what is whole of a damaged store as lines of JSON, as semel export does, to standard output or to FILE, which must not exist. The
first line says under "salvaged" what cannot be read. semel import makes a new store of it. It reads alone: DIR is left as it is.

No transaction is there by half. But what was written in a damaged place is missing, or as old as what was written before, and what came
later is there; so the whole need never have been a state of the store, and whoever knows what the data mean has to look at it.

  --out FILE      the file to write
  --until-damage  only what stands before the first damage: a state that was, without anything that came later

Exit codes: 0 nothing is missing, 1 something is, and the rest was written; 2 it could not run. What is missing is told on standard error.
`;

export const salvageCommand: StoreCommand = {
  name: 'salvage',
  purpose: 'what is whole of a damaged store, as lines of JSON',
  usage,
  wordsMax: 0,
  options: { out: 'string', 'until-damage': 'boolean' },
  run: runSalvage,
};

async function runSalvage({ directory, options, flags }: Asked, terminal: Terminal): Promise<ExitCode> {
  const disk = await readableDisk(directory);
  const owner = await ownerOf(directory);
  if (owner !== undefined) {
    throw new CannotRunError(`${directory} is in use by ${owner}: it is not damaged, or has to be ended first`);
  }
  const { now, missing, entries } = await salvageStore(disk, { untilDamage: flags.has('until-damage') });
  let count = 0;
  const tell = tellProgress(terminal);
  const lines = linesOf({ now, salvaged: missing }, entries, (progress) =>
    tell({ entries: (count = progress.entries) }),
  );
  try {
    await writeLines(lines, options['out']);
  } catch (error) {
    if (error instanceof CannotRunError) throw error;
    throw new CannotRunError(`it could not be written: ${reasonOf(error)}`, { cause: error });
  }
  for (const one of missing) terminal.tell(`missing: ${one}\n`);
  terminal.tell(`${count} entries salvaged\n`);
  return missing.length === 0 ? 0 : 1;
}
