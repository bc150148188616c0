import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import {
  check,
  chooseChecks,
  defaultLimits,
  describeTarget,
  formatJunit,
  formatReport,
  InvalidInputError,
  restartBy,
  type Progress,
  type Report,
  type RequestDescription,
  type Restart,
  type Target,
} from '../check/check.ts';
import { checkUsage, parseCheckWords, readCheckArguments, type CheckArguments } from './check-arguments.ts';
import {
  configFileName,
  overrideByWords,
  readConfigFile,
  withoutConsent,
  type Config,
  type Variables,
} from './config-file.ts';
import { openEffect, type OpenEffect } from './open-effect.ts';
import { readRequest, readRequestFile } from './request-file.ts';
import type { Terminal } from './terminal.ts';

type ExitCode = 0 | 1 | 2;
type Asked = Extract<CheckArguments, { ask: 'check' }>;

/** Where the command is called. */
export interface Surroundings {
  readonly directory: string;
  readonly variables: Variables;
}

/** `semel check`. Exit codes: 0 all passed that was tried, 1 a check failed, 2 it could not run, was interrupted, or had nothing to try. */
export async function checkCommand(
  words: readonly string[],
  terminal: Terminal,
  surroundings: Surroundings = { directory: process.cwd(), variables: process.env },
): Promise<ExitCode> {
  try {
    const typed = parseCheckWords(words);
    const isForHelp = typed.options.help === true;
    const config = isForHelp ? undefined : await findConfig(typed.url, typed.options.config, surroundings);
    const asked = readCheckArguments(config === undefined ? typed : overrideByWords(config, typed));
    if (asked.ask === 'check') return await prepare(asked, config, terminal);
    terminal.print(checkUsage);
    return 0;
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    terminal.tell(`semel check: ${error.message}\nsemel check --help says more\n`);
    return 2;
  }
}

