import { join } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../../src/testing/postgres-server.harness.ts';
import { installPeers } from '../install-peers.ts';
import { chosenOf, readOrder } from '../order.ts';
import { databases } from './databases.ts';

/**
 *     npm run bench:postgres -- [--only <claim>] [--rounds 5] [--turn-ms 2000] [--write]
 *
 * Measures what is claimed of Semel on PostgreSQL, each contender in a database of its own on one server, which npm brings and which
 * waits for the disk as it does by its own settings. `--write` writes docs/performance-postgres.md.
 */
const order = readOrder({ turnMs: 2_000 });

installPeers();
// Only now, for they import the peers.
const { claims } = await import('./claims.ts');
const { measureClaims } = await import('../measure-claims.ts');
const { writePage } = await import('./performance-page.ts');

const chosen = chosenOf(claims, order);
const server = await startPostgres({ settings: { fsync: 'on', max_connections: '300' } });
try {
  await requireDurable(server.url);
  const measuring = { ...order, claimsModule: import.meta.resolve('./claims.ts'), places: databases(server) };
  const { measured, machine } = await measureClaims(chosen, measuring);
  if (order.write) writePage(join(import.meta.dirname, '..', '..', 'docs'), measured, measuring, machine);
} finally {
  await server.stop();
}

async function requireDurable(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (const setting of ['fsync', 'synchronous_commit', 'full_page_writes']) {
    const { rows } = await client.query<Record<string, string>>(`SHOW ${setting}`);
    if (rows[0]?.[setting] !== 'on') throw new Error(`the server has ${setting} = ${rows[0]?.[setting]}`);
  }
  await client.end();
}
