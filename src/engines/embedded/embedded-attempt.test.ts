import { expect, test } from 'vitest';
import { encodeKey } from '../../kv/tuple.ts';
import { ManualWorld } from '../../testing/manual-world.ts';
import { Database } from './database.ts';
import { EmbeddedAttempt } from './embedded-attempt.ts';
import { MemoryJournal } from './journal.ts';

test('EmbeddedAttempt that is abandoned in the turn in which its last lock is granted writes nothing', async () => {
  const database = new Database(new ManualWorld());
  await database.start(new MemoryJournal(() => database.collect()));
  const begin = () =>
    new EmbeddedAttempt(database, {
      isolation: 'serializable',
      label: undefined,
      durability: undefined,
      age: undefined,
    });
  const [holder, late] = [begin(), begin()];
  await holder.tx.lock(['k']);
  holder.tx.set(['k'], 'held');
  late.tx.set(['k'], 'late');
  const ending = expect(late.commit()).rejects.toMatchObject({ code: 'transaction-closed' });
  void holder.commit();
  late.abandon();
  await ending;
  expect(late.installed).toBe(false);
  expect(database.map.newest(encodeKey(['k']))?.value).toBe('held');
});
