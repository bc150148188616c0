import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { readHouse } from './house.ts';
import { installProject, packPackage, run, start, type PackedPackage } from './packed-package.ts';

const repository = join(import.meta.dirname, '..');
const directory = mkdtempSync(join(tmpdir(), 'semel-package-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Project {
  readonly name: string;
  /** What its user has installed beside Semel. */
  readonly packages: readonly string[];
  /** The doors that need one of these; all doors that need nothing are tried in every project. */
  readonly doors: readonly string[];
  readonly examples: readonly string[];
}

const projects: readonly Project[] = [
  { name: 'plain', packages: [], doors: [], examples: ['fetch-handler', 'client'] },
  { name: 'fastify', packages: ['fastify'], doors: ['semel/fastify'], examples: ['fastify'] },
  { name: 'express', packages: ['express', '@types/express'], doors: ['semel/express'], examples: ['express'] },
  { name: 'hono', packages: ['hono', '@hono/node-server'], doors: ['semel/hono'], examples: ['hono'] },
  {
    name: 'opentelemetry',
    packages: ['@opentelemetry/api'],
    doors: ['semel/opentelemetry'],
    examples: [],
  },
  { name: 'vitest', packages: ['vitest'], doors: ['semel/testing'], examples: [] },
  {
    name: 'pg',
    packages: ['pg', '@types/pg'],
    doors: ['semel/postgres', ...['drizzle', 'kysely', 'knex', 'prisma'].map((orm) => `semel/postgres/${orm}`)],
    examples: ['postgres-histories', 'postgres-pg'],
  },
];
const projectDirectory = ({ name }: Project): string => join(directory, name);
/** Those that serve nothing. Where they need PostgreSQL, tests of their own run them, in src. */
const programs = ['client', 'postgres-histories', 'postgres-pg'];
const servers = projects.flatMap((project) =>
  project.examples.filter((example) => !programs.includes(example)).map((example) => ({ project, example })),
);

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { optional?: boolean }>>;
}

const manifest: Manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
const allDoors = Object.keys(manifest.exports)
  .filter((door) => !door.endsWith('.json'))
  .map((door) => posix.join('semel', door));
const doorsThatNeed = new Set(projects.flatMap(({ doors }) => doors));
const doorsOf = ({ doors }: Project): string[] => [...allDoors.filter((door) => !doorsThatNeed.has(door)), ...doors];

/** Node.js 24, and the oldest for the library where npm has it; scripts/node22.ts says where not. */
const nodes = [
  { version: process.version, node: process.execPath, flags: [] },
  ...globSync('node22/node_modules/node-*/bin/node', { cwd: import.meta.dirname }).map((path) => ({
    version: 'v22.12.0',
    node: join(import.meta.dirname, path),
    flags: ['--experimental-strip-types', '--no-warnings'],
  })),
];

let packed: PackedPackage;

beforeAll(async () => {
  packed = await packPackage(repository, directory);
  await Promise.all(
    projects.map(async (project) => {
      const packages = ['@types/node', ...project.packages];
      await installProject(projectDirectory(project), packed, repository, packages);
      for (const example of project.examples) {
        await copyFile(join(repository, 'examples', `${example}.ts`), join(projectDirectory(project), `${example}.ts`));
      }
    }),
  );
}, 300_000);

describe('the tarball', () => {
  test('the tarball holds what the doors and the command reach, with types and sources, and the documents, and nothing else', () => {
    const modules = [...reachedFromDoors()].map((path) => path.replace(/^src\/(.*)\.ts$/, '$1'));
    expect(modules.length).toBeGreaterThan(50);
    const expected = modules.flatMap((name) => [
      `src/${name}.ts`,
      ...['js', 'js.map', 'd.ts', 'd.ts.map'].map((extension) => `dist/${name}.${extension}`),
    ]);
    expected.push('CHANGELOG.md', 'LICENSE', 'README.md', 'package.json');
    // The README links to them, and they are of the very version that is installed.
    expected.push(...globSync('docs/**/*.{md,svg,json}', { cwd: repository }));
    expect(packed.paths).toEqual(expected.toSorted());
  });

  test('package.json makes every peer optional, and none of them a dependency', () => {
    const { dependencies, peerDependencies, peerDependenciesMeta } = manifest;
    expect(Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true)).toEqual([]);
    expect(Object.keys(peerDependencies).filter((name) => name in dependencies)).toEqual([]);
  });

  test('installing the package runs none of its scripts, so npm has nothing to ask its user about', () => {
    const atInstall = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare'];
    expect(Object.keys(manifest.scripts).filter((name) => atInstall.includes(name))).toEqual([]);
  });

  test('every door is tried, in a project of its own where it needs one', () => {
    expect([...doorsThatNeed].filter((door) => !allDoors.includes(door))).toEqual([]);
  });

  function reachedFromDoors(): ReadonlySet<string> {
    const house = readHouse(repository);
    const files = new Map(house.files.map((file) => [file.path, file]));
    const reached = new Set<string>();
    const visit = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const { specifier = '' } of files.get(path)?.imports ?? []) {
        if (specifier.startsWith('.')) visit(posix.join(posix.dirname(path), specifier));
      }
    };
    for (const file of house.doors.values()) if (file.endsWith('.ts')) visit(file);
    for (const file of Object.values(manifest.bin)) visit(file.replace(/^dist\/(.*)\.js$/, 'src/$1.ts'));
    return reached;
  }
});

