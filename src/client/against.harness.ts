import { createFetch, type ClientOptions, type OperationUnknownError } from 'semel/client';
import { expect, onTestFinished } from 'vitest';
import { answer, FaultyServer, type Reaction } from '../testing/faulty-server.harness.ts';
import { SkippingEnvironment } from '../testing/skipping-environment.harness.ts';

/** A client, and a server of its own that reacts so. */
export async function against(reactions: readonly Reaction[], options: ClientOptions = {}) {
  const server = await FaultyServer.start(...reactions);
  onTestFinished(() => server.stop());
  const environment = new SkippingEnvironment();
  return { server, environment, send: createFetch({ environment, ...options }), url: `${server.url}/orders` };
}

export const ok = answer(201, { 'idempotency-outcome': 'executed' }, 'done');

export function post(body = '{"amount":5}'): RequestInit {
  return { method: 'POST', body, headers: { 'content-type': 'application/json' } };
}

export async function failure(call: Promise<unknown>): Promise<OperationUnknownError> {
  return call.then(
    () => expect.unreachable('the call was answered'),
    (error: unknown) => error as OperationUnknownError,
  );
}
