import { InvalidInputError } from '../check/check.ts';

/** Where the count comes from. */
export type EffectArguments =
  | {
      readonly by: 'get';
      readonly url: string;
      readonly path: string;
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly by: 'sql'; readonly query: string; readonly database: string }
  | {
      readonly by: 'webhook';
      readonly host: string | undefined;
      readonly port: number;
      readonly idHeader: string | undefined;
    };

/** The options that belong to each of them. */
export const effectOptions = [
  ['effect', 'path', 'effect-header'],
  ['effect-sql', 'database'],
  ['effect-webhook', 'webhook-id'],
] as const;

export type EffectOptions = Readonly<
  Partial<Record<Exclude<(typeof effectOptions)[number][number], 'effect-header'>, string | undefined>>
>;

/** @throws InvalidInputError */
export function readEffectArguments(
  options: EffectOptions,
  headers: Readonly<Record<string, string>>,
): EffectArguments | undefined {
  const { effect, path, database } = options;
  const { 'effect-sql': query, 'effect-webhook': address, 'webhook-id': idHeader } = options;
  if ([effect, query, address].filter((given) => given !== undefined).length > 1) {
    throw new InvalidInputError('one count is enough: --effect, --effect-sql or --effect-webhook');
  }
  if ((effect === undefined) !== (path === undefined))
    throw new InvalidInputError('--effect and --path need each other');
  if ((query === undefined) !== (database === undefined))
    throw new InvalidInputError('--effect-sql and --database need each other');
  if (idHeader !== undefined && address === undefined)
    throw new InvalidInputError('--webhook-id needs --effect-webhook');
  if (effect !== undefined && path !== undefined) return { by: 'get', url: effect, path, headers };
  if (query !== undefined && database !== undefined) return { by: 'sql', query, database };
  return address === undefined ? undefined : { by: 'webhook', ...readAddress(address), idHeader };
}

function readAddress(address: string): { readonly host: string | undefined; readonly port: number } {
  const [, host, port = ''] = /^(?:(\[[^\]]+\]|[^:]+):)?(\d{1,5})$/.exec(address) ?? [];
  if (port === '' || Number(port) > 65_535) {
    throw new InvalidInputError(`--effect-webhook ${address}: HOST:PORT is needed, as in 127.0.0.1:4700`);
  }
  return { host: host?.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}
