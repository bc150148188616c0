import process from 'node:process';
import { text } from 'node:stream/consumers';
import pg from 'pg';

type Cells = readonly (string | null)[];

/** `run-sql.ts <FILE` types statements into the database of DATABASE_URL, and prints what the last of them answers, as psql does. */
const client = new pg.Client({ connectionString: process.env['DATABASE_URL'] });
await client.connect();
try {
  // As the server spells them.
  const types = { getTypeParser: () => (cell: string) => cell };
  // Of several statements the answers come as an array, which the types of pg do not say.
  const answers = [
    await client.query<(string | null)[]>({ text: await text(process.stdin), rowMode: 'array' as const, types }),
  ].flat();
  const answer = answers.findLast(({ fields }) => fields.length > 0);
  if (answer !== undefined) process.stdout.write(tableOf(answer));
} finally {
  await client.end();
}

function tableOf({ fields, rows }: pg.QueryArrayResult<(string | null)[]>): string {
  const cells: readonly Cells[] = [fields.map(({ name }) => name), ...rows];
  const widths = fields.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const [head = '', ...body] = cells.map((row) =>
    widths
      .map((width, column) => ` ${(row[column] ?? '').padEnd(width)} `)
      .join('|')
      .trimEnd(),
  );
  const rule = widths.map((width) => '-'.repeat(width + 2)).join('+');
  return [head, rule, ...body, `(${rows.length} ${rows.length === 1 ? 'row' : 'rows'})`, ''].join('\n');
}
