import type { Key } from '../../src/kv/key.ts';
import type { ReadTransaction, Transaction } from '../../src/kv/store.ts';
import { check } from '../check-failed.ts';
import type { Client } from '../client.ts';
import { Receipt } from '../receipt.ts';
import type { Circumstances, Workload, WorkloadOptions } from '../workload.ts';

/** Money goes from account to account. None comes or goes, no account is below zero, no acknowledged transfer is missing. */
export class Transfers implements Workload {
  readonly #accounts: number;
  readonly #receipts: readonly Receipt[];

  constructor({ random, clients, marks }: WorkloadOptions) {
    this.#accounts = random.integer(2, 6);
    this.#receipts = Array.from({ length: clients }, (_, owner) => new Receipt(owner, marks));
  }

  async setup(tx: Transaction): Promise<void> {
    for (let account = 0; account < this.#accounts; account++) tx.set(accountKey(account), opening);
  }

  async start(client: Client): Promise<void> {
    const receipt = this.#receipts[client.number];
    if (receipt === undefined) return;
    const { random } = client;
    const from = random.integer(0, this.#accounts - 1);
    const to = (from + random.integer(1, this.#accounts - 1)) % this.#accounts;
    const amount = BigInt(random.integer(1, 60));
    const adds = random.chance(0.5);
    await client.operate(receipt, receiptKey(client.number), async (tx, number) => {
      tx.set(receiptKey(client.number), number);
      tx.set(['transfers', 'memo', client.number], client.padding());
      const paid = adds
        ? await addBoth(tx, client, { from, to, amount })
        : await setBoth(tx, client, { from, to, amount });
      client.tell(() => `${paid ? 'moves' : 'cannot move'} ${amount} from ${from} to ${to}, its operation ${number}`);
    });
  }

  async check(tx: ReadTransaction, { when, mayLose, rest }: Circumstances): Promise<void> {
    const known = this.#receipts.map((receipt) => receipt.known);
    const balances: bigint[] = [];
    for (let account = 0; account < this.#accounts; account++) {
      balances.push(BigInt(Number(await tx.get(accountKey(account)))));
      await rest();
    }
    const sum = balances.reduce((one, other) => one + other, 0n);
    const facts = (): string => `the balances are ${balances.join(', ')}`;
    check(sum === opening * BigInt(this.#accounts), 'transfers: no money comes or goes', facts);
    check(
      balances.every((balance) => balance >= 0n),
      'transfers: no balance is below zero',
      facts,
    );
    for (const [owner, receipt] of this.#receipts.entries()) {
      const found = Number((await tx.get(receiptKey(owner))) ?? 0);
      if (when === 'rotten' || when === 'copied') receipt.judgeCutOff(found, mayLose);
      else if (when === 'opened') receipt.settle(found);
      else receipt.judge(found, known[owner] ?? receipt.known);
    }
  }
}

const opening = 100n;

interface Transfer {
  readonly from: number;
  readonly to: number;
  readonly amount: bigint;
}

async function addBoth(tx: Transaction, client: Client, { from, to, amount }: Transfer): Promise<boolean> {
  const paid = await tx.add(accountKey(from), -amount, { min: 0n });
  if (paid.outcome === 'refused') return false;
  await client.rest();
  await tx.add(accountKey(to), amount);
  return true;
}

async function setBoth(tx: Transaction, client: Client, { from, to, amount }: Transfer): Promise<boolean> {
  const before = (await tx.get(accountKey(from))) as bigint;
  await client.rest();
  if (before < amount) return false;
  const other = (await tx.get(accountKey(to))) as bigint;
  await client.rest();
  tx.set(accountKey(from), before - amount);
  tx.set(accountKey(to), other + amount);
  return true;
}

function accountKey(account: number): Key {
  return ['transfers', 'account', account];
}

function receiptKey(client: number): Key {
  return ['transfers', 'receipt', client];
}
