import type { EncodedKey } from '../../kv/tuple.ts';
import { encodedKeyOf, keyBytes, type StoredRow } from './row.ts';
import type { RowReader } from './row-reader.ts';
import type { Session } from './session.ts';
import type { Statements } from './statements.ts';

/** A conflict names its keys, but not a million of them; and it looks no further than this for them. */
const keysToldMax = 100;
const rowsLookedAtMax = 10_000;

/**
 * The keys that are no longer as a transaction read them. PostgreSQL tells that there was a conflict, not where; so this looks again, at
 * what is committed now.
 */
export async function changesSince(
  session: Session,
  sql: Statements,
  reader: RowReader,
): Promise<readonly EncodedKey[]> {
  const changed = new Set<EncodedKey>();
  const { rows: before } = reader;
  const differs = (key: EncodedKey, row: StoredRow | undefined): boolean =>
    before.get(key)?.version !== row?.version || !before.has(key);
  const keys = [...before.keys()].slice(0, rowsLookedAtMax);
  const answers = [
    session.query(sql.get, [keys.map(keyBytes)]),
    ...reader.ranges.map(({ start, end }) =>
      session.query(sql.forward, [keyBytes(start), end === undefined ? null : keyBytes(end), rowsLookedAtMax]),
    ),
  ];
  const [again, ...scanned] = (await Promise.all(answers)).map(({ rows }) => rows as StoredRow[]);
  const byKey = new Map(again?.map((row) => [encodedKeyOf(row), row]));
  for (const key of keys) if (differs(key, byKey.get(key))) changed.add(key);
  for (const row of scanned.flat()) if (differs(encodedKeyOf(row), row)) changed.add(encodedKeyOf(row));
  return [...changed].slice(0, keysToldMax);
}
