import { setTimeout as pause } from 'node:timers/promises';
import { Client, type Failed } from '../client.ts';
import { CuttingProxy } from '../cutting-proxy.ts';
import { lookAt, readEntries, replay, type Seen } from '../examination.ts';
import { Connections } from '../exchange.ts';
import type { Journal } from '../journal.ts';
import type { Operation } from '../operation.ts';
import type { Oracle } from '../oracle.ts';
import type { Death } from '../service-process.ts';
import { wordsOf } from '../site.ts';
import { demand } from '../violation.ts';
import type { Victim } from './kill-class.ts';
import type { RoundPlan } from './plan.ts';
import type { PostgresSite, Slot } from './site.ts';
import type { StruckStatement } from './striking-wire.ts';

export interface Arena {
  readonly site: PostgresSite;
  readonly journal: Journal;
  readonly oracle: Oracle;
}

export interface RoundResult {
  /** Why the kill does not count, where it does not. */
  readonly missed: string | undefined;
  /** Requests in flight at a service when that was killed. */
  readonly cut: number;
  /** Operations that had been sent, and not answered to anybody, when the kill struck. */
  readonly unanswered: number;
}

/**
 * One round: clients work at both services until the kill. Whoever loses his service goes on at the other one; whoever is put off asks
 * again. What has died is started again, and everything is examined through both services, which go on into the next round.
 */
export async function runRound(arena: Arena, plan: RoundPlan): Promise<RoundResult> {
  const { journal, oracle, site } = arena;
  const operations = [...new Set(plan.clients.flat())];
  const histories = operations.map((operation) => journal.historyOf(operation));
  const clients = plan.clients.map((given, number) => new Client(number, given, journal, oracle));
  const slot = site.slot(plan.slot);
  const other = site.slot(plan.slot + 1);
  const blow = await attack(arena, plan, clients);
  demand(!other.service.isDead, 'a service does not die by itself', 'the one that was not struck is dead');
  const cut = histories.reduce((sum, { cuts }) => sum + cuts, 0);
  const settledBefore = new Set(operations.filter((operation) => oracle.isSettled(operation)));
  let seen: ReadonlyMap<Operation, Seen> = new Map();
  if (slot.service.isDead) {
    judgeDeath(plan, await site.buried(slot));
    seen = await lookAtAll(
      operations.filter((operation) => !settledBefore.has(operation)),
      other.connections,
    );
    await Promise.all([site.startAgain(slot), ...clients.map((client) => finish(client, other.connections))]);
  }
  for (const history of histories) {
    const { operation, hasPart } = history;
    const state = settledBefore.has(operation) ? 'answered' : seen.get(operation);
    if (hasPart) {
      demand(state !== 'absent', 'an answer that has begun is complete', 'it is absent after the kill', operation.id);
    }
    oracle.judgeSettled(history, state ?? 'answered', blow.mayHaveLost(operation));
  }
  for (const operation of operations) judgeStruck(operation, plan, blow, oracle);
  const half = Math.ceil(operations.length / 2);
  await replay(operations.slice(0, half), other.connections, oracle);
  await replay(operations.slice(half), slot.connections, oracle);
  for (const { connections } of site.slots) oracle.compareState(await readEntries(connections));
  return { missed: blow.missed ?? missedBy(plan, cut), cut, unanswered: blow.unanswered };
}

/** What the kill was, and what can be said of operations because of it. */
interface Blow {
  readonly missed: string | undefined;
  readonly unanswered: number;
  /** Whether a service may itself not have got the answer to the COMMIT of this operation. */
  readonly mayHaveLost: (operation: Operation) => boolean;
  /** Whose COMMIT was struck. */
  readonly struck: (operation: Operation) => boolean;
}

