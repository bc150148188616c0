import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { rowsMax, type Rows, type SqlReader } from './rows.ts';

type Reply = { readonly values: Rows['values'] } | { readonly error: string };

/**
 * By `node:sqlite`, in a process of its own: there a query is synchronous and cannot be interrupted, so that in this process a long
 * one would hold up the requests under check, and none could be bounded in time. A process can be killed.
 */
export function readSqlite(file: string): SqlReader {
  let child: ChildProcess | undefined;
  return {
    async query(text) {
      if (child?.connected !== true) child = startReader(file);
      const reply = nextReply(child);
      child.send(text);
      const answered = await reply;
      if ('error' in answered) throw new Error(answered.error);
      return answered;
    },
    async close() {
      const running = child;
      child = undefined;
      if (running?.connected !== true) return;
      const exit = once(running, 'exit');
      running.kill('SIGKILL');
      await exit;
    },
  };
}

function startReader(file: string): ChildProcess {
  // Node.js 22.12 has it behind this flag, later ones have it without, and may not know the flag.
  const flags = process.getBuiltinModule('node:sqlite') === undefined ? ['--experimental-sqlite'] : [];
  const words = [...flags, '--no-warnings', '--input-type=module', '--eval', serveQueries, file, `${rowsMax}`];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  // That it did not start is told by its exit, or by this where there is none.
  child.on('error', () => undefined);
  return child;
}

function nextReply(child: ChildProcess): Promise<Reply> {
  return new Promise((resolve) => {
    const settle = (reply: Reply): void => {
      child.off('message', settle).off('close', onClose);
      resolve(reply);
    };
    const onClose = (): void => settle({ error: 'the process that reads it ended' });
    child.on('message', settle).on('close', onClose);
  });
}

/** The program of the other process. It is text, so that it runs whatever a bundler made of this file. */
const serveQueries = `
  const [file, rowsMax] = process.argv.slice(1);
  const sqlite = process.getBuiltinModule('node:sqlite');
  const query = (text) => {
    if (sqlite === undefined) throw new Error('Node.js ' + process.versions.node + ' has no node:sqlite; take a build of 22.12 or newer that has it');
    const database = new sqlite.DatabaseSync(file, { readOnly: true });
    try {
      // A writer holds the lock for a moment.
      database.exec('PRAGMA busy_timeout = 10000');
      const statement = database.prepare(text);
      if (text.slice(statement.sourceSQL.length).trim() !== '') throw new Error('the query has more than one statement');
      statement.setReadBigInts(true);
      // Without it an object has columns in order, save those whose names are numbers. Node.js 22.12 has nothing else.
      statement.setReturnArrays?.(true);
      return statement.all().slice(0, Number(rowsMax)).map((row) => Object.values(row)[0]);
    } finally {
      database.close();
    }
  };
  // Ctrl-C is for the one who counts: it decides what becomes of the run.
  process.on('SIGINT', () => undefined);
  process.on('message', (text) => {
    try {
      process.send({ values: query(text).map((value) => (typeof value === 'bigint' ? String(value) : value)) });
    } catch (error) {
      process.send({ error: error instanceof Error ? error.message : String(error) });
    }
  });
`;
