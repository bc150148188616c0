import { setMaxListeners } from 'node:events';
import { realEnvironment, type Environment } from '../client/environment.ts';
import { allChecks } from './all-checks.ts';
import { takeBaseline } from './baseline.ts';
import { contradictedBy, profileChecks } from './checks/profile-checks.ts';
import { CannotRunError, InvalidInputError, NotTriedError } from './check-error.ts';
import { EffectMeter } from './effects/effect-meter.ts';
import type { Effect } from './effects/effect.ts';
import { EndpointProcess } from './restart/endpoint-process.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { Pace } from './pace.ts';
import { Probe } from './probe.ts';
import { profileOf, type Profile } from './profiles.ts';
import type { CheckResult, Report } from './report/report.ts';
import { curlScript } from './report/reproduction.ts';
import type { Restart } from './restart/restart.ts';
import type { Check } from './rule.ts';
import { Seeded } from './seeded.ts';
import type { Target } from './request/target.ts';
import { reasonOf } from './wire.ts';

export { allChecks } from './all-checks.ts';
export { CannotRunError, InvalidInputError } from './check-error.ts';
export { countBySql, type SqlEffect } from './effects/count-by-sql.ts';
export { countByGet, type CountOptions, type Effect } from './effects/effect.ts';
export { formatJunit } from './report/junit.ts';
export { defaultLimits, type Limits } from './limits.ts';
export { profileNames } from './profiles.ts';
export { formatReport, type CheckResult, type Report } from './report/report.ts';
export { restartBy, type Restart, type RestartOptions, type Starting } from './restart/restart.ts';
export type { Check, Rule } from './rule.ts';
export { describeTarget, type RequestDescription, type Target, type TargetOptions } from './request/target.ts';
export { countByWebhook, type WebhookCounter, type WebhookOptions } from './effects/count-by-webhook.ts';
export type { VariationDescription, VariationsDescription } from './request/variations.ts';

export interface CheckOptions {
  /** Counts how often the operation acted. Without one the checks that need it are not tried. */
  readonly effect?: Effect | undefined;
  /** The count as the other tenant sees it, where each sees its own effects alone. */
  readonly otherEffect?: Effect | undefined;
  /** Ends the endpoint's process and brings it back. Without one the checks across deaths are not tried. */
  readonly restart?: Restart | undefined;
  /** How long the endpoint says that it remembers a key. */
  readonly lifetimeMs?: number | undefined;
  /** Names of checks; all by default. */
  readonly only?: readonly string[] | undefined;
  readonly skip?: readonly string[] | undefined;
  /** A known contract that is demanded beyond what every endpoint has to keep: `semel`, `ietf` or `stripe`. */
  readonly profile?: string | undefined;
  /** Rules at which moments connections break; any by default. */
  readonly seed?: number | undefined;
  readonly limits?: Partial<Limits> | undefined;
  /** When it fires, the report has what was found until then. */
  readonly signal?: AbortSignal | undefined;
  /** Told before a check begins, and after. What it throws ends the run. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly environment?: Environment | undefined;
}

export type Progress =
  | { readonly event: 'baseline' }
  | { readonly event: 'begins'; readonly check: Check; readonly number: number; readonly of: number }
  | { readonly event: 'ended'; readonly result: CheckResult };

/**
 * Sends the endpoint duplicates of every kind and reports whether the operation took effect once.
 *
 * It sends real requests that have real effects. Run it against an endpoint made for tests.
 *
 * @throws InvalidInputError where a name is that of no check, or a limit or the lifetime is none
 */
export async function check(target: Target, options: CheckOptions = {}): Promise<Report> {
  const { effect, otherEffect, profile, environment = realEnvironment, onProgress = () => undefined } = options;
  const signal = options.signal ?? new AbortController().signal;
  // Each open connection listens to it, and Node.js takes that many for a leak.
  setMaxListeners(0, signal);
  const limits = readLimits(options.limits);
  const seed = options.seed ?? Math.floor(environment.random() * 2 ** 31);
  const chosen = chooseChecks(options, target);
  const pace = new Pace(limits.ratePerSecondMax, environment, signal);
  const meterOf = (counted: Effect | undefined): EffectMeter | undefined =>
    counted === undefined ? undefined : new EffectMeter(counted, limits, pace, environment, signal);
  const [meter, otherMeter] = [meterOf(effect), meterOf(otherEffect)];
  const { restart, lifetimeMs } = options;
  if (lifetimeMs !== undefined) assertPositive('lifetimeMs', lifetimeMs);
  const endpoint = restart && new EndpointProcess({ restart, url: target.url, meter, limits, environment, signal });
  const random = new Seeded(seed);
  const probe = new Probe({
    target,
    meter,
    otherMeter,
    endpoint,
    lifetimeMs,
    limits,
    pace,
    random,
    environment,
    signal,
  });
  const results: CheckResult[] = [];
  const report = (ending: Report['ending'], reason?: string): Report => {
    const { method, url } = target;
    const contract = profile === undefined ? {} : { profile };
    return { method, url: url.href, seed, ...contract, ending, ...(reason === undefined ? {} : { reason }), results };
  };
  try {
    onProgress({ event: 'baseline' });
    await takeBaseline(probe, meter);
    for (const [index, one] of chosen.entries()) {
      onProgress({ event: 'begins', check: one, number: index + 1, of: chosen.length });
      const result = await runCheck(one, probe, { meter, results });
      results.push(result);
      // What was blamed already may act once more, and is not to be held against what comes after.
      if (result.result !== 'pass') meter?.disturb();
      onProgress({ event: 'ended', result });
    }
    return report('complete');
  } catch (error) {
    if (signal.aborted) return report('interrupted');
    if (error instanceof CannotRunError) return report('could-not-run', error.message);
    throw error;
  }
}

/** @throws InvalidInputError for a name of no check or profile */
export function chooseChecks(
  { only, skip = [], profile }: Pick<CheckOptions, 'only' | 'skip' | 'profile'>,
  { method }: Pick<Target, 'method'>,
): readonly Check[] {
  const all = profile === undefined ? allChecks : checksBy(profileOf(profile), method);
  const names = all.map(({ name }) => name);
  const unknown = [...(only ?? []), ...skip].find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new InvalidInputError(`there is no check ${unknown}; the checks are ${names.join(', ')}`);
  }
  return all.filter(({ name }) => (only ?? names).includes(name) && !skip.includes(name));
}

