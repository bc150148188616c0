import type { Claim } from '../../claim.ts';
import { deposits } from '../deposits.ts';
import { dbos } from '../peers/dbos.ts';
import { semel } from '../peers/semel.ts';

const inFlight = [8, 32];

export const claim: Claim = {
  name: 'durable-execution',
  title: 'Against a durable workflow',
  unit: 'operations/s',
  work: `The same operation, at READ COMMITTED, against a workflow of DBOS 4.24.16 that has it as its only transaction, with the key as the workflow's. Semel
has 100,000 records already, DBOS none.`,
  inFlight,
  contenders: { Semel: deposits(semel({ isolation: 'read-committed' })), DBOS: deposits(dbos) },
  expectations: [{ subject: 'Semel', against: ['DBOS'], inFlight, atLeast: 8 }],
  limitedBy: `On Semel's side the same as above. DBOS writes its workflow's row, looks for what the transaction may have done before, commits the
transaction with its outcome, and writes the workflow's outcome, each in a round trip or more.`,
};
