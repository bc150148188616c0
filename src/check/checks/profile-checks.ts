import { NotTriedError } from '../check-error.ts';
import { isSuccess } from '../probe.ts';
import type { Demand, Fields, MissingKeyDemand, Profile, ReplayDemand } from '../profiles.ts';
import { failed, passed, type Check } from '../rule.ts';
import type { Answer, Exchange } from '../wire.ts';
import { failOnce, faultGoneSucceeds, settleAfter } from './failed-executions.ts';
import { describeExchange, describeSettled, tally, times } from '../wording.ts';

/** Checks that a contract contradicts on purpose. */
export function contradictedBy({ faultsKept }: Profile): readonly Check[] {
  return faultsKept === undefined ? [] : [faultGoneSucceeds];
}

/** What a profile demands beyond the checks that every endpoint passes, each as a check of its own. */
export function profileChecks(profile: Profile, method: string): readonly Check[] {
  const { name, mismatch, inFlight, missingKey, faultsKept, replay } = profile;
  return [
    mismatchAnswer(name, mismatch),
    inFlightAnswer(name, inFlight),
    missingKeyAnswer(name, missingKey(method)),
    ...(faultsKept === undefined ? [] : [faultKept(name, faultsKept.source)]),
    ...(replay === undefined ? [] : [replayMark(name, replay)]),
  ];
}

function mismatchAnswer(profile: string, demand: Demand): Check {
  return {
    name: 'profile-mismatch',
    title: `another payload under a used key is answered as ${profile} says`,
    needsEffect: false,
    rule: { source: demand.source, demands: `Another payload under a used key is answered ${describe(demand)}.` },
    async run(probe) {
      const key = probe.freshKey();
      await probe.execute(probe.given(key));
      const exchange = await probe.send(probe.other(key));
      const found = `another payload under the key was answered ${describeWith(exchange, demand.fields)}`;
      return meets(exchange, demand) ? passed(found) : failed(found);
    },
  };
}

/** What is in flight for a short time only is not met by every try. */
const rounds = 5;
const duplicatesAtOnce = 8;

/** Whoever is turned away by these was not seen to be a duplicate. */
const busyStatuses = [429, 503];

function inFlightAnswer(profile: string, demand: Profile['inFlight']): Check {
  return {
    name: 'profile-in-flight',
    title: `a duplicate in flight is answered as ${profile} says`,
    needsEffect: false,
    rule: {
      source: demand.source,
      demands: `A duplicate that does not get the result, because the first request is being handled, is answered ${describe(demand)}.`,
    },
    async run(probe) {
      const copies = Math.min(duplicatesAtOnce, probe.limits.concurrencyMax);
      const seen: string[] = [];
      for (let round = 0; round < rounds; round += 1) {
        probe.beginTrial();
        const sending = probe.given(probe.freshKey());
        const exchanges = await probe.sendAtOnce(sending, copies);
        const refusals = exchanges.filter(
          (exchange) =>
            exchange.outcome === 'answered' &&
            !busyStatuses.includes(exchange.answer.status) &&
            (!isSuccess(exchange.answer) || probe.isInProgress(exchange.answer)),
        );
        const wrong = refusals.find((exchange) => !meets(exchange, demand));
        if (wrong !== undefined) {
          return failed(`of ${copies} duplicates at once one was answered ${describeWith(wrong, demand.fields)}`);
        }
        seen.push(...refusals.map((exchange) => describeWith(exchange, demand.fields)));
        await probe.settle(sending);
      }
      const found = `${copies} at once, ${rounds} times`;
      if (seen.length > 0) return passed(`${found}: ${tally(seen)}; the others got the result`);
      if (demand.mayWait) return passed(`${found}: all got the result`);
      throw new NotTriedError(
        'every duplicate got the result: the endpoint waits for it, or is too quick to be met in flight',
      );
    },
  };
}

