import { limits, type Version } from 'semel';
import { isArray, parseJson, type Json } from './json.ts';
import { pointerPart } from './json-scan.ts';
import { checkKey } from './kv-key.ts';
import { serviceLimits } from './service-limits.ts';

export interface TransactionRequest {
  readonly checks: readonly Check[];
  readonly reads: readonly string[];
  readonly mutations: readonly Mutation[];
}

export interface Check {
  readonly key: string;
  /** `null`: the key is absent. */
  readonly version: Version | null;
}

export type Mutation =
  | { readonly kind: 'set'; readonly key: string; readonly value: Json }
  | { readonly kind: 'delete'; readonly key: string }
  | {
      readonly kind: 'add';
      readonly key: string;
      readonly by: number;
      readonly min: number | undefined;
      readonly max: number | undefined;
    };

export type TransactionRequestOutcome =
  | { readonly outcome: 'ok'; readonly request: TransactionRequest }
  | {
      readonly outcome: 'refused';
      readonly problem: 'json-invalid' | 'transaction-invalid';
      readonly reason: string;
      /** RFC 6901, to the member that is refused. */
      readonly pointer: string | undefined;
    }
  | { readonly outcome: 'too-many-nodes' };

/**
 * Reads the body of `POST /v1/transactions`. What it does not know it refuses by name: a misspelt member that was passed
 * over would be a check that was never made.
 */
export function parseTransactionRequest(body: Uint8Array): TransactionRequestOutcome {
  const depthMax = limits.valueDepthMax + levelsAboveValue;
  const parsed = parseJson(body, { depthMax, nodesMax: serviceLimits.jsonNodesMax });
  if (parsed.outcome === 'too-many-nodes') return parsed;
  if (parsed.outcome === 'refused') {
    return { outcome: 'refused', problem: 'json-invalid', reason: parsed.reason, pointer: parsed.pointer };
  }
  try {
    return { outcome: 'ok', request: transactionRequest(parsed.value) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { outcome: 'refused', problem: 'transaction-invalid', reason: error.message, pointer: error.pointer };
  }
}

/** `/mutations/0/set/value` */
const levelsAboveValue = 4;

/** Carries a refusal up; it never leaves this file. */
class Refusal extends Error {
  readonly pointer: string;

  constructor(pointer: string, reason: string) {
    super(reason);
    this.pointer = pointer;
  }
}

function transactionRequest(json: Json): TransactionRequest {
  const members = objectWith(json, '', [], ['checks', 'reads', 'mutations']);
  const request = {
    checks: list(members['checks'], '/checks', check),
    reads: list(members['reads'], '/reads', key),
    mutations: list(members['mutations'], '/mutations', mutation),
  };
  if (request.checks.length + request.reads.length + request.mutations.length === 0) {
    throw new Refusal('', 'the transaction is empty: it has neither checks nor reads nor mutations');
  }
  return request;
}

function list<T>(json: Json | undefined, pointer: string, parse: (item: Json, pointer: string) => T): readonly T[] {
  if (json === undefined) return [];
  if (!isArray(json)) throw new Refusal(pointer, 'expected an array');
  const { transactionEntriesMax } = serviceLimits;
  if (json.length > transactionEntriesMax) {
    throw new Refusal(pointer, `transactionEntriesMax is ${transactionEntriesMax}, found ${json.length}`);
  }
  return json.map((item, index) => parse(item, pointer + pointerPart(index)));
}

function check(json: Json, pointer: string): Check {
  const members = objectWith(json, pointer, ['key', 'version'], []);
  const version = members['version'];
  if (version !== null && typeof version !== 'string') {
    throw new Refusal(`${pointer}/version`, 'expected a version, or null for an absent key');
  }
  return { key: key(members['key'], `${pointer}/key`), version };
}

function mutation(json: Json, pointer: string): Mutation {
  const [kind, ...others] = Object.entries(objectWith(json, pointer, [], ['set', 'delete', 'add']));
  if (kind === undefined || others.length > 0) {
    throw new Refusal(pointer, 'expected exactly one of the members set, delete, add');
  }
  const [name, content] = kind;
  const inside = `${pointer}/${name}`;
  if (name === 'set') {
    const members = objectWith(content, inside, ['key', 'value'], []);
    return { kind: 'set', key: key(members['key'], `${inside}/key`), value: members['value'] ?? null };
  }
  if (name === 'delete') {
    const members = objectWith(content, inside, ['key'], []);
    return { kind: 'delete', key: key(members['key'], `${inside}/key`) };
  }
  return addition(objectWith(content, inside, ['key', 'by'], ['min', 'max']), inside);
}

function addition(members: Members, pointer: string): Mutation {
  const min = members['min'] === undefined ? undefined : integer(members['min'], `${pointer}/min`);
  const max = members['max'] === undefined ? undefined : integer(members['max'], `${pointer}/max`);
  if (min !== undefined && max !== undefined && min > max) throw new Refusal(`${pointer}/min`, 'min is above max');
  return {
    kind: 'add',
    key: key(members['key'], `${pointer}/key`),
    by: integer(members['by'], `${pointer}/by`),
    min,
    max,
  };
}

type Members = Readonly<Record<string, Json | undefined>>;

function objectWith(
  json: Json | undefined,
  pointer: string,
  required: readonly string[],
  optional: readonly string[],
): Members {
  if (typeof json !== 'object' || json === null || isArray(json)) throw new Refusal(pointer, 'expected an object');
  const known = [...required, ...optional];
  for (const name of Object.keys(json)) {
    if (!known.includes(name)) {
      throw new Refusal(pointer + pointerPart(name), `unknown member; expected ${known.join(', ')}`);
    }
  }
  for (const name of required) {
    if (!Object.hasOwn(json, name)) throw new Refusal(pointer, `the member ${name} is missing`);
  }
  return json;
}

function key(json: Json | undefined, pointer: string): string {
  if (typeof json !== 'string') throw new Refusal(pointer, 'expected a key, which is a string');
  const checked = checkKey(json);
  if (checked.outcome === 'refused') throw new Refusal(pointer, checked.reason);
  return checked.key;
}

function integer(json: Json | undefined, pointer: string): number {
  if (typeof json !== 'number' || !Number.isSafeInteger(json)) {
    throw new Refusal(pointer, 'expected an integer between -(2^53 - 1) and 2^53 - 1');
  }
  return json;
}
