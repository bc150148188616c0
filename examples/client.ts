/**
 * A client that may lose its answers, its server and its own life, and still orders once. It needs one of the servers
 * beside it.
 *
 *     node examples/client.ts tea 30
 *
 * Kill it at any moment and start it again: it finishes what it had begun before it begins anything else.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { createFetch, NotSentError, OperationUnknownError } from 'semel/client';

interface Purchase {
  readonly key: string;
  readonly item: string;
  readonly credits: number;
}

const shop = process.env['SHOP'] ?? 'http://localhost:3000';
const file = process.env['PENDING'] ?? './pending-purchase.json';
const send = createFetch({ deadlineMs: 20_000 });

const pending = await unfinished();
if (pending !== undefined) await buy(pending);

const [item, credits] = process.argv.slice(2);
if (item !== undefined) {
  const purchase = { key: crypto.randomUUID(), item, credits: Number(credits) };
  // Before it is sent, or a crash would forget the key; and whole, or a crash would leave half of it.
  await writeFile(`${file}.new`, JSON.stringify(purchase), { flush: true });
  await rename(`${file}.new`, file);
  await buy(purchase);
}

async function buy({ key, ...order }: Purchase): Promise<void> {
  try {
    const response = await send(`${shop}/orders`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer ada-token',
        'content-type': 'application/json',
        'idempotency-key': key,
      },
      body: JSON.stringify(order),
    });
    console.log(response.status, response.headers.get('idempotency-outcome'), await response.text());
  } catch (error) {
    if (!(error instanceof OperationUnknownError) && !(error instanceof NotSentError)) throw error;
    console.error(`${error.code}: start me again, and I will ask under the same key`);
    process.exit(1);
  }
  await rm(file);
}

async function unfinished(): Promise<Purchase | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Purchase);
}
