import { exportLines, type ExportProgress } from '../../kv/json-lines/export-lines.ts';
import type { Key } from '../../kv/key.ts';
import { encodeRange } from '../../kv/tuple.ts';
import { fromJson, type Json } from '../../kv/json-lines/json-codec.ts';
import { tellProgress, writeLines } from './lines-output.ts';
import { type Asked, CannotRunError, type ExitCode, type StoreCommand } from './store-command.ts';
import { openExisting, reasonOf } from './store-directory.ts';
import type { Terminal } from '../terminal.ts';

const usage = `semel export DIR [--out FILE] [--prefix KEY]

Writes what the store in DIR holds as lines of JSON, to standard output or to FILE, which must not exist. docs/backup.md has the
format. The store is opened for it, so no other process may have it; one that has calls exportLines of the library itself. Opening
repairs what a crash left.

  --out FILE    the file to write
  --prefix KEY  only the keys that begin with these parts, as JSON: '["order","ada"]'

Exit codes: 0 done, 1 the store cannot be opened or read (semel inspect says more), 2 it could not run. Progress on standard error.
`;

export const exportCommand: StoreCommand = {
  name: 'export',
  purpose: 'what a store holds, as lines of JSON',
  usage,
  wordsMax: 0,
  options: { out: 'string', prefix: 'string' },
  run: runExport,
};

async function runExport({ directory, options, signal }: Asked, terminal: Terminal): Promise<ExitCode> {
  const prefix = options['prefix'] === undefined ? {} : { prefix: readPrefix(options['prefix']) };
  let last: ExportProgress = { entries: 0, characters: 0 };
  const tell = tellProgress(terminal);
  const onProgress = (progress: ExportProgress): void => tell((last = progress));
  try {
    const store = await openExisting(directory);
    try {
      await writeLines(exportLines(store, { ...prefix, signal, onProgress }), options['out']);
    } finally {
      await store.close();
    }
  } catch (error) {
    if (error instanceof CannotRunError) throw error;
    terminal.tell(`semel export: ${reasonOf(error)}; nothing complete was written\n`);
    return 1;
  }
  terminal.tell(`${last.entries} entries exported\n`);
  return 0;
}

function readPrefix(text: string): Key {
  try {
    const json: Json = JSON.parse(text);
    const prefix = fromJson(json, '--prefix') as Key;
    encodeRange({ prefix });
    return prefix;
  } catch (error) {
    throw new CannotRunError(
      `--prefix is ${text}; expected the parts of a key, as '["order","ada"]': ${reasonOf(error)}`,
      {
        cause: error,
      },
    );
  }
}
