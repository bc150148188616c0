import { isRefusal, isSuccess } from '../probe.ts';
import type { Exchange } from '../wire.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import { describeExchange, times } from '../wording.ts';

export const missingKey: Check = {
  name: 'missing-key',
  title: 'requests without a key are refused, or each of them acts',
  needsEffect: true,
  rule: {
    source: `${ietfDraft}, section 2.7; docs/http.md, "Methods"`,
    demands:
      'Without a key a request is refused by 4xx (400, the draft says) and does not act, or it acts like any other.',
  },
  async run(probe) {
    const exchanges: Exchange[] = [];
    const acted = await probe.effectsOf(async () => {
      for (let sent = 0; sent < 2; sent += 1) exchanges.push(await probe.send({ keys: [], payload: 'given' }));
    });
    const found = `two requests without a key, answered ${exchanges.map(describeExchange).join(' and ')}, acted ${times(acted)}`;
    const all = (is: typeof isRefusal): boolean =>
      exchanges.every((exchange) => exchange.outcome === 'answered' && is(exchange.answer));
    return (acted === 0 && all(isRefusal)) || (acted === 2 && all(isSuccess)) ? passed(found) : failed(found);
  },
};
