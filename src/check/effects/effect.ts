import type { Environment } from '../../client/environment.ts';
import { CannotRunError } from '../check-error.ts';
import { parseJsonPath, valueAt } from './json-path.ts';
import { defaultLimits } from '../limits.ts';
import { readUrl } from '../request/target.ts';
import { connect, reasonOf } from '../wire.ts';

/** Counts how often the operation acted. It decides: answers alone prove nothing. */
export interface Effect {
  /** @throws CannotRunError where there is no count */
  count(options: CountOptions): Promise<number>;
}

export interface CountOptions {
  readonly environment: Environment;
  readonly signal: AbortSignal;
}

/**
 * A counter that is read by GET: the value at `path` in the JSON of the answer, a whole number, or a list, of which the length
 * counts.
 *
 * @throws InvalidInputError for an address or a path that is none
 */
export function countByGet(
  address: string,
  path: string,
  { headers = {} }: { readonly headers?: Readonly<Record<string, string>> } = {},
): Effect {
  const url = readUrl(address);
  const steps = parseJsonPath(path);
  const message = { url, method: 'GET', headers: Object.entries(headers), body: Buffer.alloc(0) };
  return {
    async count(options) {
      const connection = await connect(url, { ...options, answerMsMax: defaultLimits.answerMsMax }).catch(
        (error: unknown) => {
          options.signal.throwIfAborted();
          throw new CannotRunError(`the count at ${address} cannot be read: ${reasonOf(error)}`);
        },
      );
      const exchange = await connection.exchange(message);
      if (exchange.outcome === 'unanswered') {
        throw new CannotRunError(`the count at ${address} cannot be read: ${exchange.reason}`);
      }
      const { status, body } = exchange.answer;
      if (status !== 200) throw new CannotRunError(`the count at ${address} was answered ${status}, not 200`);
      return countIn(body, steps, `${path} of ${address}`);
    },
  };
}

function countIn(body: Buffer, steps: readonly (string | number)[], where: string): number {
  let document: unknown;
  try {
    document = JSON.parse(body.toString());
  } catch {
    throw new CannotRunError(`${where} cannot be read: the answer is not JSON`);
  }
  const value = valueAt(document, steps);
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  const found = value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80);
  throw new CannotRunError(`${where} is no count: a whole number or a list is needed, and there is ${found}`);
}
