import type { Migration } from './migration.ts';

/**
 * For people: `select * from semel.operations`. The functions undo in SQL what kv/tuple.ts, kv/value-codec.ts and the
 * record of the idempotency layer do, as far as a person wants to see it. What they cannot read they answer null for, and
 * the view leaves it out, so that no entry of somebody else's making fails the query.
 */
export const operationsView: Migration = {
  version: 2,
  name: 'operations view',
  sql: (schema) =>
    [operationName, recordTime, operationRecord, operationLock, operations]
      .map((part) => part(`"${schema}"`))
      .join('\n'),
};

/** Of ['idempotency', 'record', scope, key] what precedes the scope. */
const prefix = `02${hexOf('idempotency')}0002${hexOf('record')}00`;
const prefixBytes = prefix.length / 2;

/** A byte of UTF-8 (RFC 3629, section 4), or all bytes of one character; or a zero byte inside of a text, which an 0xff follows. */
const character = [
  '0[1-9a-f]|[1-7].|00ff',
  '(?:c[2-9a-f]|d.)[89ab].',
  '(?:e0[ab].|e[1-9a-cef][89ab].|ed[89].)[89ab].',
  '(?:f0[9ab].|f[1-3][89ab].|f48.)(?:[89ab].){2}',
].join('|');

/**
 * PostgreSQL's text has no zero byte, so one in a scope is shown as the symbol for it, U+2400. The format 'escape' spells
 * the pair `\000\377`; nothing else can, since 0xff is in no UTF-8. Then the zero bytes left are the ends of texts.
 */
const operationName = (schema: string): string => `\
create function ${schema}.operation_name(record_key bytea, out scope text, out key text)
language plpgsql immutable strict parallel safe set search_path = pg_catalog as $$
declare
  texts bytea := substring(record_key from ${prefixBytes + 1});
  cut int;
begin
  if encode(texts, 'hex') ~ '^02(?:${character})*0002(?:${character})*00$' then
    texts := decode(replace(encode(texts, 'escape'), E'\\\\000\\\\377', E'\\\\342\\\\220\\\\200'), 'escape');
    cut := position(decode('0002', 'hex') in texts);
    scope := convert_from(substring(texts from 2 for cut - 2), 'UTF8');
    key := convert_from(substring(texts from cut + 2 for octet_length(texts) - cut - 2), 'UTF8');
  end if;
end $$;
`;

/** Hexadecimal digits of a zigzag varint, and at most seven bytes of it, which reach the year 10889. */
const varint = '((?:[89a-f].){0,6}[0-7].)';

const recordTime = (schema: string): string => `\
create function ${schema}.record_time(varint text) returns timestamptz
language sql immutable strict parallel safe
return (
  select to_timestamp(((bits >> 1) # -(bits & 1)) / 1000.0)
  from (
    select bit_or((get_byte(bytes, at) & 127)::bigint << (7 * at)) as bits
    from decode(varint, 'hex') as bytes, generate_series(0, octet_length(bytes) - 1) as at
  ) as number
);
`;

/** The members of a record up to its result, in the order in which the layer writes them. */
const record = [
  `0a0[478]${text('state')}05(${['complete', 'expired', 'cancelled'].map(text).join('|')})`,
  `${text('createdAt')}03${varint}`,
  `${text('completedAt')}03${varint}`,
  `(?:${text('expiresAt')}03${varint})?`,
  `${text('tombstoneUntil')}03${varint}`,
  `(?:${text('algorithm')}03${varint}${text('digest')}0620.{64})?`,
  `(?:${text('result')}|$)`,
].join('');

/** More than the members of \`record\` take, less than a page of TOAST, so that no result is read for its size. */
const recordHeadBytes = 256;

const operationRecord = (schema: string): string => `\
create function ${schema}.operation_record(
  value bytea, out state text, out created_at timestamptz, out completed_at timestamptz,
  out expires_at timestamptz, out tombstone_until timestamptz, out result_bytes int
)
language plpgsql immutable strict parallel safe set search_path = pg_catalog as $$
declare
  found constant text[] := regexp_match(encode(substring(value from 1 for ${recordHeadBytes}), 'hex'), '^(${record})');
begin
  if found is not null then
    state := convert_from(decode(substring(found[2] from 3), 'hex'), 'UTF8');
    created_at := ${schema}.record_time(found[3]);
    completed_at := ${schema}.record_time(found[4]);
    expires_at := ${schema}.record_time(found[5]);
    tombstone_until := ${schema}.record_time(found[6]);
    if state = 'complete' then
      result_bytes := octet_length(value) - length(found[1]) / 2;
    end if;
  end if;
end $$;
`;

/** The lock that the engine takes on the record's key: see advisory locks in docs/postgres.md. */
const operationLock = (schema: string): string => `\
create function ${schema}.operation_lock(scope text, key text) returns bigint
language sql immutable strict parallel safe
return ('x' || encode(substring(sha256(
  convert_to('${schema.slice(1, -1)}', 'UTF8') || decode('00${prefix}02', 'hex')
    || convert_to(scope, 'UTF8') || decode('0002', 'hex') || convert_to(key, 'UTF8') || decode('00', 'hex')
) from 1 for 8), 'hex'))::bit(64)::bigint;
`;

/**
 * The states stand as a table of their own so that a question for those in progress reads no record: no row of that table
 * is left to join one with.
 */
const operations = (schema: string): string => `\
create view ${schema}.operations as
select
  states.state, operation.scope, operation.key,
  record.created_at, record.completed_at, record.expires_at, record.tombstone_until, record.result_bytes,
  null::int as pid, null::bigint as lock
from (values ('complete'), ('expired'), ('cancelled')) as states (state)
join (
  ${schema}.kv
  cross join lateral ${schema}.operation_record(kv.value) as record
  cross join lateral ${schema}.operation_name(kv.key) as operation
) on states.state =
  case when record.state = 'complete' and record.expires_at <= statement_timestamp() then 'expired' else record.state end
where kv.key >= decode('${prefix}', 'hex') and kv.key < decode('${prefix}ff', 'hex')
  and record.tombstone_until > statement_timestamp() and operation.scope is not null
union all
select
  'in-progress', null, null,
  activity.xact_start, null, null, null, null,
  locks.pid, locks.classid::bigint << 32 | locks.objid::bigint
from pg_locks as locks
left join pg_stat_activity as activity on activity.pid = locks.pid
where locks.locktype = 'advisory' and locks.objsubid = 1 and locks.mode = 'ExclusiveLock' and locks.granted
  and locks.database = (select oid from pg_database where datname = current_database());
`;

/** As a value's bytes have it, in hexadecimal: its length and its letters. */
function text(letters: string): string {
  return letters.length.toString(16).padStart(2, '0') + hexOf(letters);
}

function hexOf(letters: string): string {
  return Buffer.from(letters).toString('hex');
}
