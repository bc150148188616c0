import { Socket } from 'node:net';
import { parseArgs } from 'node:util';
import type { Client } from 'pg';
import { defaultSchema, migrate, migrationsSql, readVersion, refuseNewer } from '../engines/postgres/migrate.ts';
import { InvalidArgumentError, SemelError } from '../kv/errors.ts';
import { CannotRunError, type ExitCode } from './store/store-command.ts';
import type { Terminal } from './terminal.ts';

const usage = `semel migrate --postgres URL [--schema S] [--print]

Makes Semel's schema in a PostgreSQL database, or brings it to the version that this semel needs. All of the way or not at all; it may run
while others run it, and where nothing is to be done it changes nothing. The role needs the right to create; docs/postgres.md has which, and
those of the role that runs.

  --postgres  postgres://USER:PASSWORD@HOST/NAME; without a password there, that of the environment variable PGPASSWORD
  --schema    the schema's name, ${defaultSchema} unless told otherwise
  --print     the SQL instead, for psql; without --postgres for a database that has nothing of Semel's

Exit codes: 0 done, or nothing was to be done, 1 the database refused it, 2 it could not run. Progress on standard error.
`;

interface Asked {
  readonly url: string | undefined;
  readonly schema: string;
  readonly print: boolean;
}

export const migrateCommand = Object.freeze({
  name: 'migrate',
  purpose: "makes or updates Semel's schema in PostgreSQL",
});

/** `semel migrate`. Nothing that it says contains a password. */
export async function runMigrateCommand(words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    const asked = readWords(words);
    if (asked === 'help') {
      terminal.print(usage);
      return 0;
    }
    const { url, schema, print } = asked;
    if (url === undefined) {
      terminal.print(migrationsSql(schema));
      return 0;
    }
    return await connected(url, (client) =>
      print ? printMissing(client, schema, terminal) : run(client, schema, terminal),
    );
  } catch (error) {
    if (error instanceof CannotRunError || error instanceof InvalidArgumentError) {
      terminal.tell(`semel migrate: ${error.message}\nsemel migrate --help says more\n`);
      return 2;
    }
    terminal.tell(`semel migrate: ${refusalOf(error)}\n`);
    return 1;
  }
}

async function run(client: Client, schema: string, terminal: Terminal): Promise<ExitCode> {
  const { from, to } = await migrate(client, { schema });
  terminal.tell(from === to ? nothingToDo(schema, to) : `schema ${schema}: from version ${from} to ${to}\n`);
  return 0;
}

async function printMissing(client: Client, schema: string, terminal: Terminal): Promise<ExitCode> {
  const from = await readVersion(client, schema);
  refuseNewer(schema, from);
  const sql = migrationsSql(schema, from);
  if (sql === '') terminal.tell(nothingToDo(schema, from));
  else terminal.print(sql);
  return 0;
}

function nothingToDo(schema: string, version: number): string {
  return `schema ${schema} has version ${version}; nothing is to be done\n`;
}

/** @throws CannotRunError */
function readWords(words: readonly string[]): Asked | 'help' {
  const { values } = parse(words);
  if (values.help === true) return 'help';
  const { postgres: url, schema = defaultSchema, print = false } = values;
  if (url === undefined && !print) throw new CannotRunError('which database? --postgres takes its URL');
  return { url, schema, print };
}

const options = {
  postgres: { type: 'string' },
  schema: { type: 'string' },
  print: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

function parse(words: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof options }>> {
  try {
    return parseArgs({ args: [...words], options });
  } catch (error) {
    // A word that is not understood may well be a URL with its password, so it is not repeated.
    if (error instanceof Error && 'code' in error && error.code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') {
      throw new CannotRunError('it takes options alone; the URL follows --postgres', { cause: error });
    }
    throw new CannotRunError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Who does not answer within it is not going to: a migration holds locks, so it is made to take moments. */
const answerMsMax = 10_000;

/** @throws CannotRunError where there is no connection; else what `act` throws */
async function connected(url: string, act: (client: Client) => Promise<ExitCode>): Promise<ExitCode> {
  const socket = new Socket();
  const client = await clientFor(url, socket);
  // What breaks while a query is under way fails the query; while none is, it matters to nobody.
  client.on('error', () => undefined);
  try {
    await client.connect().catch((error: unknown) => {
      throw new CannotRunError(`no connection: ${reasonOf(error)}`, { cause: error });
    });
    const code = await act(client);
    await client.end();
    return code;
  } finally {
    socket.destroy();
  }
}

async function clientFor(url: string, socket: Socket): Promise<Client> {
  const unusable = 'the URL after --postgres is none such as postgres://USER:PASSWORD@HOST/NAME; %2F, %3F and %23 in a';
  const { Client } = await loadPg();
  try {
    if (!/^postgres(?:ql)?:\/\//.test(url)) throw new TypeError('another protocol');
    return new Client({
      connectionString: url,
      connectionTimeoutMillis: answerMsMax,
      query_timeout: answerMsMax,
      application_name: 'semel migrate',
      stream: () => socket,
    });
  } catch (error) {
    throw new CannotRunError(`${unusable} password stand for /, ? and #`, { cause: error });
  }
}

/** `pg` is an optional peer: only they have it who use PostgreSQL. */
async function loadPg(): Promise<{ readonly Client: typeof Client }> {
  try {
    return await import('pg');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error;
    throw new CannotRunError('it needs the package pg: npm install pg', { cause: error });
  }
}

function refusalOf(error: unknown): string {
  const reason = reasonOf(error);
  switch (codeOf(error)) {
    case '42501':
      return `the role lacks a right: ${reason}; see "Schema and rights" in docs/postgres.md`;
    case '55P03':
      return `another migration, or a transaction that does not end, is in the way: ${reason}; nothing was changed`;
    case '25006':
      return `this server only reads, as a replica does: ${reason}; migrate its primary`;
    default:
      // Without the server's own word nobody knows how far it went.
      return isOfServer(error) || error instanceof SemelError
        ? reason
        : `${reason}; run it again, which tells what there is`;
  }
}

function reasonOf(error: unknown): string {
  // Node.js says it so where a name has several addresses and none of them answers.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ');
  if (!(error instanceof Error)) return String(error);
  return /^(?:timeout expired|Query read timeout)$/.test(error.message)
    ? `no answer within ${answerMsMax} ms`
    : error.message;
}

/** Five characters, as the standard of SQL has them. */
function isOfServer(error: unknown): boolean {
  return /^[0-9A-Z]{5}$/.test(String(codeOf(error)));
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
