import { clientGone, requestCut, responseLost } from './checks/broken-connections.ts';
import { concurrentDuplicates } from './checks/concurrent-duplicates.ts';
import { conflictLeaksNothing } from './checks/conflict-leaks-nothing.ts';
import {
  failedActsNever,
  failedRetriesAgree,
  faultGoneActsOnce,
  faultGoneSucceeds,
} from './checks/failed-executions.ts';
import { freshKey } from './checks/fresh-key.ts';
import { inFlightConsistent } from './checks/in-flight-consistent.ts';
import { inFlightDuplicates } from './checks/in-flight-duplicates.ts';
import { keyForms, longKeys } from './checks/key-forms.ts';
import { killedAmid } from './checks/killed-amid.ts';
import { expiry, lateDuplicate } from './checks/late-duplicates.ts';
import { mismatchExecutesNothing, mismatchKeepsResult, mismatchRefused } from './checks/mismatch.ts';
import { missingKey } from './checks/missing-key.ts';
import { mismatchMethod, mismatchPath, mismatchQuery, otherEndpoint } from './checks/other-operation.ts';
import { otherTenantActs, otherTenantLearnsNothing } from './checks/other-tenant.ts';
import { replayEquality } from './checks/replay-equality.ts';
import { restartBetween } from './checks/restart-between.ts';
import { sequentialDuplicates } from './checks/sequential-duplicates.ts';
import type { Check } from './rule.ts';

/** In the order in which they run: what explains other failures comes first. */
export const allChecks: readonly Check[] = [
  freshKey,
  sequentialDuplicates,
  concurrentDuplicates,
  inFlightDuplicates,
  inFlightConsistent,
  replayEquality,
  mismatchExecutesNothing,
  mismatchRefused,
  mismatchKeepsResult,
  conflictLeaksNothing,
  mismatchQuery,
  mismatchPath,
  mismatchMethod,
  otherEndpoint,
  otherTenantActs,
  otherTenantLearnsNothing,
  failedActsNever,
  failedRetriesAgree,
  faultGoneActsOnce,
  faultGoneSucceeds,
  responseLost,
  requestCut,
  clientGone,
  missingKey,
  keyForms,
  longKeys,
  lateDuplicate,
  expiry,
  restartBetween,
  killedAmid,
];
