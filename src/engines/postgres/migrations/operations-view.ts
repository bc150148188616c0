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
    [operationName, operationRecord, recordKey, operationLock, operations]
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

/** More than the members before a record's result take, and less than what TOAST cuts a value into, so that no result is read for its size. */
const headBytes = 256;

/**
 * The members of a record, as far as its result. Zero bytes behind the head stand in for what is missing of a value that
 * is no record: no name is longer than 255 bytes, and a zero byte ends every number. A number has at most seven bytes,
 * which reach the year 10889, so that none is a time that PostgreSQL has not.
 *
 * A regular expression over the hexadecimal digits would be shorter and took 9 ms a record (measured); this takes 16 µs.
 */
const operationRecord = (schema: string): string => `\
create function ${schema}.operation_record(
  value bytea, out state text, out created_at timestamptz, out completed_at timestamptz,
  out expires_at timestamptz, out tombstone_until timestamptz, out result_bytes int
)
language plpgsql immutable strict parallel safe set search_path = pg_catalog as $$
declare
  head constant bytea := substring(value from 1 for ${headBytes}) || decode(repeat('00', ${headBytes + 16}), 'hex');
  at int := 2;
  name text;
  tag int;
  byte int;
  shift int;
  number bigint;
  moment timestamptz;
begin
  if get_byte(head, 0) <> 10 then
    return;
  end if;
  while at < ${headBytes} loop
    name := encode(substring(head from at + 2 for get_byte(head, at)), 'escape');
    at := at + 1 + get_byte(head, at);
    tag := get_byte(head, at);
    if name = 'result' then
      result_bytes := octet_length(value) - at;
    end if;
    exit when tag not in (3, 5, 6) or name = 'result';

    number := 0;
    shift := 0;
    loop
      at := at + 1;
      byte := get_byte(head, at);
      number := number | ((byte & 127)::bigint << shift);
      shift := shift + 7;
      exit when byte < 128 or shift = 49;
    end loop;
    at := at + 1;

    if tag = 3 then
      moment := to_timestamp(((number >> 1) # -(number & 1))::float8 / 1000);
      case name
        when 'createdAt' then created_at := moment;
        when 'completedAt' then completed_at := moment;
        when 'expiresAt' then expires_at := moment;
        when 'tombstoneUntil' then tombstone_until := moment;
        else null;
      end case;
    else
      if name = 'state' then
        state := encode(substring(head from at + 1 for least(number, ${headBytes})::int), 'escape');
      end if;
      at := at + least(number, ${headBytes})::int;
    end if;
  end loop;
end $$;
`;

/** The inverse of `operation_name`, so that one operation is found by the primary key. */
const recordKey = (schema: string): string => `\
create function ${schema}.record_key(scope text, key text) returns bytea
language sql immutable strict parallel safe
return decode('${prefix}02', 'hex') || convert_to(scope, 'UTF8')
  || decode('0002', 'hex') || convert_to(key, 'UTF8') || decode('00', 'hex');
`;

/** The number of the advisory lock on an operation: the first 8 bytes of SHA-256 over the schema's name, a zero byte and the record's key. */
const operationLock = (schema: string): string => `\
create function ${schema}.operation_lock(scope text, key text) returns bigint
language sql immutable strict parallel safe
return ('x' || encode(substring(sha256(
  convert_to('${schema.slice(1, -1)}', 'UTF8') || decode('00', 'hex') || ${schema}.record_key(scope, key)
) from 1 for 8), 'hex'))::bit(64)::bigint;
`;

/**
 * The states stand as a table of their own so that a question for those in progress decodes no record: no row of that
 * table is left to join one with.
 */
const operations = (schema: string): string => `\
create view ${schema}.operations as
select
  states.state, operation.scope, operation.key,
  record.created_at, record.completed_at, record.expires_at, record.tombstone_until, record.result_bytes,
  kv.key as record_key, null::int as pid, null::bigint as lock
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
  activity.xact_start, null, null, null, null, null,
  locks.pid, (locks.classid::bigint << 32) | locks.objid::bigint
from pg_locks as locks
left join pg_stat_activity as activity on activity.pid = locks.pid
where locks.locktype = 'advisory' and locks.objsubid = 1 and locks.mode = 'ExclusiveLock' and locks.granted
  and locks.database = (select oid from pg_database where datname = current_database());
`;

function hexOf(letters: string): string {
  return Buffer.from(letters).toString('hex');
}
