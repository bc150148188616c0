import type { Act, Sending } from '../probe.ts';
import type { Target } from '../request/target.ts';
import type { Variation } from '../request/variations.ts';

/** Longer bodies go into files, or nobody could read the report. */
const bodyCharactersMax = 2_000;

/**
 * A shell script that does by curl what the check did, under fresh keys, since the endpoint remembers those of the check. The values of
 * all fields that could be secret are read from the environment, so that a report can be shown around.
 */
export function curlScript(target: Target, acts: readonly Act[]): string {
  const sendings = acts.flatMap((act) => ('sending' in act ? [act.sending] : []));
  const used = new Set(sendings.map(({ variation }) => variation));
  const lines = [...new Set([...used].flatMap((variation) => secretLines(target, variation)))];
  const bodies = new Map(sendings.map((sending) => [bodyNameOf(sending), bodyOf(sending, target)]));
  for (const [name, body] of bodies) lines.push(bodyLine(name, body));
  for (const variation of used) lines.push(...functionLines(target, variation));
  const restart = acts.find((act) => 'script' in act);
  if (restart !== undefined) lines.push(...restartLines(restart.script, target));
  const keys = new Set(sendings.flatMap(({ keys: spelled }) => spelled.flatMap((key) => freshKeyIn(key) ?? [])));
  const variables = new Map([...keys].map((key, index) => [key, `key${index + 1}`]));
  for (const variable of variables.values()) lines.push(`${variable}=$(node -p 'crypto.randomUUID()')`);
  lines.push(...acts.map((act) => lineOf(act, target, variables)));
  return `${lines.join('\n')}\n`;
}

/** The functions `request` and `send`, or, of a variation, `request_other_tenant` and `send_other_tenant`. */
function functionLines(target: Target, variation: Variation | undefined): readonly string[] {
  const { url, method, headers } = variation ?? target;
  const suffix = variation === undefined ? '' : `_${shellName(variation)}`;
  const options = [
    `-X ${method}`,
    ...headers.map(([name, value]) =>
      isPublic(name)
        ? `-H ${quote(`${name}: ${value}`)}`
        : `-H "${name}: $${variableOf(name, value, target, variation)}"`,
    ),
  ];
  // Curl has one of its own for what is sent as data.
  if (!headers.some(([name]) => /^content-type$/i.test(name))) options.push(`-H 'Content-Type:'`);
  return [
    `request${suffix}() { curl -sS -i ${options.join(' ')} "$@"; echo; }`,
    `send${suffix}() { request${suffix} -g "$@" ${quote(url.href)}; }`,
  ];
}

function secretLines(target: Target, variation: Variation | undefined): readonly string[] {
  return (variation ?? target).headers
    .filter(([name]) => !isPublic(name))
    .map(([name, value]) => `: "\${${variableOf(name, value, target, variation)}:?set it to the value of the header}"`);
}

function shellName({ name }: Variation): string {
  return name.replaceAll('-', '_');
}

/** The variable that has the body. */
function bodyNameOf({ payload, variation }: Sending): string {
  return variation?.body === undefined ? payload : shellName(variation);
}

function bodyOf({ payload, variation }: Sending, { body, otherBody }: Target): Buffer | undefined {
  return variation?.body ?? (payload === 'given' ? body : otherBody);
}

/** As `Probe.freshKey` makes them; a check may have spelled something around it. */
function freshKeyIn(key: string): string | undefined {
  return /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(key)?.[0];
}

type Variables = ReadonlyMap<string, string>;

function lineOf(act: Act, target: Target, variables: Variables): string {
  const sending = 'sending' in act ? act.sending : undefined;
  const words = sending === undefined ? '' : wordsOf(sending, target, variables);
  const variation = sending?.variation;
  const suffix = variation === undefined ? '' : `_${shellName(variation)}`;
  switch (act.act) {
    case 'send':
      if (act.copies === 1) return `send${suffix} ${words}`;
      // Processes would begin too far apart. Curl repeats what is in brackets; a fragment is not sent.
      return `request${suffix} -Z --no-progress-meter --parallel-immediate --parallel-max ${act.copies} ${words} ${quote(`${unglobbed((variation ?? target).url)}#[1-${act.copies}]`)}`;
    case 'hang-up':
      return `send${suffix} ${words} -m 0.05 # here the client was gone ${act.when}; by curl it is another moment each time: try others`;
    case 'send-in-turn':
      return `${act.atMs.map((atMs) => `{ sleep ${seconds(atMs)}; send${suffix} ${words}; } &`).join('\n')}\nwait # what curl takes to begin is longer than most pauses: try others`;
    case 'send-and-strike':
      if (act.moment === 'answered') return `send${suffix} ${words}; restart`;
      // What a process of curl takes until it sends is longer than most moments, and another each time.
      return `send${suffix} ${words} & sleep ${seconds(act.moment)}; restart # not at the moment itself: try others`;
    case 'restart':
      return 'restart';
    case 'wait':
      return `sleep ${seconds(act.durationMs)}`;
    case 'cut-request': {
      const bodyBytes = bodyOf(act.sending, target)?.length ?? 0;
      const headBytes = act.ofBytes - bodyBytes;
      if (act.bytes < headBytes) return cutHeadLine(act, target, variables);
      const part = `--data-binary @<(${printed(act.sending, target)} | head -c ${act.bytes - headBytes})`;
      return `send${suffix} ${keysOf(act.sending, target, variables)} -H 'Content-Length: ${bodyBytes}' ${part} -m 1 # cut off within its body`;
    }
  }
}

