import { parseArgs } from 'node:util';
import { defaultLimits, InvalidInputError, profileNames, type Limits, type RestartOptions } from '../check/check.ts';
import { mergeHeaders } from '../check/request/sendable.ts';
import { readEffectArguments, type EffectArguments } from './effect-arguments.ts';

/** What the words behind `semel check` ask for. */
export type CheckArguments =
  | { readonly ask: 'help' }
  | {
      readonly ask: 'check';
      readonly url: string;
      readonly requestFile: string | undefined;
      readonly effect: EffectArguments | undefined;
      readonly headers: Readonly<Record<string, string>>;
      readonly otherTenant: Readonly<Record<string, string>> | undefined;
      readonly profile: string | undefined;
      readonly keyHeader: string | undefined;
      readonly restart: RestartOptions;
      readonly lifetimeMs: number | undefined;
      readonly only: readonly string[] | undefined;
      readonly skip: readonly string[] | undefined;
      readonly seed: number | undefined;
      readonly limits: Partial<Limits>;
      readonly jsonFile: string | undefined;
      readonly junitFile: string | undefined;
      readonly yes: boolean;
    };

export const checkUsage = `semel check URL [options]
semel check [--config FILE] [options]

Sends the endpoint duplicates of every kind, and reports whether the operation took effect once. The requests are real, and so are
their effects: use an endpoint made for tests.

  --request FILE         JSON: { "method"?, "headers"?, "body"? | "bodyFile"?, "otherBody"? | "otherBodyFile"? }; POST by default.
                         For more checks: "otherQuery"?, "otherPath"?, "otherMethod"?, "otherEndpoint"?, "failing"?, "failOnce"?
  --effect URL           where to GET how often the operation acted; without a count most checks are not tried
  --path PATH            where in the JSON of the answer: a whole number, or a list to be counted, as in $.items[0].count
  --effect-sql QUERY     counts by the first column of the only row of a query, instead
  --database DATABASE    of postgres://USER:PASSWORD@HOST/NAME, which needs the package pg, or sqlite:FILE
  --effect-webhook ADDR  counts the requests that come to HOST:PORT, where the checker listens, instead; port 0 is any
  --webhook-id NAME      the field that names a delivery there; those of one name are counted once
  --header 'NAME: VALUE' sent with every request, and with --effect where it has the same origin; can be repeated
  --effect-header 'N: V' sent with --effect alone; can be repeated
  --other-tenant 'N: V'  sent for another tenant, in the place of the header of this name; can be repeated
  --key-header NAME      the field of the key; Idempotency-Key by default
  --profile NAME         demands the answers of a known contract, too: ${profileNames.join(', ')}
  --restart COMMAND      for the shell: starts the endpoint again; without --pid it ends it before, and then ends itself
  --pid N | FILE         the process of the endpoint, or the file that has its number, to be killed by SIGKILL
  --lifetime DURATION    how long the endpoint says that it remembers a key: 30s, 10m, 24h, 7d
  --only, --skip CHECK   checks by name, separated by commas; can be repeated
  --seed N               breaks connections at the same moments again
  --rate N               requests a second at most, on average; ${defaultLimits.ratePerSecondMax} by default
  --concurrency N        requests at once at most; ${defaultLimits.concurrencyMax} by default
  --patience SECONDS     how long an operation may stay in progress; ${defaultLimits.patienceMsMax / 1_000} by default
  --answer SECONDS       how long one request may go without its whole answer; ${defaultLimits.answerMsMax / 1_000} by default
  --quiet SECONDS        how long the count must rest until it counts; ${defaultLimits.quietMs / 1_000} by default
  --settle SECONDS       how long to wait for that; ${defaultLimits.settleMsMax / 1_000} by default
  --startup SECONDS      how long the endpoint may take to come back; ${defaultLimits.startupMsMax / 1_000} by default
  --kills N              how often it is killed amid a request; ${defaultLimits.kills} by default
  --late SECONDS         how late a late duplicate comes; ${defaultLimits.lateMs / 1_000} by default
  --lifetime-max SECONDS how long a lifetime may be to be waited for; ${defaultLimits.lifetimeMsMax / 1_000} by default
  --json FILE            writes the report as JSON, too
  --junit FILE           and as JUnit XML
  --yes                  does not ask before it sends to a host that is not this machine
  --config FILE          takes URL and options from a JSON file; semel-check.json where neither it nor a URL is given

Exit codes: 0 all passed that was tried, 1 a check failed, 2 it could not run, was interrupted, or had nothing to try.
`;

