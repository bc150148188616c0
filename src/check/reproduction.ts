import type { Act, Sending } from './probe.ts';
import type { Target } from './target.ts';

/** Longer bodies go into files, or nobody could read the report. */
const bodyCharactersMax = 2_000;

/**
 * A shell script that does by curl what the check did, under fresh keys, since the endpoint remembers those of the check. The values of
 * all fields that could be secret are read from the environment, so that a report can be shown around.
 */
export function curlScript(target: Target, acts: readonly Act[]): string {
  const secrets = target.headers.filter(([name]) => !isPublic(name)).map(([name]) => variableOf(name));
  const lines = secrets.map((name) => `: "\${${name}:?set it to the value of the header}"`);
  if (acts.some(({ sending }) => sending.payload === 'given')) lines.push(bodyLine('given', target.body));
  if (acts.some(({ sending }) => sending.payload === 'other')) lines.push(bodyLine('other', target.otherBody));
  const options = [
    `-X ${target.method}`,
    ...target.headers.map(([name, value]) =>
      isPublic(name) ? `-H ${quote(`${name}: ${value}`)}` : `-H "${name}: $${variableOf(name)}"`,
    ),
  ];
  lines.push(`request() { curl -sS -i ${options.join(' ')} "$@"; echo; }`);
  lines.push(`send() { request -g "$@" ${quote(target.url.href)}; }`);
  const keys = new Set(acts.flatMap(({ sending }) => sending.keys.flatMap((key) => freshKeyIn(key) ?? [])));
  const variables = new Map([...keys].map((key, index) => [key, `key${index + 1}`]));
  for (const variable of variables.values()) lines.push(`${variable}=$(node -p 'crypto.randomUUID()')`);
  lines.push(...acts.map((act) => lineOf(act, target, variables)));
  return `${lines.join('\n')}\n`;
}

/** As `Probe.freshKey` makes them; a check may have spelled something around it. */
function freshKeyIn(key: string): string | undefined {
  return /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(key)?.[0];
}

type Variables = ReadonlyMap<string, string>;

function lineOf(act: Act, target: Target, variables: Variables): string {
  const words = wordsOf(act.sending, target, variables);
  switch (act.act) {
    case 'send':
      if (act.copies === 1) return `send ${words}`;
      // Processes would begin too far apart. Curl repeats what is in brackets; a fragment is not sent.
      return `request -Z --no-progress-meter --parallel-immediate --parallel-max ${act.copies} ${words} ${quote(`${unglobbed(target.url)}#[1-${act.copies}]`)}`;
    case 'hang-up':
      return `send ${words} -m 0.05 # here the client was gone ${act.when}`;
    case 'cut-request': {
      const bodyBytes = (act.sending.payload === 'given' ? target.body : target.otherBody)?.length ?? 0;
      const headBytes = act.ofBytes - bodyBytes;
      if (act.bytes < headBytes)
        return `# ${act.bytes} of the ${headBytes} bytes of the head were sent, then the connection broke`;
      const part = `--data-binary "$(printf %s "$${act.sending.payload}" | head -c ${act.bytes - headBytes})"`;
      return `send ${keysOf(act.sending, target, variables)} -H 'Content-Length: ${bodyBytes}' ${part} -m 1 # cut off within its body`;
    }
  }
}

function wordsOf(sending: Sending, target: Target, variables: Variables): string {
  const body = sending.payload === 'given' ? target.body : target.otherBody;
  const data = body === undefined || body.length === 0 ? [] : [`--data-binary "$${sending.payload}"`];
  return [keysOf(sending, target, variables), ...data].join(' ').trim();
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

function bodyLine(name: string, body: Buffer | undefined): string {
  const text = body?.toString() ?? '';
  const isPrintable = body !== undefined && Buffer.from(text).equals(body) && !text.includes('\0');
  if (isPrintable && text.length <= bodyCharactersMax) return `${name}=${quote(text)}`;
  return `${name}=$(cat ${name}-body) # put the ${name} body into this file`;
}

/** Of these fields the values tell nothing about who sends them. */
function isPublic(name: string): boolean {
  return /^(accept|accept-language|content-type|content-language|user-agent|prefer)$/i.test(name);
}

function variableOf(name: string): string {
  return `HEADER_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