/** Curl sends heads whole; a shell sends what it is told. */
function cutHeadLine(
  { sending, bytes, ofBytes }: Extract<Act, { act: 'cut-request' }>,
  target: Target,
  variables: Variables,
): string {
  const { method, headers } = target;
  const { protocol, hostname, port, host, pathname, search } = target.url;
  if (protocol === 'https:')
    return `# ${bytes} of ${ofBytes} bytes were sent, within the head, then the connection broke`;
  const lines = [
    quote(`${method} ${pathname}${search} HTTP/1.1`),
    quote(`Host: ${host}`),
    ...headers.map(([name, value]) =>
      isPublic(name) ? quote(`${name}: ${value}`) : `"${name}: $${variableOf(name, value, target, undefined)}"`,
    ),
    ...sending.keys.map((key) => `"${target.keyHeader}: ${withVariable(key, variables)}"`),
    quote(`Content-Length: ${bodyOf(sending, target)?.length ?? 0}`),
    quote('Connection: close'),
  ];
  const address = `${hostname.replace(/^\[(.*)\]$/, '$1')}/${port || '80'}`;
  return `printf '%s\\r\\n' ${lines.join(' ')} '' | head -c ${bytes} >/dev/tcp/${address} # cut off within its head; /dev/tcp is bash's`;
}

function restartLines(script: string, { url }: Target): readonly string[] {
  const back = `until curl -s -o /dev/null ${quote(url.origin)}; do sleep 0.1; done`;
  return ['restart() {', ...script.split('\n').map((line) => `  ${line}`), `  ${back}`, '}'];
}

function seconds(ms: number): string {
  return String(Math.round(ms) / 1_000);
}

function wordsOf(sending: Sending, target: Target, variables: Variables): string {
  const name = bodyNameOf(sending);
  const body = bodyOf(sending, target) ?? Buffer.alloc(0);
  const data = isShown(body) ? `--data-raw "$${name}"` : `--data-binary @${name}-body`;
  return [keysOf(sending, target, variables), ...(body.length === 0 ? [] : [data])].join(' ').trim();
}

/** A command that prints the body. */
function printed(sending: Sending, target: Target): string {
  const name = bodyNameOf(sending);
  return isShown(bodyOf(sending, target) ?? Buffer.alloc(0)) ? `printf %s "$${name}"` : `cat ${name}-body`;
}

function keysOf({ keys }: Sending, { keyHeader }: Target, variables: Variables): string {
  return keys.map((key) => `-H "${keyHeader}: ${withVariable(key, variables)}"`).join(' ');
}

/** The key within double quotes. */
function withVariable(key: string, variables: Variables): string {
  const escape = (text: string): string => text.replaceAll(/["\\$`]/g, '\\$&');
  const fresh = freshKeyIn(key);
  const variable = fresh === undefined ? undefined : variables.get(fresh);
  if (fresh === undefined || variable === undefined) return escape(key);
  const [before = '', after = ''] = key.split(fresh);
  return `${escape(before)}\${${variable}}${escape(after)}`;
}

/** Brackets and braces mean something to curl; those of an IPv6 address it knows. */
function unglobbed({ origin, pathname, search }: URL): string {
  return origin + (pathname + search).replaceAll(/[[\]{}]/g, '\\$&');
}

function bodyLine(name: string, body: Buffer = Buffer.alloc(0)): string {
  return isShown(body) ? `${name}=${quote(body.toString())}` : `# put the ${name} body into the file ${name}-body`;
}

/** Whether a variable of the shell can hold it, and a reader. */
function isShown(body: Buffer): boolean {
  const text = body.toString();
  return Buffer.from(text).equals(body) && !text.includes('\0') && text.length <= bodyCharactersMax;
}

/** Of these fields the values tell nothing about who sends them. */
function isPublic(name: string): boolean {
  return /^(accept|accept-language|content-type|content-language|user-agent|prefer)$/i.test(name);
}

/** A header that a variation has in the place of another has a variable of its own. */
function variableOf(name: string, value: string, target: Target, variation: Variation | undefined): string {
  const isShared = target.headers.some((header) => header[0] === name && header[1] === value);
  const prefix = variation === undefined || isShared ? '' : `${shellName(variation)}_`;
  return `${prefix}HEADER_${name}`.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
