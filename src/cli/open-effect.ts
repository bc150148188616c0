import { countByGet, countBySql, countByWebhook, type Effect, type Target } from '../check/check.ts';
import { mergeHeaders } from '../check/target.ts';
import type { EffectArguments } from './effect-arguments.ts';

/** A count that is ready, until it is closed. */
export interface OpenEffect {
  readonly effect: Effect;
  /** For the plan, without secrets. */
  readonly shown: string;
  /** Of the machine that is asked; `undefined` where it is this one. */
  readonly hostname: string | undefined;
  close(): Promise<void>;
}

/** @throws InvalidInputError */
export async function openEffect(
  given: EffectArguments,
  headers: Readonly<Record<string, string>>,
  { url }: Target,
): Promise<OpenEffect> {
  switch (given.by) {
    case 'get': {
      const effectUrl = URL.parse(given.url);
      // What identifies the caller to the endpoint is nobody else's business.
      const shared = effectUrl?.origin === url.origin ? headers : {};
      const merged = Object.fromEntries(mergeHeaders(shared, given.headers));
      const effect = countByGet(given.url, given.path, { headers: merged });
      const shown = `${given.path} of GET ${given.url}`;
      return { effect, shown, hostname: effectUrl?.hostname, close: async () => undefined };
    }
    case 'sql': {
      const effect = countBySql(given.query, given.database);
      const shown = `${given.query.replaceAll(/\s+/g, ' ').trim()}, in ${effect.database}`;
      return { effect, shown, hostname: effect.hostname, close: () => effect.close() };
    }
    case 'webhook': {
      const effect = await countByWebhook(given);
      const by = given.idHeader === undefined ? 'each one' : `each ${given.idHeader} once`;
      return { effect, shown: `requests to ${effect.url}, ${by}`, hostname: undefined, close: () => effect.close() };
    }
  }
}
