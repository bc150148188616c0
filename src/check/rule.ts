import type { Probe } from './probe.ts';

/** One question to the endpoint. */
export interface Check {
  /** As it is typed behind `--only` and `--skip`. */
  readonly name: string;
  readonly title: string;
  readonly rule: Rule;
  /** Without a count it cannot be decided, and is not tried. */
  readonly needsEffect: boolean;
  run(probe: Probe): Promise<Verdict>;
}

export interface Rule {
  /** The document and the section that it is from. */
  readonly source: string;
  /** What it demands of the endpoint, in a sentence. */
  readonly demands: string;
}

export type Verdict =
  | { readonly result: 'pass'; readonly seen: string }
  | { readonly result: 'fail'; readonly seen: string };

export function passed(seen: string): Verdict {
  return { result: 'pass', seen };
}

export function failed(seen: string): Verdict {
  return { result: 'fail', seen };
}

/** How rules name the draft. It expired without a successor, and is still the only text that all vendors know. */
export const ietfDraft = 'draft-ietf-httpapi-idempotency-key-header-07';