async function findConfig(
  url: string | undefined,
  path: string | undefined,
  { directory, variables }: Surroundings,
): Promise<Config | undefined> {
  if (path !== undefined) return readConfigFile(path, variables);
  const usual = join(directory, configFileName);
  if (url !== undefined || !(await isThere(usual))) return undefined;
  return withoutConsent(await readConfigFile(usual, variables));
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

async function prepare(asked: Asked, config: Config | undefined, terminal: Terminal): Promise<ExitCode> {
  const request = await requestOf(asked, config);
  const { effect, keyHeader, headers, otherTenant } = asked;
  const target = describeTarget(asked.url, request, {
    headers,
    ...(keyHeader === undefined ? {} : { keyHeader }),
    ...(otherTenant === undefined ? {} : { otherTenant }),
  });
  const counted = effect === undefined ? undefined : await openEffect(effect, { headers, otherTenant }, target);
  try {
    const restart = restartBy(asked.restart);
    terminal.tell(planOf(asked, target, { counted, restart, config }));
    if (!(await isAllowed(asked, target, { counted, restart, config }, terminal))) return 2;
    return await run(asked, target, { counted, restart }, terminal);
  } finally {
    await counted?.close();
  }
}

async function requestOf({ requestFile }: Asked, config: Config | undefined): Promise<RequestDescription> {
  if (requestFile !== undefined) return readRequestFile(requestFile);
  return config?.request === undefined ? {} : readRequest(config.request, config.path);
}

async function run(
  asked: Asked,
  target: Target,
  { counted, restart }: Pick<Means, 'counted' | 'restart'>,
  terminal: Terminal,
): Promise<ExitCode> {
  const { only, skip, seed, limits, lifetimeMs, profile, jsonFile, junitFile } = asked;
  // Before anything is sent, lest a run of minutes ends in nothing; and what an earlier one left is not taken for the report of this one.
  await writeFiles([jsonFile, ''], [junitFile, '']);
  const controller = new AbortController();
  const ignoreInterrupts = terminal.onInterrupt(() => controller.abort());
  try {
    const onProgress = (progress: Progress): void => terminal.tell(describeProgress(progress));
    const { signal } = controller;
    const { effect, otherEffect } = counted ?? {};
    const options = { effect, otherEffect, restart, lifetimeMs, profile, only, skip, seed, limits, signal, onProgress };
    const report = await check(target, options);
    terminal.print(formatReport(report));
    await writeFiles([jsonFile, `${JSON.stringify(report, null, 2)}\n`], [junitFile, formatJunit(report)]);
    return exitCodeOf(report);
  } finally {
    ignoreInterrupts();
  }
}

/** What a run has beside its target. */
interface Means {
  readonly counted: OpenEffect | undefined;
  readonly restart: Restart | undefined;
  readonly config: Config | undefined;
}

function planOf(
  { only, skip, profile, limits, lifetimeMs }: Asked,
  { method, url, body, headers, keyHeader, variations }: Target,
  { counted, restart, config }: Means,
): string {
  const { ratePerSecondMax, concurrencyMax } = { ...defaultLimits, ...limits };
  const names = headers.map(([name]) => name);
  const checks = chooseChecks({ only, skip, profile }, { method });
  return [
    ...(config === undefined ? [] : [`as in    ${config.path}`]),
    `sends    ${method} ${url.href} with ${body.length} bytes and ${[...names, keyHeader].join(', ')}, again and again`,
    ...describeOthers(variations),
    `effects  ${counted?.shown ?? 'not counted: most checks are not tried'}`,
    ...(restart === undefined ? [] : [`restarts ${restart.plan}`]),
    ...(lifetimeMs === undefined ? [] : [`lifetime ${lifetimeMs / 1_000} s`]),
    `bounds   ${ratePerSecondMax} requests a second on average, ${concurrencyMax} at once`,
    `checks   ${checks.map(({ name }) => name).join(', ')}`,
    '',
    '',
  ].join('\n');
}

/** What is sent besides; a value may be a secret. */
function describeOthers({ isQueryGiven, ...of }: Target['variations']): readonly string[] {
  const others = [
    isQueryGiven ? of.query : undefined,
    of.path,
    of.method,
    of.endpoint,
    of.tenant,
    ...of.failing,
    of.failOnce,
  ];
  return others.flatMap((other) =>
    other === undefined ? [] : [`also     ${other.method} ${other.url.href} (${other.name})`],
  );
}

async function isAllowed(
  { yes }: Asked,
  { url }: Target,
  { counted, restart, config }: Means,
  terminal: Terminal,
): Promise<boolean> {
  const hosts = counted?.hostname === undefined ? [url.hostname] : [url.hostname, counted.hostname];
  const foreign = [...new Set(hosts.filter((host) => !isLoopback(host)))];
  const doubts = [
    ...(foreign.length === 0 ? [] : [`${foreign.join(' and ')} is not this machine`]),
    // Whoever names a file, or types the words, has seen them.
    ...(config?.isFound === true && restart !== undefined ? [`${config.path} ${restart.plan}`] : []),
  ].join(', and ');
  if (yes || doubts === '') return true;
  if (terminal.confirm === undefined) {
    terminal.tell(`semel check: ${doubts}, and nobody is there to be asked; --yes allows it\n`);
    return false;
  }
  if (await terminal.confirm(`${doubts}. The requests act. Send them?`)) return true;
  terminal.tell('nothing was sent\n');
  return false;
}

function isLoopback(hostname: string): boolean {
  // A database may have the path of a socket, in an address with escapes.
  return (
    hostname === '[::1]' ||
    hostname.toLowerCase().startsWith('%2f') ||
    /^127(\.\d+){3}$/.test(hostname) ||
    /^(.+\.)?localhost$/.test(hostname)
  );
}

function describeProgress(progress: Progress): string {
  switch (progress.event) {
    case 'baseline':
      return 'a fresh request, to see that it acts and is counted\n';
    case 'begins':
      return `${progress.number}/${progress.of} ${progress.check.name} … `;
    case 'ended':
      return `${progress.result.result}\n`;
  }
}

async function writeFiles(...files: readonly (readonly [path: string | undefined, content: string])[]): Promise<void> {
  for (const [path, content] of files) {
    if (path === undefined) continue;
    try {
      await writeFile(path, content);
    } catch (error) {
      throw new InvalidInputError(
        `${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}

function exitCodeOf({ ending, results }: Report): ExitCode {
  if (results.some(({ result }) => result === 'fail')) return 1;
  // Where nothing was tried nothing was found out.
  return ending === 'complete' && results.some(({ result }) => result === 'pass') ? 0 : 2;
}
