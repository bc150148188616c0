import type { EncodedKey } from '../../kv/tuple.ts';
import { encodedKeyOf, keyBytes, type StoredRow } from './row.ts';
import type { RowReader } from './row-reader.ts';
import type { Session } from './session.ts';
import type { Statements } from './statements.ts';

/** A conflict names its keys, but not a million of them; and no more of a range is looked at for them than this. */
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
  const { versions: before } = reader;
  const differs = (key: EncodedKey, row: StoredRow | undefined): boolean =>
    before.get(key) !== row?.version || !before.has(key);
  const keys = [...before.keys()];
  const answers = [
    session.look<StoredRow>(sql.get, [keys.map(keyBytes)]),
    ...reader.ranges.map(({ start, end }) =>
      session.look<StoredRow>(sql.forward, [
        keyBytes(start),
        end === undefined ? null : keyBytes(end),
        rowsLookedAtMax,
      ]),
    ),
  ];
  const [again, ...scanned] = (await Promise.all(answers)).map(({ rows }) => rows);
  const byKey = new Map(again?.map((row) => [encodedKeyOf(row), row]));
  for (const key of keys) if (differs(key, byKey.get(key))) changed.add(key);
  for (const row of scanned.flat()) if (differs(encodedKeyOf(row), row)) changed.add(encodedKeyOf(row));
  return [...changed].slice(0, keysToldMax);
}
