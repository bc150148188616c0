import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { turn } from '../testing/manual-world.ts';
import { against, ok, post } from './against.harness.ts';

// The fetch of Node.js 22 ends the body of a response when its clone, which was read ahead, is collected as garbage
// (nodejs/undici#4414). It showed as "Body has already been read", once in some hundred runs on a busy machine.
test('createFetch answers a response whose body can be read, however much garbage is collected before', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const { send, url } = await against(Array.from({ length: 20 }, () => ok));
  const responses = await Promise.all(Array.from({ length: 20 }, () => send(url, post())));
  for (let turns = 0; turns < 10; turns++) {
    collect();
    await turn();
  }
  for (const response of responses) expect(await response.text()).toBe('done');
});
