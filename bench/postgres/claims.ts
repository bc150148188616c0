import type { Claim } from '../claim.ts';
import { claim as durableExecution } from './claims/durable-execution.ts';
import { claim as expiry } from './claims/expiry.ts';
import { claim as liveRecords } from './claims/live-records.ts';
import { claim as oneUpdate } from './claims/one-update.ts';
import { claim as replay } from './claims/replay.ts';
import { claim as threeCommits } from './claims/three-commits.ts';

export const claims: readonly Claim[] = [oneUpdate, threeCommits, durableExecution, replay, liveRecords, expiry];
