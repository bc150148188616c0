import type { Entry, Value } from 'semel';

/** `{ "key", "value", "version" }`, as every answer shows an entry. */
export function entryJson(key: string, entry: Pick<Entry, 'value' | 'version'>): string {
  const { version } = entry;
  if (version === undefined) throw new Error('assertion failed: only committed entries are shown');
  return JSON.stringify({ key, value: jsonOf(entry.value), version });
}

/** Nothing but JSON enters through the service, so nothing else can come out. */
function jsonOf(value: Value): Value {
  if (typeof value === 'bigint' || value instanceof Uint8Array) {
    throw new TypeError('the stored value is no JSON: it was not written by this service');
  }
  return value;
}
