import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

/** Installs what package.json of this folder names, unless all of it is there. */
export function installPeers(): void {
  const home = import.meta.dirname;
  const { dependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as Manifest;
  if (Object.keys(dependencies).every((name) => existsSync(join(home, 'node_modules', name)))) return;
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: home, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
}
