import process from 'node:process';
import { text } from 'node:stream/consumers';
import pg from 'pg';

/** `run-sql.ts <FILE` types statements into the database of DATABASE_URL, and prints what the last of them answers, as psql does. */
const client = new pg.Client({ connectionString: process.env['DATABASE_URL'] });
await client.connect();
try {
  // Of several statements the answers come as an array, which the types of pg do not say.
  const answers = [await client.query<unknown[]>({ text: await text(process.stdin), rowMode: 'array' })].flat();
  const answer = answers.findLast(({ fields }) => fields.length > 0);
  if (answer !== undefined) process.stdout.write(tableOf(answer));
} finally {
  await client.end();
}

function tableOf({ fields, rows }: pg.QueryArrayResult): string {
  const cells = [fields.map(({ name }) => name), ...rows.map((row) => row.map(inWords))];
  const widths = fields.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => ` ${cell.padEnd(widths[column] ?? 0)} `)
      .join('|')
      .trimEnd(),
  );
  const [head = '', ...body] = lines;
  const rule = widths.map((width) => '-'.repeat(width + 2)).join('+');
  return [head, rule, ...body, `(${rows.length} ${rows.length === 1 ? 'row' : 'rows'})`, ''].join('\n');
}

function inWords(value: unknown): string {
  if (value === null) return '';
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return value instanceof Date ? value.toISOString() : String(value);
}
