import { within } from '../../client/environment.ts';
import { CannotRunError, InvalidInputError } from '../check-error.ts';
import type { Effect } from './effect.ts';
import { defaultLimits } from '../limits.ts';
import { readPostgres } from './sql/postgres.ts';
import type { SqlReader } from './sql/rows.ts';
import { readSqlite } from './sql/sqlite.ts';
import { reasonOf } from '../wire.ts';

/** A count from a database. Whoever makes it closes it when the run is over. */
export interface SqlEffect extends Effect {
  /** The database, without user and password. */
  readonly database: string;
  /** The host that is asked; none of a file. */
  readonly hostname: string | undefined;
  close(): Promise<void>;
}

/**
 * The count is the first column of the only row of a query, a whole number. The database is `postgres://USER:PASSWORD@HOST/NAME`, for
 * which the package `pg` must be installed, or `sqlite:FILE`. The query cannot write.
 *
 * @throws InvalidInputError for a database that is neither
 */
export function countBySql(
  query: string,
  database: string,
  { answerMsMax = defaultLimits.answerMsMax }: { readonly answerMsMax?: number } = {},
): SqlEffect {
  if (query.trim() === '') throw new InvalidInputError('the query of the count is empty');
  const { reader, shown, hostname, secrets } = readDatabase(database, answerMsMax);
  return {
    database: shown,
    hostname,
    async count({ environment, signal }) {
      try {
        const { values } = await within(environment, answerMsMax, signal, () => reader.query(query));
        return countIn(values);
      } catch (error) {
        await reader.close();
        signal.throwIfAborted();
        const reason = secrets.reduce((text, secret) => text.replaceAll(secret, '…'), reasonOf(error));
        throw new CannotRunError(`the count by SQL in ${shown} cannot be read: ${reason}`);
      }
    },
    close: () => reader.close(),
  };
}

interface Database {
  readonly reader: SqlReader;
  readonly shown: string;
  readonly hostname: string | undefined;
  readonly secrets: readonly string[];
}

function readDatabase(database: string, queryMsMax: number): Database {
  if (database.startsWith('sqlite:') && database !== 'sqlite:') {
    const reader = readSqlite(database.slice('sqlite:'.length));
    return { reader, shown: database, hostname: undefined, secrets: [] };
  }
  const url = URL.parse(database);
  // What is not understood may have a password in it, so it is not repeated.
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol) || url.hostname === '') {
    throw new InvalidInputError(
      'a database is postgres://USER:PASSWORD@HOST/NAME, with / ? # of the password as %2F %3F %23, or sqlite:FILE',
    );
  }
  const { protocol, host, pathname, search, hash, hostname, password } = url;
  if (`${pathname}${search}${hash}`.includes('@')) {
    throw new InvalidInputError('the user or the password of the database has / ? # in it; write them as %2F %3F %23');
  }
  // The host is shown, and asked about where it is another machine: it must be the one that is connected to.
  if (url.searchParams.has('host'))
    throw new InvalidInputError('the host of the database is given twice; leave out ?host=');
  const given = [password, url.searchParams.get('password') ?? ''].filter((secret) => secret !== '');
  return {
    reader: readPostgres(database, queryMsMax),
    shown: `${protocol}//${host}${pathname}`,
    hostname,
    secrets: given.flatMap((secret) => [secret, decodeOrKeep(secret)]),
  };
}

function decodeOrKeep(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function countIn(values: readonly unknown[]): number {
  if (values.length !== 1) {
    throw new CannotRunError(`a count is one row, and the query answered ${values.length === 0 ? 'none' : 'several'}`);
  }
  const [value] = values;
  // Integers beyond 32 bits and all that is numeric come as text. A sum of a column with decimals has them, too.
  const isWhole = typeof value === 'number' || (typeof value === 'string' && /^-?\d+(\.0+)?$/.test(value));
  const count = Number(value);
  if (isWhole && Number.isSafeInteger(count)) return count;
  // A row may have no columns.
  const found = value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80);
  throw new CannotRunError(`a count is a whole number, and the query answered ${found}`);
}
