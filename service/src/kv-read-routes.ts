import type { FastifyInstance } from 'fastify';
import type { Store } from 'semel';
import { entryJson } from './entry-json.ts';
import { checkKey, keyOfTarget } from './kv-key.ts';
import { kvKey } from './kv-space.ts';
import type { Page, Paging, RangeQuery } from './paging.ts';
import { entityTag, evaluate, parsePreconditions } from './preconditions.ts';
import { queryProblem } from './problem.ts';
import { parseQuery } from './query.ts';
import { sendJson, sendProblem, sendProblemDocument } from './send.ts';
import { serviceLimits } from './service-limits.ts';

export function addKvReadRoutes(app: FastifyInstance, { store, paging }: { store: Store; paging: Paging }): void {
  app.get('/v1/kv/*', async (request, reply) => {
    const queried = parseQuery(request.originalUrl, []);
    if (queried.outcome === 'refused') return sendProblemDocument(reply, queryProblem(queried));
    const named = keyOfTarget(request.originalUrl);
    if (named.outcome === 'refused') return sendProblem(reply, 'kv-key-invalid', named.reason);
    const parsed = parsePreconditions(request.headers);
    if (parsed.outcome === 'refused') {
      return sendProblem(reply, 'precondition-invalid', `${parsed.header} is neither * nor a list of entity tags`);
    }
    const entry = await store.read((tx) => tx.getEntry(kvKey(request.tenant, named.key)));
    const evaluated = evaluate(parsed.preconditions, entry?.version);
    if (evaluated === 'failed') return sendProblem(reply, 'precondition-failed', 'If-Match does not hold');
    if (entry?.version === undefined) return sendProblem(reply, 'kv-key-absent', 'the key has no value');
    reply.header('etag', entityTag(entry.version));
    if (evaluated === 'unchanged') return reply.code(304).send();
    return sendJson(reply, entryJson(named.key, entry));
  });

  app.get('/v1/kv', async (request, reply) => {
    const parsed = parseRangeQuery(request.originalUrl);
    if (parsed.outcome === 'refused') {
      return sendProblemDocument(reply, queryProblem(parsed));
    }
    const { query, cursor } = parsed;
    if (cursor === undefined) return sendJson(reply, pageJson(await paging.firstPage(request.tenant, query)));
    const next = await paging.nextPage(request.tenant, query, cursor);
    switch (next.outcome) {
      case 'page':
        return sendJson(reply, pageJson(next.page));
      case 'cursor-gone':
        return sendProblem(reply, 'cursor-gone', 'begin again without a cursor');
      case 'cursor-of-another-query': {
        const reason = 'it belongs to another query; the next page is the same query plus the cursor';
        return sendProblemDocument(reply, queryProblem({ parameter: 'cursor', reason }));
      }
    }
  });
}

function pageJson({ entries, cursor }: Page): string {
  const rest = cursor === undefined ? '' : `,"cursor":${JSON.stringify(cursor)}`;
  return `{"entries":[${entries.join(',')}]${rest}}`;
}

type RangeQueryOutcome =
  | { readonly outcome: 'ok'; readonly query: RangeQuery; readonly cursor: string | undefined }
  | { readonly outcome: 'refused'; readonly parameter: string; readonly reason: string };

function parseRangeQuery(target: string): RangeQueryOutcome {
  const parsed = parseQuery(target, ['prefix', 'start', 'end', 'limit', 'reverse', 'cursor']);
  if (parsed.outcome === 'refused') return parsed;
  const { limit: limitText, reverse: reverseText = 'false', cursor, ...stretch } = parsed.parameters;
  for (const [parameter, key] of Object.entries(stretch)) {
    // Every key begins with the empty prefix; an empty bound is more likely a mistake.
    if (parameter === 'prefix' && key === '') continue;
    const checked = checkKey(key);
    if (checked.outcome === 'refused') return { outcome: 'refused', parameter, reason: checked.reason };
  }
  const { pageEntriesMax, pageEntriesDefault } = serviceLimits;
  const limit = limitText === undefined ? pageEntriesDefault : Number(limitText);
  if (!/^[0-9]{1,9}$/.test(limitText ?? '1') || limit < 1 || limit > pageEntriesMax) {
    return { outcome: 'refused', parameter: 'limit', reason: `expected a whole number from 1 to ${pageEntriesMax}` };
  }
  if (reverseText !== 'true' && reverseText !== 'false') {
    return { outcome: 'refused', parameter: 'reverse', reason: 'expected true or false' };
  }
  return { outcome: 'ok', query: { stretch, limit, reverse: reverseText === 'true' }, cursor };
}