/** Resolves when every client is done, or has lost his service. */
async function attack({ site, journal, oracle }: Arena, plan: RoundPlan, clients: readonly Client[]): Promise<Blow> {
  const { strike } = plan;
  const slot = site.slot(plan.slot);
  const operations = [...new Set(plan.clients.flat())];
  let settledAtStrike: ReadonlySet<Operation> | undefined;
  let statement: StruckStatement | undefined;
  let killing: Promise<unknown> | undefined;
  const kill = (victim: Victim): Promise<unknown> => {
    settledAtStrike = new Set(operations.filter((operation) => oracle.isSettled(operation)));
    if (victim === 'service') killing = slot.service.kill();
    else if (victim === 'server') killing = site.crash();
    else killing = site.terminate(statement?.backendPid ?? 0);
    return killing;
  };
  let proxy: CuttingProxy | undefined;
  if (strike.by === 'process') await slot.service.arm(strike);
  if (strike.by === 'wire') {
    const act = async (struck: StruckStatement): Promise<void> => {
      statement = struck;
      await kill(strike.victim);
    };
    slot.wire.arm({ ...strike, act });
  }
  if (strike.by === 'proxy') {
    const { response, part } = strike;
    proxy = await CuttingProxy.listen(slot.service.port, {
      response,
      part,
      strike: async () => void (await kill('service')),
    });
  }
  const proxied = proxy === undefined ? slot.connections : new Connections(proxy.port);
  let timer: NodeJS.Timeout | undefined;
  let answers = 0;
  const aim = (): void => {
    if (strike.by !== 'driver' || timer !== undefined || answers < strike.answers) return;
    timer = setTimeout(() => void kill(strike.victim), strike.delayMs);
  };
  const onAnswered = (): void => {
    answers += 1;
    aim();
  };
  aim();
  const working = clients.map((client, number) => {
    const at = site.slot(number);
    return client.work(at === slot ? proxied : at.connections, { onAnswered });
  });
  const failures = await Promise.all(working).finally(() => clearTimeout(timer));
  await killing;
  if (proxied !== slot.connections) proxied.close();
  proxy?.close();
  const wasArmed = slot.wire.disarm();
  await judgeFailures(slot, failures);
  if (strike.by === 'process' && !slot.service.isDead) {
    // It is still armed, so another one goes on.
    await slot.service.kill();
    return { missed: 'every request was answered before', unanswered: 0, mayHaveLost: no, struck: no };
  }
  const isStruckBy = (operation: Operation): boolean => statement !== undefined && isWritten(statement, operation);
  const before = settledAtStrike ?? new Set(operations.filter((operation) => oracle.isSettled(operation)));
  const sent = operations.filter((operation) => journal.historyOf(operation).story.length > 0);
  return {
    missed: missedBlow(plan, { wasArmed, hasKilled: killing !== undefined || slot.service.isDead, statement }),
    unanswered: sent.filter((operation) => !before.has(operation)).length,
    mayHaveLost: (operation) => {
      if (strike.by === 'process' || strike.by === 'proxy' || settledAtStrike?.has(operation) !== false) return false;
      return strike.victim === 'server' || (strike.by === 'wire' && strike.what === 'commit' && isStruckBy(operation));
    },
    struck: (operation) => strike.by === 'wire' && strike.what === 'commit' && isStruckBy(operation),
  };
}

const no = (): boolean => false;

function missedBlow(
  { strike }: RoundPlan,
  {
    wasArmed,
    hasKilled,
    statement,
  }: { readonly wasArmed: boolean; readonly hasKilled: boolean; readonly statement: StruckStatement | undefined },
): string | undefined {
  if (strike.by === 'wire' && wasArmed) return 'no such statement came';
  if (!hasKilled) return 'every request was answered before';
  const isAfterCommit = strike.by === 'wire' && strike.what === 'commit' && strike.place === 'after';
  return isAfterCommit && statement?.hasCommitted !== true ? 'the server had refused the commit' : undefined;
}

/** A service that was killed has to have been asked something. */
function missedBy({ strike }: RoundPlan, cut: number): string | undefined {
  const isOfService = strike.by === 'process' || strike.by === 'proxy' || strike.victim === 'service';
  return isOfService && cut === 0 ? 'no request was in flight' : undefined;
}

/** PostgreSQL takes bytes as text, in hexadecimal digits; in a key a text ends with a zero byte. */
function isWritten({ writes }: StruckStatement, { id }: Operation): boolean {
  return writes.includes(`${Buffer.from(id).toString('hex')}00`);
}

/** Who lives answers everybody. */
async function judgeFailures(slot: Slot, failures: readonly (Failed | undefined)[]): Promise<void> {
  const failed = failures.filter((failure) => failure !== undefined);
  if (failed.length === 0) return;
  const death = await Promise.race([slot.service.death, pause(deathMsMax, 'none' as const, { ref: false })]);
  const reasons = failed.map(({ reason }) => reason).join(', ');
  demand(death !== 'none', 'a service that serves answers', `it lives, but clients got no answer: ${reasons}`);
}

/** Between a connection's end and the news of the death that ended it. */
const deathMsMax = 5_000;

/** A death that was not ordered is a violation. */
function judgeDeath({ strike }: RoundPlan, death: Death): void {
  const rule = 'a service does not die by itself';
  demand(death.signal === 'SIGKILL', rule, wordsOf(death));
  demand(strike.by === 'process' || death.marker === undefined, rule, wordsOf(death));
}

async function lookAtAll(
  operations: readonly Operation[],
  connections: Connections,
): Promise<ReadonlyMap<Operation, Seen>> {
  const pairs = operations.map(async (operation) => [operation, await lookAt(operation, connections)] as const);
  return new Map(await Promise.all(pairs));
}

async function finish(client: Client, connections: Connections): Promise<void> {
  const failed = await client.work(connections);
  demand(failed === undefined, 'a service that serves answers', String(failed?.reason));
}

/** What the place of the kill says about the operation whose COMMIT was struck. */
function judgeStruck(operation: Operation, { strike }: RoundPlan, { struck, missed }: Blow, oracle: Oracle): void {
  if (strike.by !== 'wire' || missed !== undefined || !struck(operation)) return;
  const executions = oracle.executionsOf(operation);
  const words = `${executions} answers say that they executed it`;
  if (strike.place === 'before') {
    demand(executions === 1, 'what never reached the database is executed by a retry', words, operation.id);
  }
  if (strike.place === 'after') {
    demand(executions === 0, 'what was committed is not executed again', words, operation.id);
  }
}
