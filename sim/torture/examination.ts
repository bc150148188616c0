import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Recovery } from './child.ts';
import { requestOf } from './client.ts';
import type { Answer, Connections, Request } from './exchange.ts';
import type { StoredEntry } from './expected-state.ts';
import type { KillPoint } from './kill-point.ts';
import type { Operation } from './operation.ts';
import type { Oracle } from './oracle.ts';
import { demand } from './violation.ts';

export type Seen = 'complete' | 'absent';

/** What the service itself says of an operation. */
export async function lookAt({ id }: Operation, connections: Connections): Promise<Seen> {
  const answer = await ask(connections, { method: 'GET', path: `/v1/operations/${encodeURIComponent(id)}` });
  if (answer.status === 404) return 'absent';
  const { state } = json(answer) as { readonly state: string };
  demand(state === 'complete', 'nothing is in progress after a restart', `GET /v1/operations says ${state}`, id);
  return 'complete';
}

/** Sends each of these operations once more, some at a time, and has the answers judged. */
export async function replay(
  operations: readonly Operation[],
  connections: Connections,
  oracle: Oracle,
): Promise<void> {
  const rest = [...operations];
  const worker = async (): Promise<void> => {
    for (let operation = rest.pop(); operation !== undefined; operation = rest.pop()) {
      oracle.judgeReplay(operation, await ask(connections, requestOf(operation)));
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

/** Every entry, as of one snapshot. */
export async function readEntries(connections: Connections): Promise<readonly StoredEntry[]> {
  const entries: StoredEntry[] = [];
  for (let cursor: string | undefined = ''; cursor !== undefined;) {
    const query = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const answer = await ask(connections, { method: 'GET', path: `/v1/kv?limit=1000${query}` });
    demand(answer.status === 200, 'the store can be read', answer.body.toString('utf8'));
    const page = json(answer) as { readonly entries: readonly StoredEntry[]; readonly cursor?: string };
    entries.push(...page.entries);
    cursor = page.cursor;
  }
  return entries;
}

/** What the recovery after a kill at `point` may have found, and whether /metrics tells the same. */
export async function examineRecovery(
  recovery: Recovery,
  point: KillPoint | undefined,
  directory: string,
  connections: Connections,
): Promise<void> {
  const { entries, bytes, checkpointBytes, tornBytes, keptAside } = recovery;
  const words = JSON.stringify(recovery);
  demand(bytes > 0 && entries > 0, 'recovery finds what was written', words);
  demand(tornBytes > 0 === (keptAside !== undefined), 'a torn tail is kept aside', words);
  // From outside, a kill may hit the kernel amid a write.
  if (point === 'amid-log-write') demand(tornBytes > 0, 'a write that was cut leaves a torn tail', words);
  else if (point !== undefined) demand(tornBytes === 0, 'only a write that was cut leaves a torn tail', words);
  if (keptAside !== undefined) {
    demand(statSync(join(directory, keptAside)).size === tornBytes, 'a torn tail is kept aside', words);
  }
  const metrics = (await ask(connections, { method: 'GET', path: '/metrics' })).body.toString('utf8');
  for (const [fact, expected] of Object.entries({ entries, bytes: bytes + checkpointBytes, torn_bytes: tornBytes })) {
    const found = new RegExp(`^semel_store_recovered_${fact} ([0-9]+)$`, 'm').exec(metrics)?.[1];
    demand(
      Number(found) === expected,
      'the metrics tell the facts of the recovery',
      `${fact} ${String(found)}, ${words}`,
    );
  }
  const poisoned = /^semel_store_poisoned ([0-9]+)$/m.exec(metrics)?.[1];
  demand(poisoned === '0', 'a store that was opened is sound', `semel_store_poisoned ${String(poisoned)}`);
}

async function ask(connections: Connections, request: Request): Promise<Answer> {
  const exchange = await connections.send(request);
  const words = `${request.method} ${request.path}: ${'reason' in exchange ? exchange.reason : ''}`;
  demand(exchange.outcome === 'answered', 'a service that serves answers', words);
  return exchange.answer;
}

function json({ body }: Answer): unknown {
  return JSON.parse(body.toString('utf8'));
}
