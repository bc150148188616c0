/// <reference path="./undici.d.ts" />
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import process from 'node:process';
import { Pool } from 'undici';
import type { Measured } from '../claim.ts';
import { randomIndexes, runWorkers } from '../workers.ts';

/** The clients of the HTTP claim, a process of their own: it gets orders and reports what was answered. */
export interface LoadOrder {
  readonly origin: string;
  readonly connections: number;
  readonly durationMs: number;
  readonly accounts: number;
}

export interface LoadDone extends Measured {
  /** The sum of the amounts in answers with 201. */
  readonly deposited: number;
}

const random = randomIndexes(1);

process.on('message', (order: LoadOrder) => void obey(order));
process.on('disconnect', () => process.exit());
process.send?.('ready');

async function obey(order: LoadOrder): Promise<void> {
  const done = await load(order);
  process.send?.(done);
}

async function load({ origin, connections, durationMs, accounts }: LoadOrder): Promise<LoadDone> {
  const pool = new Pool(origin, { connections, pipelining: 1 });
  let deposited = 0;
  const measured = await runWorkers(connections, durationMs, async () => {
    const amount = random(100) + 1;
    const { statusCode, body } = await pool.request({
      method: 'POST',
      path: `/accounts/${random(accounts)}/deposits`,
      headers: { 'content-type': 'application/json', 'idempotency-key': randomUUID() },
      body: JSON.stringify({ amount }),
    });
    const text = await body.text();
    assert.equal(statusCode, 201, text);
    deposited += amount;
  });
  await pool.close();
  return { ...measured, deposited };
}