function checksBy(profile: Profile, method: string): readonly Check[] {
  const contradicted = contradictedBy(profile);
  return [...allChecks.filter((one) => !contradicted.includes(one)), ...profileChecks(profile, method)];
}

function readLimits(given: Partial<Limits> = {}): Limits {
  const limits = { ...defaultLimits, ...given };
  for (const [name, value] of Object.entries(limits)) assertPositive(name, value);
  return limits;
}

function assertPositive(name: string, value: number): void {
  if (Number.isFinite(value) && value > 0) return;
  throw new InvalidInputError(`${name} is ${value}, not a positive number`);
}

interface Circumstances {
  readonly meter: EffectMeter | undefined;
  readonly results: readonly CheckResult[];
}

async function runCheck(check: Check, probe: Probe, { meter, results }: Circumstances): Promise<CheckResult> {
  const { name, title, rule } = check;
  if (check.needsEffect && meter === undefined) {
    return { name, title, rule, result: 'not-tried', why: 'it needs a count of the effects (--effect)' };
  }
  // Then every fresh request of another check would be taken for a duplicate, and all of them would fail for this one reason.
  if (results.some((other) => other.name === 'fresh-key' && other.result === 'fail')) {
    return { name, title, rule, result: 'not-tried', why: 'fresh-key failed, and this needs fresh keys' };
  }
  probe.beginTrial();
  try {
    const verdict = await check.run(probe);
    if (verdict.result === 'pass') return { name, title, rule, ...verdict };
    const script = curlScript(probe.target, probe.acts);
    // It may have been somebody else who acted.
    const others = check.needsEffect ? ((await meter?.riseWhileIdle()) ?? 0) : 0;
    const doubt =
      others === 0
        ? ''
        : `; then, while nothing was sent, the count rose by ${others}: does somebody else use the endpoint?`;
    return { name, title, rule, result: 'fail', seen: `${verdict.seen}${doubt}`, script };
  } catch (error) {
    if (!(error instanceof NotTriedError)) throw error;
    return { name, title, rule, result: 'not-tried', why: reasonOf(error) };
  }
}
