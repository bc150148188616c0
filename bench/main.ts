import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';

/**
 *     npm run bench -- [--only <claim>] [--rounds 5] [--turn-ms 500] [--write]
 *
 * Measures each claim of claims/ against its peers, which are dependencies of bench/ alone, installed here when they are missing.
 * It runs the library's source, by the condition semel-source: Node.js strips the types, and what is left is what `npm run
 * build` writes. `--write` writes docs/performance.md with its pictures.
 */
const home = import.meta.dirname;
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    'turn-ms': { type: 'string', default: '500' },
    write: { type: 'boolean', default: false },
  },
});

installPeers();
// Only now, for they import the peers.
const { claims } = await import('./claims.ts');
const { measure } = await import('./measure.ts');
const { reportLines } = await import('./report.ts');
const { describeMachine } = await import('./machine.ts');
const { writePage } = await import('./performance-page.ts');

const chosen = claims.filter(({ name }) => values.only === undefined || name === values.only);
if (chosen.length === 0)
  throw new Error(`no claim "${values.only}"; there are ${claims.map(({ name }) => name).join(', ')}`);
if (values.write && chosen.length < claims.length)
  throw new Error('the page is written of all claims, measured in one run');

const measuring = {
  rounds: Number(values.rounds),
  turnMs: Number(values['turn-ms']),
  directory: join(home, 'data'),
};
const before = describeMachine();
console.log(before);
const measured = [];
for (const claim of chosen) {
  const figures = await measure(claim, measuring);
  console.log(`\n${reportLines(figures).join('\n')}`);
  measured.push(figures);
}
const after = describeMachine();
console.log(`\n${after}`);
if (values.write) writePage(join(home, '..', 'docs'), measured, measuring, [before, after]);

function installPeers(): void {
  if (existsSync(join(home, 'node_modules', 'lmdb'))) return;
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: home, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
