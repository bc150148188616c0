import { clientGone, requestCut, responseLost } from './checks/broken-connections.ts';
import { concurrentDuplicates } from './checks/concurrent-duplicates.ts';
import { conflictLeaksNothing } from './checks/conflict-leaks-nothing.ts';
import { freshKey } from './checks/fresh-key.ts';
import { keyForms, longKeys } from './checks/key-forms.ts';
import { mismatchExecutesNothing, mismatchKeepsResult, mismatchRefused } from './checks/mismatch.ts';
import { missingKey } from './checks/missing-key.ts';
import { replayEquality } from './checks/replay-equality.ts';
import { sequentialDuplicates } from './checks/sequential-duplicates.ts';
import type { Check } from './rule.ts';

/** In the order in which they run: what explains other failures comes first. */
export const allChecks: readonly Check[] = [
  freshKey,
  sequentialDuplicates,
  concurrentDuplicates,
  replayEquality,
  mismatchExecutesNothing,
  mismatchRefused,
  mismatchKeepsResult,
  conflictLeaksNothing,
  responseLost,
  requestCut,
  clientGone,
  missingKey,
  keyForms,
  longKeys,
];
