import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { startPostgres } from '../src/testing/postgres-server.harness.ts';
import { differenceFrom } from './expected-output.ts';
import { readExercises, type Exercise } from './fences.ts';
import { runShellExercises } from './shell-session.ts';

export interface DocumentRun {
  /** Where `semel` resolves and the compiler is: this repository. */
  readonly repository: string;
  /** Where the reader of the document stands when typing its commands. */
  readonly directory: string;
}

/** Runs every fence of a document. The answer lists what failed, each with the line of its fence. */
export async function runDocument(
  markdown: string,
  { repository, directory }: DocumentRun,
): Promise<readonly string[]> {
  const { exercises, unfit } = readExercises(markdown);
  const scratch = mkdtempSync(join(repository, '.docs-'));
  const database = exercises.some(needsDatabase) ? await startPostgres() : undefined;
  const variables = database === undefined ? {} : { DATABASE_URL: database.url };
  try {
    const shell = exercises.filter(({ code }) => code.language !== 'ts');
    const programs = exercises.filter(({ code }) => code.language === 'ts');
    return [
      ...unfit,
      ...(await runPrograms(programs, { repository, scratch, variables })),
      ...(await runShellExercises(shell, { directory: mirror(directory, scratch), scratch, variables })),
    ];
  } finally {
    await database?.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The document's own PostgreSQL: `sql` is typed into it, and programs and commands find it by DATABASE_URL. */
function needsDatabase({ code }: Exercise): boolean {
  return code.language === 'sql' || code.text.includes('DATABASE_URL');
}

interface Surroundings {
  readonly repository: string;
  readonly scratch: string;
  readonly variables: Readonly<Record<string, string>>;
}

/** The same directory to look at, but what is written into it stays out of the repository. */
function mirror(directory: string, scratch: string): string {
  const mirrored = join(scratch, 'shell');
  mkdirSync(mirrored);
  for (const name of readdirSync(directory)) {
    if (!['.git', 'data'].includes(name) && !name.startsWith('.docs-')) {
      symlinkSync(join(directory, name), join(mirrored, name));
    }
  }
  return mirrored;
}

/** A program that serves must also stop by itself; a document's reader would not see the end of it otherwise. */
const programMsMax = 60_000;

async function runPrograms(
  programs: readonly Exercise[],
  { repository, scratch, variables }: Surroundings,
): Promise<string[]> {
  if (programs.length === 0) return [];
  const directory = join(scratch, 'code');
  mkdirSync(directory);
  const files = programs.map(({ code }) => ({ code, file: join(directory, `line-${code.line}.ts`) }));
  for (const { code, file } of files) writeFileSync(file, `${code.text}\nexport {};\n`);
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(compilerSettings));

  const types = await run(process.execPath, [join(repository, 'node_modules/typescript/bin/tsc')], directory, {});
  if (types.status !== 0)
    return [`the ts fences do not type-check (files are named after their lines):\n${types.output}`];
  const failures = programs.map(async ({ code, expected }) => {
    const words = ['--conditions=semel-source', '--no-warnings', `line-${code.line}.ts`];
    const { status, output, errors } = await run(process.execPath, words, directory, variables);
    if (status !== 0) return [`line ${code.line}: the program ended with status ${status}\n${output}${errors}`];
    const difference = expected === undefined ? undefined : differenceFrom(expected, output);
    return difference === undefined ? [] : [`line ${code.line}: ${difference}`];
  });
  return (await Promise.all(failures)).flat();
}

/** Strict as the repository, but a name that an example declares need not be used. */
const compilerSettings = {
  extends: '../../tsconfig.json',
  compilerOptions: { noUnusedLocals: false, noUnusedParameters: false },
  include: ['*.ts'],
};

interface Ended {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

function run(
  command: string,
  words: readonly string[],
  cwd: string,
  variables: Readonly<Record<string, string>>,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...variables };
    const child = spawn(command, words, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: programMsMax });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output, errors }));
  });
}
