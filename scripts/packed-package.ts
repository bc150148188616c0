import { spawn, type ChildProcess } from 'node:child_process';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';

/** The package as the registry would have it. */
export interface PackedPackage {
  readonly tarball: string;
  /** What is in it, sorted. */
  readonly paths: readonly string[];
}

/** Builds and packs a copy of the repository, so that its own dist/ may be old, or be built by somebody else meanwhile. */
export async function packPackage(repository: string, directory: string): Promise<PackedPackage> {
  const copy = join(directory, 'semel');
  await mkdir(copy);
  const manifests = ['package.json', 'tsconfig.json', 'tsconfig.build.json'];
  const names = ['src', 'docs', 'README.md', 'CHANGELOG.md', 'LICENSE', ...manifests];
  for (const name of names) await cp(join(repository, name), join(copy, name), { recursive: true });
  await symlink(join(repository, 'node_modules'), join(copy, 'node_modules'));
  await run('npm', ['run', '--silent', 'build'], copy);
  const packed = await run('npm', ['pack', '--json', '--pack-destination', directory], copy);
  const listed: Record<string, PackListing> = JSON.parse(packed);
  const [entry] = Object.values(listed);
  if (entry === undefined) throw new Error(`npm pack answered ${packed}`);
  return {
    tarball: join(directory, entry.filename),
    paths: entry.files.map(({ path }) => path).toSorted(),
  };
}

interface PackListing {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** Makes an empty project with the tarball and these packages in it, in the versions that the repository has. */
export async function installProject(
  directory: string,
  { tarball }: PackedPackage,
  repository: string,
  packages: readonly string[],
): Promise<void> {
  await mkdir(directory);
  await writeFile(join(directory, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const wanted = packages.map(async (name) => {
    const manifest = await readFile(join(repository, 'node_modules', name, 'package.json'), 'utf8');
    const { version }: { version: string } = JSON.parse(manifest);
    return `${name}@${version}`;
  });
  const words = ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball, ...(await Promise.all(wanted))];
  await run('npm', words, directory);
}

/** Runs a command to its end, and answers what it printed. @throws when its status is not 0 */
export async function run(command: string, words: readonly string[], cwd: string): Promise<string> {
  const child = start(command, words, cwd);
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('the process has no pipes');
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  const [status, output, errors] = await Promise.all([ended, text(stdout), text(stderr)]);
  if (status === 0) return output;
  throw new Error(`${command} ${words.join(' ')}, in ${cwd}, ended with status ${status}\n${output}${errors}`);
}

/** Starts a command as its user would: without what npm and vitest tell their children. */
export function start(
  command: string,
  words: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(npm_(package|lifecycle|command|config_local)|INIT_CWD|VITEST|NODE_ENV|NODE_OPTIONS)/.test(name),
  );
  return spawn(command, words, {
    cwd,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
