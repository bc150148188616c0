import { writeFile } from 'node:fs/promises';
import {
  check,
  chooseChecks,
  countByGet,
  defaultLimits,
  describeTarget,
  formatReport,
  InvalidInputError,
  type Effect,
  type Progress,
  type Report,
  type Target,
} from '../check/check.ts';
import { checkUsage, readCheckArguments, type CheckArguments } from './check-arguments.ts';
import { readRequestFile } from './request-file.ts';
import type { Terminal } from './terminal.ts';

type ExitCode = 0 | 1 | 2;
type Asked = Extract<CheckArguments, { ask: 'check' }>;

/** `semel check`. Exit codes: 0 all passed that was tried, 1 a check failed, 2 it could not run. */
export async function checkCommand(words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    const asked = readCheckArguments(words);
    if (asked.ask === 'check') return await run(asked, terminal);
    terminal.print(checkUsage);
    return 0;
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    terminal.tell(`semel check: ${error.message}\nsemel check --help says more\n`);
    return 2;
  }
}

async function run(asked: Asked, terminal: Terminal): Promise<ExitCode> {
  const request = asked.requestFile === undefined ? {} : await readRequestFile(asked.requestFile);
  const { keyHeader } = asked;
  const target = describeTarget(asked.url, request, {
    headers: asked.headers,
    ...(keyHeader === undefined ? {} : { keyHeader }),
  });
  const effect = effectOf(asked, target);
  terminal.tell(planOf(asked, target));
  if (!(await isAllowed(asked, target, terminal))) return 2;
  const controller = new AbortController();
  const ignoreInterrupts = terminal.onInterrupt(() => controller.abort());
  try {
    const { only, skip, seed, limits } = asked;
    const onProgress = (progress: Progress): void => terminal.tell(describeProgress(progress));
    const report = await check(target, { effect, only, skip, seed, limits, signal: controller.signal, onProgress });
    terminal.print(formatReport(report));
    if (asked.jsonFile !== undefined) await writeReport(asked.jsonFile, report);
    return exitCodeOf(report);
  } finally {
    ignoreInterrupts();
  }
}

function effectOf({ effect, headers, effectHeaders }: Asked, { url }: Target): Effect | undefined {
  if (effect === undefined) return undefined;
  // What identifies the caller to the endpoint is nobody else's business.
  const isSameOrigin = URL.parse(effect.url)?.origin === url.origin;
  return countByGet(effect.url, effect.path, { headers: { ...(isSameOrigin ? headers : {}), ...effectHeaders } });
}

function planOf({ effect, only, skip, profile, limits }: Asked, { method, url, body, headers, keyHeader }: Target): string {
  const { ratePerSecondMax, concurrencyMax } = { ...defaultLimits, ...limits };
  const names = headers.map(([name]) => name);
  const counted =
    effect === undefined ? 'not counted: most checks are not tried' : `${effect.path} of GET ${effect.url}`;
  const checks = chooseChecks({ only, skip, profile }, { method });
  return [
    `sends    ${method} ${url.href} with ${body.length} bytes and ${[...names, keyHeader].join(', ')}, again and again`,
    `effects  ${counted}`,
    `bounds   ${ratePerSecondMax} requests a second on average, ${concurrencyMax} at once`,
    `checks   ${checks.map(({ name }) => name).join(', ')}`,
    '',
    '',
  ].join('\n');
}

async function isAllowed({ effect, yes }: Asked, { url }: Target, terminal: Terminal): Promise<boolean> {
  const hosts = [url, ...(effect === undefined ? [] : [new URL(effect.url)])].map(({ hostname }) => hostname);
  const foreign = [...new Set(hosts.filter((host) => !isLoopback(host)))];
  if (yes || foreign.length === 0) return true;
  if (terminal.confirm === undefined) {
    terminal.tell(
      `semel check: ${foreign.join(' and ')} is not this machine, and nobody is there to be asked; --yes allows it\n`,
    );
    return false;
  }
  if (await terminal.confirm(`${foreign.join(' and ')} is not this machine. The requests act. Send them?`)) return true;
  terminal.tell('nothing was sent\n');
  return false;
}

function isLoopback(hostname: string): boolean {
  return hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname) || /^(.+\.)?localhost$/.test(hostname);
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

async function writeReport(path: string, report: Report): Promise<void> {
  try {
    await writeFile(path, `${JSON.stringify(report, null, 2)}\n`);
  } catch (error) {
    throw new InvalidInputError(`${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function exitCodeOf({ ending, results }: Report): ExitCode {
  if (results.some(({ result }) => result === 'fail')) return 1;
  // Where nothing was tried nothing was found out.
  return ending === 'complete' && results.some(({ result }) => result === 'pass') ? 0 : 2;
}
