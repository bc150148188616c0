import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import process from 'node:process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ExportProgress } from '../../kv/json-lines/export-lines.ts';
import type { Terminal } from '../terminal.ts';
import { CannotRunError } from './store-command.ts';
import { codeOf } from './store-directory.ts';

/**
 * Writes lines, each with its end, to a file that is not there yet, or to standard output. A file that is not written to its end
 * is removed. @throws CannotRunError where the file exists
 */
export async function writeLines(lines: AsyncIterable<string>, file: string | undefined): Promise<void> {
  if (file === undefined) {
    await pipeline(Readable.from(withEnds(lines)), process.stdout, { end: false });
    return;
  }
  try {
    await pipeline(Readable.from(withEnds(lines)), createWriteStream(file, { flags: 'wx', flush: true }));
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw new CannotRunError(`${file} exists already`, { cause: error });
    await rm(file, { force: true });
    throw error;
  }
}

/** Lines of many small entries go in pieces, so that each is not a write of its own. */
const pieceCharacters = 65_536;

async function* withEnds(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let piece = '';
  for await (const line of lines) {
    piece += `${line}\n`;
    if (piece.length < pieceCharacters) continue;
    yield piece;
    piece = '';
  }
  yield piece;
}

/** How far it is, now and then. */
export function tellProgress(terminal: Terminal): (progress: Pick<ExportProgress, 'entries'>) => void {
  let told = 0;
  return ({ entries }) => {
    if (entries - told < entriesBetween) return;
    told = entries;
    terminal.tell(`${entries} entries so far\n`);
  };
}

/** Some seconds' worth. */
const entriesBetween = 100_000;
