import type { EncodedRange } from '../../kv/tuple.ts';
import { encodedKeyOf, type StoredRow } from './row.ts';
import type { RowReader } from './row-reader.ts';

/** A scan that stops soon should not fetch much; one that goes on should not often have to wait. */
const chunkRows = Object.freeze({ first: 64, max: 1_024 });

/** The rows of a range, in portions; `undefined` behind the last. */
export async function* rowsOf(
  reader: RowReader,
  whole: EncodedRange,
  { limit, reverse }: { readonly limit: number; readonly reverse: boolean },
): AsyncGenerator<StoredRow | undefined> {
  let { start, end } = whole;
  let count = Math.min(limit, chunkRows.first);
  for (;;) {
    const rows = await reader.chunk({ start, end }, count, reverse);
    const last = rows.at(-1);
    const isLast = rows.length < count || last === undefined;
    // What lies behind the last row of a full portion was not looked at.
    const lastKey = last === undefined ? undefined : encodedKeyOf(last);
    if (isLast) reader.scanned({ start, end });
    else if (reverse) reader.scanned({ start: lastKey ?? start, end });
    else reader.scanned({ start, end: `${lastKey}\0` });
    yield* rows;
    if (isLast || lastKey === undefined) break;
    if (reverse) end = lastKey;
    else start = `${lastKey}\0`;
    count = Math.min(count * 2, chunkRows.max);
  }
  yield undefined;
}