describe.for(projects)('a project with $name', (project) => {
  const frameworks = Object.keys(manifest.peerDependencies);

  test('it has no framework but its own', async () => {
    const installed = frameworks.filter((name) => existsSync(join(projectDirectory(project), 'node_modules', name)));
    expect(installed).toEqual(project.packages.filter((name) => frameworks.includes(name)));
  });

  test.for(nodes)('its doors load on Node.js $version', async ({ node }) => {
    const doors = doorsOf(project);
    const program = `for (const door of ${JSON.stringify(doors)}) console.log(door, Object.keys(await import(door)).length > 0);`;
    const printed = await run(node, ['--input-type=module', '--eval', program], projectDirectory(project));
    expect(printed).toBe(doors.map((door) => `${door} true\n`).join(''));
  });

  test.for(nodes)('its command runs on Node.js $version', async ({ node }) => {
    const words = [join('node_modules', '.bin', 'semel'), 'check', '--help'];
    expect(await run(node, words, projectDirectory(project))).toMatch(/^semel check URL /);
  });

  test.for([
    ['nodenext', 'nodenext'],
    ['preserve', 'bundler'],
  ])('its doors and its examples type-check as module %s, resolved as by %s', async ([module, moduleResolution]) => {
    const settings = { ...consumerSettings.compilerOptions, module, moduleResolution };
    const doors = doorsOf(project).map((door, at) => `import * as door${at} from '${door}';\nvoid door${at};\n`);
    await writeFile(join(projectDirectory(project), 'doors.ts'), doors.join(''));
    await writeFile(
      join(projectDirectory(project), 'tsconfig.json'),
      JSON.stringify({ ...consumerSettings, compilerOptions: settings }),
    );
    await run(join(repository, 'node_modules/.bin/tsc'), [], projectDirectory(project));
  });

  const consumerSettings = {
    compilerOptions: {
      target: 'esnext',
      // What the frameworks declare needs the DOM's types. What Semel declares does not.
      ...(project.name === 'plain' ? { lib: ['esnext'] } : {}),
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      verbatimModuleSyntax: true,
      erasableSyntaxOnly: true,
      // Declarations of libraries included.
      skipLibCheck: false,
      noEmit: true,
    },
    include: ['*.ts'],
  };
});

test.for(nodes)('a count in PostgreSQL says on Node.js $version that it needs pg', async ({ node }) => {
  const [plain] = projects;
  if (plain === undefined) throw new Error('there is no project');
  const program = `import { check, countBySql, describeTarget } from 'semel/check';
    const effect = countBySql('SELECT 1', 'postgres://127.0.0.1:1/shop');
    console.log((await check(describeTarget('http://127.0.0.1:1/', {}), { effect })).reason);`;
  const printed = await run(node, ['--input-type=module', '--eval', program], projectDirectory(plain));
  expect(printed).toContain('a count in PostgreSQL needs the package pg: npm install pg');
});

test.for(nodes)('semel migrate says on Node.js $version, with 2, that it needs pg', async ({ node }) => {
  const [plain] = projects;
  if (plain === undefined) throw new Error('there is no project');
  const command = join('node_modules', 'semel', manifest.bin['semel'] ?? '');
  const program = `import { spawnSync } from 'node:child_process';
    const words = ['${command}', 'migrate', '--postgres', 'postgres://127.0.0.1:1/shop'];
    const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
    console.log(status, stderr);`;
  const printed = await run(node, ['--input-type=module', '--eval', program], projectDirectory(plain));
  expect(printed).toContain('2 semel migrate: it needs the package pg: npm install pg');
});

const order = {
  method: 'POST',
  headers: {
    authorization: 'Bearer ada-token',
    'content-type': 'application/json',
    'idempotency-key': 'order-1',
  },
  body: '{"item":"tea","credits":30}',
} as const;