const options = {
  request: { type: 'string' },
  effect: { type: 'string' },
  path: { type: 'string' },
  header: { type: 'string', multiple: true },
  'effect-header': { type: 'string', multiple: true },
  'effect-sql': { type: 'string' },
  database: { type: 'string' },
  'effect-webhook': { type: 'string' },
  'webhook-id': { type: 'string' },
  'other-tenant': { type: 'string', multiple: true },
  'key-header': { type: 'string' },
  profile: { type: 'string' },
  restart: { type: 'string' },
  pid: { type: 'string' },
  lifetime: { type: 'string' },
  only: { type: 'string', multiple: true },
  skip: { type: 'string', multiple: true },
  seed: { type: 'string' },
  rate: { type: 'string' },
  concurrency: { type: 'string' },
  patience: { type: 'string' },
  answer: { type: 'string' },
  quiet: { type: 'string' },
  settle: { type: 'string' },
  startup: { type: 'string' },
  kills: { type: 'string' },
  late: { type: 'string' },
  'lifetime-max': { type: 'string' },
  json: { type: 'string' },
  junit: { type: 'string' },
  yes: { type: 'boolean' },
  config: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Options by their names, as they are typed. */
export type Options = Partial<
  ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>['values']
>;

export const optionNames = Object.keys(options);

export interface CheckWords {
  readonly url: string | undefined;
  readonly options: Options;
}

/** @throws InvalidInputError */
export function parseCheckWords(words: readonly string[]): CheckWords {
  const { values, positionals } = parse(words);
  const [url, ...others] = positionals;
  if (others.length > 0) throw new InvalidInputError(`one URL at a time; what is ${others[0]}?`);
  return { url, options: values };
}

/** @throws InvalidInputError */
export function readCheckArguments({ url, options: values }: CheckWords): CheckArguments {
  if (values.help === true) return { ask: 'help' };
  if (url === undefined) throw new InvalidInputError('which URL?');
  return {
    ask: 'check',
    url,
    requestFile: values.request,
    effect: readEffectArguments(values, readHeaders(values['effect-header'])),
    headers: readHeaders(values.header),
    otherTenant: values['other-tenant'] === undefined ? undefined : readHeaders(values['other-tenant']),
    keyHeader: values['key-header'],
    profile: values.profile,
    restart: { command: values.restart, pid: values.pid },
    lifetimeMs: duration('lifetime', values.lifetime),
    only: readNames(values.only),
    skip: readNames(values.skip),
    seed: wholeNumber('seed', values.seed, 0),
    limits: readLimits(values),
    jsonFile: values.json,
    junitFile: values.junit,
    yes: values.yes === true,
  };
}

function parse(
  words: readonly string[],
): ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true });
  } catch (error) {
    throw new InvalidInputError(error instanceof Error ? error.message : String(error));
  }
}

function readHeaders(given: readonly string[] = []): Readonly<Record<string, string>> {
  const pairs = given.map((header): [string, string] => {
    const at = header.indexOf(':');
    // The header may be a secret, so that it is not repeated here.
    if (at < 1) throw new InvalidInputError(`a header is written 'Name: value'`);
    return [header.slice(0, at).trim(), header.slice(at + 1).trim()];
  });
  return Object.fromEntries(mergeHeaders(pairs));
}

function readNames(given: readonly string[] | undefined): readonly string[] | undefined {
  return given?.flatMap((names) => names.split(',')).map((name) => name.trim());
}

type Limit =
  | 'rate'
  | 'concurrency'
  | 'patience'
  | 'answer'
  | 'quiet'
  | 'settle'
  | 'startup'
  | 'kills'
  | 'late'
  | 'lifetime-max';

function readLimits(given: Readonly<Partial<Record<Limit, string>>>): Partial<Limits> {
  const limits = {
    ratePerSecondMax: wholeNumber('rate', given.rate, 1),
    concurrencyMax: wholeNumber('concurrency', given.concurrency, 1),
    patienceMsMax: milliseconds('patience', given.patience),
    answerMsMax: milliseconds('answer', given.answer),
    quietMs: milliseconds('quiet', given.quiet),
    settleMsMax: milliseconds('settle', given.settle),
    startupMsMax: milliseconds('startup', given.startup),
    kills: wholeNumber('kills', given.kills, 1),
    lateMs: milliseconds('late', given.late),
    lifetimeMsMax: milliseconds('lifetime-max', given['lifetime-max']),
  };
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

function wholeNumber(name: string, given: string | undefined, min: number): number | undefined {
  if (given === undefined) return undefined;
  const value = Number(given);
  if (/^\d{1,10}$/.test(given) && value >= min && value < 2 ** 32) return value;
  throw new InvalidInputError(`--${name} ${given}: a whole number from ${min} to ${2 ** 32 - 1} is needed`);
}

function milliseconds(name: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const seconds = Number(given);
  if (/^\d{1,5}(\.\d+)?$/.test(given) && seconds > 0) return seconds * 1_000;
  throw new InvalidInputError(`--${name} ${given}: a number of seconds above 0 is needed`);
}

const unitsMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function duration(name: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(given) ?? [];
  const durationMs = Number(count) * unitsMs[(unit ?? 's') as keyof typeof unitsMs];
  if (durationMs > 0) return durationMs;
  throw new InvalidInputError(`--${name} ${given}: a duration such as 30s, 10m, 24h or 7d is needed`);
}
