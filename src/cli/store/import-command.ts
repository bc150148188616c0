import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { openStore } from '../../engines/embedded/embedded.ts';
import { importLines, type ImportResult } from '../../kv/json-lines/import-lines.ts';
import type { Terminal } from '../terminal.ts';
import { tellProgress } from './lines-output.ts';
import { type Asked, CannotRunError, type ExitCode, type StoreCommand } from './store-command.ts';
import { namesIn, reasonOf } from './store-directory.ts';

const usage = `semel import DIR [FILE]

Makes a store in DIR of the lines that semel export, or exportLines, wrote: from FILE, or from standard input. DIR must not exist, or be
empty. The import goes to DIR.importing, which gets the name DIR when it is complete; so DIR is there as a whole or not at all.

Versions are not carried over, and operations after the export are unknown to the copy: their retries execute again there.

Exit codes: 0 done, 1 the lines are not as they were exported, or the store failed, and DIR was not made; 2 it could not run. Progress on
standard error.
`;

export const importCommand: StoreCommand = {
  name: 'import',
  purpose: 'a new store, from such lines',
  usage,
  wordsMax: 1,
  options: {},
  run: runImport,
};

async function runImport({ directory, words: [file], signal }: Asked, terminal: Terminal): Promise<ExitCode> {
  const target = resolve(directory);
  const unfinished = `${target}.importing`;
  if (((await namesIn(target)) ?? []).length > 0) throw new CannotRunError(`${directory} is not empty`);
  if ((await namesIn(unfinished)) !== undefined) {
    throw new CannotRunError(
      `${unfinished} is there, from an import that runs or was cut; remove it in the latter case`,
    );
  }
  const input = file === undefined || file === '-' ? undefined : await openInput(file);
  let result: ImportResult;
  try {
    result = await importInto(unfinished, linesOf(input, signal), signal, terminal);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    terminal.tell(`semel import: ${reasonOf(error)}; ${directory} was not made\n`);
    return 1;
  } finally {
    await input?.close();
  }
  await rename(unfinished, target);
  await syncDirectory(dirname(target));
  for (const missing of result.salvaged ?? []) terminal.tell(`salvaged from a damaged store: ${missing}\n`);
  terminal.tell(`${result.entries} entries imported\n`);
  return 0;
}

async function importInto(
  directory: string,
  lines: AsyncIterable<string>,
  signal: AbortSignal,
  terminal: Terminal,
): Promise<ImportResult> {
  const store = await openStore({ directory });
  try {
    return await importLines(store, lines, { signal, onProgress: tellProgress(terminal) });
  } finally {
    await store.close();
  }
}

async function openInput(file: string): Promise<FileHandle> {
  try {
    return await open(file);
  } catch (error) {
    throw new CannotRunError(reasonOf(error), { cause: error });
  }
}

/** Begins to read when it is asked for the first line: what a reader of lines finds before anybody listens is lost. */
async function* linesOf(input: FileHandle | undefined, signal: AbortSignal): AsyncGenerator<string> {
  if (input === undefined) yield* createInterface({ input: process.stdin, crlfDelay: Infinity, signal });
  else yield* input.readLines({ autoClose: false, signal });
}

/** A directory's entry stands in its parent. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
