import type { EmbeddedStore } from '../../src/engines/embedded/embedded.ts';
import type { Key } from '../../src/kv/key.ts';
import type { ReadTransaction, Transaction } from '../../src/kv/store.ts';
import { fingerprint, type Identity } from '../../src/layers/idempotency/idempotency.ts';
import { createOperations, type Execution, type Operations, type Outcome } from '../../src/operations/operations.ts';
import { check, CheckFailed } from '../check-failed.ts';
import type { Client } from '../client.ts';
import type { Marks } from '../marks.ts';
import type { Circumstances, Workload, WorkloadOptions } from '../workload.ts';

/**
 * Commands that clients send until they are answered, sometimes twice at once, sometimes again much later, over however many deaths
 * of the process it takes. Each that was answered took effect once, and each answer of one command is the same.
 */
export class IdempotentOperations implements Workload {
  readonly #doors = new WeakMap<EmbeddedStore, Operations>();
  readonly #commands: Command[][];
  readonly #marks: Marks;

  constructor({ clients, marks }: WorkloadOptions) {
    this.#commands = Array.from({ length: clients }, () => []);
    this.#marks = marks;
  }

  async setup(tx: Transaction): Promise<void> {
    tx.set(total, 0);
  }

  async start(client: Client): Promise<void> {
    const commands = this.#commands[client.number];
    if (commands === undefined) return;
    const newest = commands.at(-1);
    if (newest !== undefined && newest.answer === undefined) return this.#send(client, newest);
    if (newest !== undefined && client.random.chance(0.3)) return this.#send(client, client.random.pick(commands));
    const keep = client.random.pick(['all', 'all', 'all', 'record', 'nothing'] as const);
    const command: Command = { key: `${client.number}-${commands.length}`, keep, answer: undefined, life: undefined };
    commands.push(command);
    await this.#send(client, command);
  }

  async check(tx: ReadTransaction, { when, rest }: Circumstances): Promise<void> {
    const known = this.#commands.map((commands) => commands.map(({ key, keep, answer }) => ({ key, keep, answer })));
    const sum = Number((await tx.get(total)) ?? 0);
    let found = 0;
    for (const commands of known) {
      for (const { key, keep, answer } of commands) {
        const effects = Number((await tx.get(effectKey(key))) ?? 0);
        found += effects;
        const facts = (): string =>
          `command ${key} (keep ${keep}) took effect ${effects} times, answered ${String(answer)}`;
        const most = keep === 'all' ? 1 : 0;
        check(effects <= most, 'operations: a command takes effect once', facts);
        const least = when === 'rotten' || when === 'copied' || answer === undefined ? 0 : most;
        check(effects >= least, 'operations: what was answered took effect', facts);
      }
      await rest();
    }
    // Of those that began after the snapshot was taken it knows nothing, and they are not in it.
    check(sum === found, 'operations: the effects add up', () => `they sum to ${sum}, and ${found} are there`);
  }

  async #send(client: Client, command: Command): Promise<void> {
    const copies = client.random.pick([1, 1, 1, 2, 3]);
    await Promise.all(Array.from({ length: copies }, () => this.#sendOne(client, command)));
  }

  async #sendOne(client: Client, command: Command): Promise<void> {
    const { store, world } = client;
    let door = this.#doors.get(store);
    if (door === undefined) {
      const onEvent = ({ coalesced }: { readonly coalesced: boolean }): void => {
        if (coalesced) this.#marks.reach('operation coalesced');
      };
      this.#doors.set(store, (door = createOperations(store, { world, onEvent })));
    }
    client.tell(() => `sends command ${command.key}`);
    const answer = await client.attempt(
      () => door.run(identityOf(command), (tx) => execute(tx, client, command)),
      false,
    );
    if (answer.outcome === 'fault') return;
    this.#take(client, command, answer.value);
  }

  #take(client: Client, command: Command, outcome: Outcome): void {
    client.tell(() => `is answered ${outcome.outcome} to command ${command.key}`);
    switch (outcome.outcome) {
      case 'executed':
      case 'replayed': {
        const answer = JSON.stringify(outcome.result);
        if (command.keep === 'nothing') break;
        const { outcome: what } = outcome;
        if (what === 'replayed' && command.life !== undefined && command.life !== client.store) {
          this.#marks.reach('operation replayed after a restart');
        }
        check(
          command.answer === undefined || command.answer === answer,
          'operations: every answer is the same',
          () => `command ${command.key} was answered ${String(command.answer)}, now ${answer}`,
        );
        check(
          what === 'replayed' || command.answer === undefined,
          'operations: a command is executed once',
          () => `command ${command.key} was answered ${String(command.answer)}, and is executed again`,
        );
        command.answer = answer;
        command.life = client.store;
        break;
      }
      case 'expired':
        this.#marks.reach('operation expired');
        break;
      case 'in-progress':
        break;
      case 'mismatch':
        throw new CheckFailed('operations: a key belongs to one payload', `command ${command.key} is a mismatch`);
      case 'refused':
        check(
          outcome.reason === 'commit-unknown' || outcome.reason === 'deadline',
          'operations: nothing is refused without a reason',
          () => `command ${command.key} was refused: ${outcome.reason}`,
        );
        if (outcome.reason === 'commit-unknown') client.service.judgeUnknown(false);
        break;
    }
  }
}

interface Command {
  readonly key: string;
  readonly keep: Execution['keep'];
  answer: string | undefined;
  /** The process that answered. */
  life: EmbeddedStore | undefined;
}

async function execute(tx: Transaction, client: Client, { key, keep }: Command): Promise<Execution> {
  const before = Number((await tx.get(effectKey(key))) ?? 0);
  await client.rest();
  tx.set(effectKey(key), before + 1);
  await tx.add(total, 1);
  return { keep, result: { key, lot: client.random.integer(0, 1_000_000) } };
}

function identityOf({ key }: Command): Identity {
  const body = new TextEncoder().encode(key);
  const payload = { method: 'POST', path: '/', query: [], mediaType: undefined, body };
  return { scope: 'sim', key, fingerprint: fingerprint(payload) };
}

const total: Key = ['operations', 'total'];

function effectKey(key: string): Key {
  return ['operations', 'effect', key];
}
