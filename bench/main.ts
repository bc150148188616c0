import { join } from 'node:path';
import { directories } from './directories.ts';
import { installPeers } from './install-peers.ts';
import { chosenOf, readOrder } from './order.ts';

/**
 *     npm run bench -- [--only <claim>] [--rounds 5] [--turn-ms 500] [--write]
 *
 * Measures each claim of claims/ against its peers, which are dependencies of bench/ alone, installed here when they are missing.
 * It runs the library's source, by the condition semel-source: Node.js strips the types, and what is left is what `npm run
 * build` writes. `--write` writes docs/performance.md with its pictures.
 */
const home = import.meta.dirname;
const order = readOrder({ turnMs: 500 });

installPeers();
// Only now, for they import the peers.
const { claims } = await import('./claims.ts');
const { measureClaims } = await import('./measure-claims.ts');
const { writePage } = await import('./performance-page.ts');

const measuring = {
  ...order,
  claimsModule: import.meta.resolve('./claims.ts'),
  places: directories(join(home, 'data')),
};
const { measured, machine } = await measureClaims(chosenOf(claims, order), measuring);
if (order.write) writePage(join(home, '..', 'docs'), measured, measuring, machine);
