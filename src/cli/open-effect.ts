import { countByGet, countBySql, countByWebhook, type Effect, type Target } from '../check/check.ts';
import { mergeHeaders } from '../check/request/sendable.ts';
import type { EffectArguments } from './effect-arguments.ts';

/** A count that is ready, until it is closed. */
export interface OpenEffect {
  readonly effect: Effect;
  /** The same as another tenant reads it, who may be shown no effects but its own; only where it is read as somebody. */
  readonly otherEffect: Effect | undefined;
  /** For the plan, without secrets. */
  readonly shown: string;
  /** Of the machine that is asked; `undefined` where it is this one. */
  readonly hostname: string | undefined;
  close(): Promise<void>;
}

/** What identifies the caller to the endpoint, and perhaps another tenant. */
export interface Callers {
  readonly headers: Readonly<Record<string, string>>;
  readonly otherTenant: Readonly<Record<string, string>> | undefined;
}

/** @throws InvalidInputError */
export async function openEffect(
  given: EffectArguments,
  { headers, otherTenant }: Callers,
  { url }: Target,
): Promise<OpenEffect> {
  switch (given.by) {
    case 'get': {
      const effectUrl = URL.parse(given.url);
      // What identifies the caller to the endpoint is nobody else's business.
      const isShared = effectUrl?.origin === url.origin;
      const readBy = (...callers: readonly Readonly<Record<string, string>>[]): Effect => {
        const fields = [...(isShared ? callers : []), given.headers].map((one) => Object.entries(one));
        return countByGet(given.url, given.path, { headers: Object.fromEntries(mergeHeaders(...fields)) });
      };
      return {
        effect: readBy(headers),
        otherEffect: otherTenant === undefined ? undefined : readBy(headers, otherTenant),
        shown: `${given.path} of GET ${given.url}`,
        hostname: effectUrl?.hostname,
        close: async () => undefined,
      };
    }
    case 'sql': {
      const effect = countBySql(given.query, given.database);
      const shown = `${given.query.replaceAll(/\s+/g, ' ').trim()}, in ${effect.database}`;
      return { effect, otherEffect: undefined, shown, hostname: effect.hostname, close: () => effect.close() };
    }
    case 'webhook': {
      const effect = await countByWebhook(given);
      const by = given.idHeader === undefined ? 'each one' : `each ${given.idHeader} once`;
      const shown = `requests to ${effect.url}, ${by}`;
      return { effect, otherEffect: undefined, shown, hostname: undefined, close: () => effect.close() };
    }
  }
}
