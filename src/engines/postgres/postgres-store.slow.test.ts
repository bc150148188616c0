import { storeContract } from 'semel/testing';
import { testDatabase } from './postgres-store.harness.ts';

const database = testDatabase();

storeContract('PostgreSQL', (world) => database.open({ connectionsMax: 20, ...(world && { world }) }), {
  injectedWorld: false,
  exactConflicts: false,
  commutingAdditions: false,
  exactRangeLocks: false,
  waitingCommits: false,
});
