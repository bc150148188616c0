import { setTimeout as pause } from 'node:timers/promises';
import { Client } from './client.ts';
import { CuttingProxy } from './cutting-proxy.ts';
import { examineRecovery, lookAt, readEntries, replay, type Seen } from './examination.ts';
import { Connections } from './exchange.ts';
import type { History, Journal } from './journal.ts';
import type { Operation } from './operation.ts';
import type { Oracle } from './oracle.ts';
import type { RoundPlan } from './plan.ts';
import type { Death } from './service-process.ts';
import { wordsOf, type Site } from './site.ts';
import { demand } from './violation.ts';

export interface Arena {
  readonly site: Site;
  readonly journal: Journal;
  readonly oracle: Oracle;
}

export interface RoundResult {
  /** Whether the kill struck, and requests were unanswered when it did; else why it does not count. */
  readonly missed: string | undefined;
  /** Of the round's class. The kill before those of a recovery is not counted. */
  readonly kills: number;
  /** Requests in flight when the service was killed. */
  readonly cut: number;
  /** Operations of which no request had been answered by then, though one at least had been sent. */
  readonly unanswered: number;
  /** Where the service was killed while it started again. */
  readonly steps: readonly string[];
}

/**
 * One round: clients work until the kill, the service is started again on what is left, whoever has no answer asks again until he has
 * one, and then everything is examined. The service that was started last goes on into the next round.
 */
export async function runRound(arena: Arena, plan: RoundPlan): Promise<RoundResult> {
  const { journal, oracle, site } = arena;
  const operations = [...new Set(plan.clients.flat())];
  const histories = operations.map((operation) => journal.historyOf(operation));
  const clients = plan.clients.map((given, number) => new Client(number, given, journal, oracle));
  const { death, victims } = await attack(arena, plan, clients);
  const cut = histories.reduce((sum, { cuts }) => sum + cuts, 0);
  const settledBefore = new Set(operations.filter((operation) => oracle.isSettled(operation)));
  const unanswered = histories.filter(({ operation, cuts }) => cuts > 0 && !settledBefore.has(operation)).length;
  const missed = judgeKill(plan, death, { cut, victims, histories });
  const steps = missed === undefined ? await startInVain(arena, plan) : [];
  await site.start();
  if (missed === undefined && plan.recoveries.length === 0) {
    const point = death?.marker?.point;
    await examineRecovery(site.service.recovery, point, site.dataDirectory, site.connections);
  }
  const seen = await lookAtAll(operations, site.connections);
  for (const history of histories) judgeVictim(history, death, seen.get(history.operation), settledBefore);
  if (missed === undefined) judgePlace(plan, seen, settledBefore);
  await Promise.all(
    clients.map(async (client) => {
      const failed = await client.work(site.connections);
      demand(failed === undefined, 'a service that serves answers', String(failed?.reason));
    }),
  );
  for (const history of histories) {
    const { operation } = history;
    oracle.judgeSettled(history, settledBefore.has(operation) ? 'answered' : (seen.get(operation) ?? 'absent'));
  }
  await replay(operations, site.connections, oracle);
  oracle.compareState(await readEntries(site.connections));
  const kills = steps.length === 0 ? 1 : steps.length;
  return { missed, kills: missed === undefined ? kills : 0, cut, unanswered, steps };
}

interface Attack {
  /** Without one the kill has not struck. */
  readonly death: Death | undefined;
  /** Clients that were waiting when the driver killed, and did not get that answer. */
  readonly victims: number;
}

/** Resolves when every client is done or cut. */
async function attack(arena: Arena, plan: RoundPlan, clients: readonly Client[]): Promise<Attack> {
  const { site } = arena;
  const { service } = site;
  const { strike } = plan;
  if (strike.by === 'process') await service.arm(strike);
  let proxy: CuttingProxy | undefined;
  if (strike.by === 'proxy') {
    const { response, part } = strike;
    const cut = { response, part, strike: async () => void (await service.kill()) };
    proxy = await CuttingProxy.listen(service.port, cut);
  }
  const connections = proxy === undefined ? site.connections : new Connections(proxy.port);
  let timer: NodeJS.Timeout | undefined;
  let waiting: ReadonlyMap<Client, number | undefined> = new Map();
  let answers = 0;
  const aim = (): void => {
    if (strike.by !== 'driver' || timer !== undefined || answers < strike.answers) return;
    timer = setTimeout(() => {
      waiting = new Map(clients.map((client) => [client, client.waitsFor]));
      void service.kill();
    }, strike.delayMs);
  };
  const isBacklog = plan.killClass === 'backlog';
  let unsent = clients.length;
  // While it rests, the kernel takes requests for it; so they are all there when it goes on.
  if (isBacklog) service.pause();
  const onSent = (): void => {
    unsent -= 1;
    if (isBacklog && unsent === 0) service.resume();
    if (!isBacklog || unsent <= 0) aim();
  };
  const onAnswered = (): void => {
    answers += 1;
    aim();
  };
  const failures = await Promise.all(clients.map((client) => client.work(connections, { onSent, onAnswered })));
  clearTimeout(timer);
  if (proxy !== undefined) {
    connections.close();
    proxy.close();
  }
  if (clients.every(({ isDone }) => isDone)) {
    // Nobody is left to be cut. It may still be armed, so another one goes on.
    void service.kill();
    await site.buried();
    return { death: undefined, victims: 0 };
  }
  const death = await Promise.race([site.buried(), pause(deathMsMax, 'none' as const, { ref: false })]);
  const reasons = failures.map((failed) => failed?.reason).join(', ');
  demand(death !== 'none', 'a service that serves answers', `it lives, but clients got no answer: ${reasons}`);
  // Who got that answer after all has gone on to another place.
  const victims = clients.filter((client) => !client.isDone && waiting.get(client) === client.position).length;
  return { death, victims };
}

