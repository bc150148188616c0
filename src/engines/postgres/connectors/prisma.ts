/** The door `semel/postgres/prisma`. */
import type { Connector } from '../connector.ts';
import type { Answer, IsolationLevel } from '../session.ts';

/** What is used of a `PrismaClient` with the driver adapter `@prisma/adapter-pg`, and of its transactions. */
export interface PrismaQueries {
  $queryRawUnsafe<T>(text: string, ...values: unknown[]): PromiseLike<T>;
  $executeRawUnsafe(text: string, ...values: unknown[]): PromiseLike<number>;
}

type PrismaIsolation = 'Serializable' | 'RepeatableRead' | 'ReadCommitted';

export interface PrismaDatabase<Tx extends PrismaQueries> extends PrismaQueries {
  $transaction(
    body: (tx: Tx) => Promise<void>,
    options: { readonly isolationLevel: PrismaIsolation; readonly maxWait: number; readonly timeout: number },
  ): PromiseLike<void>;
}

/**
 * Opens a store's transactions with Prisma: `openStore({ connector: prismaConnector(prisma) })`. `await tx.client()` is then what Prisma
 * hands to the callback of `$transaction`.
 */
export function prismaConnector<Tx extends PrismaQueries>(prisma: PrismaDatabase<Tx>): Connector<Tx> {
  return {
    async transaction(isolation, body) {
      await prisma.$transaction(body, { isolationLevel: isolationLevels[isolation], ...waits });
    },
    async query(text, values, tx) {
      const queries = tx ?? prisma;
      if (!returnsRows(text)) return { rows: [], rowCount: await queries.$executeRawUnsafe(text, ...values) };
      const rows = await queries.$queryRawUnsafe<Record<string, unknown>[]>(text, ...values);
      return { rows: rows.map(asPg), rowCount: rows.length };
    },
    unwrap,
  };
}

const isolationLevels: Readonly<Record<IsolationLevel, PrismaIsolation>> = {
  serializable: 'Serializable',
  'repeatable read': 'RepeatableRead',
  'read committed': 'ReadCommitted',
};

/**
 * In milliseconds. Prisma ends a transaction that lasts longer than `timeout`; the store has bounds of its own, so this one is only the
 * longest that a timer takes. For a connection Prisma waits 2 s unless it is told otherwise, too short for a crowd.
 */
const waits = Object.freeze({ maxWait: 10_000, timeout: 2 ** 31 - 1 });

/** Prisma has one way for statements whose rows are wanted, and another for those whose number is. */
function returnsRows(text: string): boolean {
  return /^\s*(?:SELECT|WITH|VALUES|TABLE|SHOW|\()/i.test(text) || /\bRETURNING\b/i.test(text);
}

/** As `pg` hands it out. */
function asPg(row: Record<string, unknown>): Answer['rows'][number] {
  const entries = Object.entries(row).map(([name, value]) => [
    name,
    value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value,
  ]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}

/** What PostgreSQL said is within what the adapter said, which is thrown as it is or told in the `meta` of Prisma's own error. */
function unwrap(error: unknown): unknown {
  const { cause, meta } = Object(error) as PrismaError;
  const { originalCode, originalMessage, severity = 'ERROR' } = meta?.driverAdapterError?.cause ?? cause ?? {};
  if (originalCode === undefined) return error;
  return Object.assign(new Error(originalMessage, { cause: error }), { code: originalCode, severity });
}

interface PrismaError {
  readonly cause?: {
    readonly originalCode?: string;
    readonly originalMessage?: string;
    readonly severity?: string;
  };
  readonly meta?: { readonly driverAdapterError?: PrismaError };
}