describe.for(nodes)('the examples on Node.js $version', ({ node, flags }) => {
  test.for(servers)('$example places an order once, over a duplicate and a kill -9', async ({ project, example }) => {
    const serve = server(project, example);
    const first = await serve();
    await refusesWhatItShould(`${first.url}/orders`);
    const executed = await answerOf(await fetch(`${first.url}/orders`, order));
    expect(executed).toEqual({ status: 201, outcome: 'executed', body: expect.stringContaining('order') });
    const replayed = { ...executed, outcome: 'replayed' };
    expect(await answerOf(await fetch(`${first.url}/orders`, order))).toEqual(replayed);
    await first.kill();

    const second = await serve();
    expect(await answerOf(await fetch(`${second.url}/orders`, order))).toEqual(replayed);
    expect(await ordersAt(second.url)).toEqual({ credits: 70, orders: [{ item: 'tea', credits: 30 }] });
    await second.kill();
  });

  test('client orders once though it is killed before it has its answer', async () => {
    const [plain] = projects;
    if (plain === undefined) throw new Error('there is no project');
    const shop = await server(plain, 'fetch-handler')();
    const pending = join(await scratchDirectory(plain), 'pending.json');
    const client = (url: string, words: readonly string[]) =>
      start(node, [...flags, 'client.ts', ...words], projectDirectory(plain), { SHOP: url, PENDING: pending });

    const doomed = await killingProxy(shop.url, () => dying.kill('SIGKILL'));
    const dying = client(doomed, ['tea', '30']);
    await once(dying, 'exit');
    expect(dying.signalCode).toBe('SIGKILL');

    const revived = client(shop.url, []);
    const [printed] = await Promise.all([firstLine(revived.stdout), once(revived, 'exit')]);
    expect(printed).toMatch(/^201 replayed /);
    expect(existsSync(pending)).toBe(false);
    expect(await ordersAt(shop.url)).toEqual({ credits: 70, orders: [{ item: 'tea', credits: 30 }] });
    await shop.kill();
  });

  interface Served {
    readonly url: string;
    kill(): Promise<void>;
  }

  /** Each call starts the example again, on the same data. */
  function server(project: Project, example: string): () => Promise<Served> {
    const data = scratchDirectory(project);
    return async () => {
      const port = await freePort();
      const environment = { PORT: String(port), DATA: await data };
      const child = start(node, [...flags, `${example}.ts`], projectDirectory(project), environment);
      onTestFinished(() => void child.kill('SIGKILL'));
      const said = await firstLine(child.stdout);
      if (!said.startsWith('listening on http')) throw new Error(said + (await firstLine(child.stderr)));
      return {
        url: `http://localhost:${port}`,
        async kill() {
          const exit = once(child, 'exit');
          child.kill('SIGKILL');
          await exit;
        },
      };
    };
  }
});

async function refusesWhatItShould(url: string): Promise<void> {
  const statusOf = async (headers: Readonly<Record<string, string>>, body: string) => {
    const response = await fetch(url, { method: 'POST', headers: { ...order.headers, ...headers }, body });
    return response.status;
  };
  expect(await statusOf({ authorization: 'Bearer of no account' }, order.body)).toBe(401);
  expect(await statusOf({ 'idempotency-key': '' }, order.body)).toBe(400);
  expect(await statusOf({ 'idempotency-key': 'order-none' }, '{"item":1}')).toBe(400);
  expect(await statusOf({ 'idempotency-key': 'order-dear' }, '{"item":"tea","credits":101}')).toBe(402);
  expect(await statusOf({ 'idempotency-key': 'order-dear' }, '{"item":"tea","credits":1}')).toBe(409);
}

async function scratchDirectory(project: Project): Promise<string> {
  const parent = projectDirectory(project);
  const path = join(parent, `scratch-${(await readdir(parent)).length}`);
  await mkdir(path);
  return path;
}

/** Hands each request on, and kills instead of answering. */
async function killingProxy(target: string, kill: () => void): Promise<string> {
  const proxy = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const headers = Object.entries(incoming.headers).flatMap(([name, value]): [string, string][] =>
        /^(authorization|content-type|idempotency-key)$/.test(name) ? [[name, String(value)]] : [],
      );
      void fetch(target + incoming.url, { method: 'POST', headers, body: Buffer.concat(chunks) })
        .then((response) => response.text())
        .finally(() => {
          kill();
          outgoing.destroy();
        });
    });
  });
  onTestFinished(() => void proxy.close());
  await once(proxy.listen(0), 'listening');
  return `http://localhost:${(proxy.address() as AddressInfo).port}`;
}

async function answerOf(response: Response): Promise<{ status: number; outcome: string | null; body: string }> {
  return {
    status: response.status,
    outcome: response.headers.get('idempotency-outcome'),
    body: await response.text(),
  };
}

async function ordersAt(url: string): Promise<unknown> {
  const response = await fetch(`${url}/orders`, { headers: { authorization: order.headers.authorization } });
  return response.json();
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0);
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

async function firstLine(stream: NodeJS.ReadableStream | null): Promise<string> {
  let said = '';
  for await (const chunk of stream ?? []) {
    said += String(chunk);
    if (said.includes('\n')) break;
  }
  return said;
}