function missingKeyAnswer(profile: string, demand: MissingKeyDemand): Check {
  return {
    name: 'profile-missing-key',
    title: `a request without a key is answered as ${profile} says`,
    needsEffect: demand.acts,
    rule: {
      source: demand.source,
      demands: demand.acts
        ? 'A request without a key acts, each time it is sent.'
        : `A request without a key is answered ${describe(demand)}.`,
    },
    async run(probe) {
      const sending = { keys: [], payload: 'given' } as const;
      if (!demand.acts) {
        const exchange = await probe.send(sending);
        const found = `a request without a key was answered ${describeWith(exchange, demand.fields)}`;
        return meets(exchange, demand) ? passed(found) : failed(found);
      }
      const exchanges: Exchange[] = [];
      const acted = await probe.effectsOf(async () => {
        for (let sent = 0; sent < 2; sent += 1) exchanges.push(await probe.send(sending));
      });
      const found = `two requests without a key, answered ${exchanges.map(describeExchange).join(' and ')}, acted ${times(acted)}`;
      const areAnswered = exchanges.every((one) => one.outcome === 'answered' && isSuccess(one.answer));
      return acted === 2 && areAnswered ? passed(found) : failed(found);
    },
  };
}

function faultKept(profile: string, source: string): Check {
  return {
    name: 'profile-fault-kept',
    title: `a 5xx is kept as ${profile} says`,
    needsEffect: false,
    rule: { source, demands: 'A retry of what was answered by 5xx is answered so again, though its cause is gone.' },
    async run(probe) {
      const key = probe.freshKey();
      const first = await failOnce(probe, key);
      if (first.status < 500) throw new NotTriedError(`"failOnce" was answered ${first.status}; it needs a 5xx`);
      const settled = await settleAfter(probe, key, first);
      const found = `it was answered ${first.status}, and a retry without the fault ${describeSettled(settled)}`;
      const isKept = settled.outcome === 'answered' && settled.answer.status === first.status;
      return isKept ? passed(found) : failed(found);
    },
  };
}

function replayMark(profile: string, { source, first, replay }: ReplayDemand): Check {
  return {
    name: 'profile-replay-mark',
    title: `a replay is marked as ${profile} says`,
    needsEffect: false,
    rule: {
      source,
      demands: `The first answer has ${describeFields(first)}, and a replay has ${describeFields(replay)}.`,
    },
    async run(probe) {
      const sending = probe.given(probe.freshKey());
      const executed = await probe.execute(sending);
      const settled = await probe.settle(sending);
      if (settled.outcome !== 'answered') return failed(`the duplicate was answered ${describeSettled(settled)}`);
      const found = `the first answer has ${seenFields(executed, first)}, and the replay has ${seenFields(settled.answer, replay)}`;
      return hasFields(executed, first) && hasFields(settled.answer, replay) ? passed(found) : failed(found);
    },
  };
}

function meets(exchange: Exchange, { statuses, fields }: Demand): boolean {
  return (
    exchange.outcome === 'answered' && statuses.includes(exchange.answer.status) && hasFields(exchange.answer, fields)
  );
}

function hasFields(answer: Answer, fields: Fields): boolean {
  return Object.entries(fields).every(([name, value]) => fieldOf(answer, name) === value);
}

function fieldOf({ headers }: Answer, wanted: string): string | undefined {
  return headers.find(([name]) => name === wanted)?.[1];
}

function describe({ statuses, fields }: Demand): string {
  const status = statuses.join(' or ');
  return Object.keys(fields).length === 0 ? status : `${status} with ${describeFields(fields)}`;
}

function describeFields(fields: Fields): string {
  return list(Object.entries(fields));
}

function describeWith(exchange: Exchange, fields: Fields): string {
  const status = describeExchange(exchange);
  if (exchange.outcome === 'unanswered' || Object.keys(fields).length === 0) return status;
  return `${status} with ${seenFields(exchange.answer, fields)}`;
}

function seenFields(answer: Answer, fields: Fields): string {
  return list(Object.keys(fields).map((name) => [name, fieldOf(answer, name)] as const));
}

function list(fields: readonly (readonly [name: string, value: string | undefined])[]): string {
  return fields.map(([name, value]) => (value === undefined ? `no ${name}` : `${name}: ${value}`)).join(' and ');
}