/** Between a connection's end and the news of the death that ended it. */
const deathMsMax = 5_000;

/** Why this kill does not count. A death that was not ordered is a violation. */
function judgeKill(
  { strike, inFlightMin }: RoundPlan,
  death: Death | undefined,
  { cut, victims, histories }: { cut: number; victims: number; histories: readonly History[] },
): string | undefined {
  if (death === undefined) return 'every request was answered before';
  const { signal, marker } = death;
  const rule = 'the service does not die by itself';
  demand(signal === 'SIGKILL', rule, wordsOf(death));
  if (strike.by === 'process') demand(marker?.point === strike.point, rule, wordsOf(death));
  else demand(marker === undefined, rule, wordsOf(death));
  if (cut < inFlightMin) return `${cut} requests were in flight, not ${inFlightMin}`;
  if (strike.by === 'driver' && victims === 0) return 'no request was in flight';
  const struck = histories.find(({ operation }) => operation.id === marker?.operation);
  if (struck !== undefined && struck.cuts === 0) return 'the request that was struck had not left its client';
  if (strike.by === 'proxy' && !histories.some(({ hasPart }) => hasPart)) return 'no part of the response arrived';
  return undefined;
}

/** Starts the service and has it killed on the way, as often as the plan says. Nobody has an answer meanwhile. */
async function startInVain({ site }: Arena, { recoveries }: RoundPlan): Promise<readonly string[]> {
  const steps: string[] = [];
  for (const hit of recoveries) {
    const death = await site.startInVain(hit);
    const isOrdered = death.signal === 'SIGKILL' && death.marker?.point === 'during-recovery';
    demand(isOrdered, 'the service starts on what a kill has left', wordsOf(death));
    steps.push(death.marker?.step ?? '');
  }
  return steps;
}

async function lookAtAll(
  operations: readonly Operation[],
  connections: Connections,
): Promise<ReadonlyMap<Operation, Seen>> {
  const pairs = operations.map(async (operation) => [operation, await lookAt(operation, connections)] as const);
  return new Map(await Promise.all(pairs));
}

/** What the place of the kill says about an operation. */
function judgeVictim(
  { operation, hasPart }: History,
  death: Death | undefined,
  seen: Seen | undefined,
  settledBefore: ReadonlySet<Operation>,
): void {
  const { id } = operation;
  const isSettled = settledBefore.has(operation);
  if (id === death?.marker?.operation) {
    demand(!isSettled, 'the one that was struck had no answer', 'it had one', id);
    demand(seen === 'absent', 'what was cut before its log was written has left nothing', `it is ${seen}`, id);
  }
  if (isSettled) demand(seen === 'complete', 'what was answered is complete', `it is ${seen} after the kill`, id);
  if (hasPart) demand(seen === 'complete', 'an answer that has begun is complete', `it is ${seen} after the kill`, id);
}

/** What the place of the kill says about all operations of the round. A kill that was elsewhere would show here. */
function judgePlace(
  { strike }: RoundPlan,
  seen: ReadonlyMap<Operation, Seen>,
  settledBefore: ReadonlySet<Operation>,
): void {
  if (strike.by !== 'process') return;
  const { point, hit } = strike;
  const complete = [...seen].filter(([, state]) => state === 'complete').map(([operation]) => operation);
  const found = `${complete.length} operations are complete, ${settledBefore.size} were answered`;
  if (point === 'between-write-and-sync' || point === 'after-sync') {
    const isLeft = complete.some((operation) => !settledBefore.has(operation));
    demand(isLeft, 'what was written when the process died is there', found);
  } else if (hit === 1 && (point === 'before-log-write' || point === 'amid-log-write')) {
    demand(complete.length === 0, 'what was not written whole when the process died is not there', found);
  }
}
