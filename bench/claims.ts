import type { Claim } from './claim.ts';
import { claim as durable } from './claims/durable.ts';
import { claim as httpRoute } from './claims/http-route.ts';
import { claim as inMemory } from './claims/in-memory.ts';
import { claim as oneKey } from './claims/one-key.ts';
import { claim as snapshotReads } from './claims/snapshot-reads.ts';

export const claims: readonly Claim[] = [inMemory, durable, oneKey, snapshotReads, httpRoute];
