import type { Answer } from '../wire.ts';
import { failed, ietfDraft, passed, type Check } from '../rule.ts';
import { describeSettled } from '../wording.ts';

/**
 * What describes the result (RFC 9110, sections 8 and 10.2.2, RFC 8288). All other fields may differ: `Date`, `Age`, marks of a replay,
 * identifiers of requests, rate limits, cookies, the framing.
 */
const comparedFields = [
  'content-type',
  'content-encoding',
  'content-language',
  'content-location',
  'etag',
  'last-modified',
  'link',
  'location',
];

export const replayEquality: Check = {
  name: 'replay-equality',
  title: 'a duplicate is answered with the same result',
  needsEffect: false,
  rule: {
    source: `${ietfDraft}, section 2.6, "Retry"; docs/http.md, "The answer"`,
    demands: 'A replay has the status, the fields that describe the result, and the bytes of the first answer.',
  },
  async run(probe) {
    const sending = probe.given(probe.freshKey());
    const first = await probe.execute(sending);
    const settled = await probe.settle(sending);
    if (settled.outcome !== 'answered') return failed(`the duplicate was answered ${describeSettled(settled)}`);
    const difference = differenceOf(first, settled.answer);
    if (difference !== undefined) return failed(difference);
    return passed(`status ${first.status}, fields and ${first.body.length} bytes are the same`);
  },
};

function differenceOf(first: Answer, replay: Answer): string | undefined {
  if (first.status !== replay.status) return `the status was ${first.status}, and ${replay.status} of the duplicate`;
  for (const name of comparedFields) {
    const [before, after] = [fieldOf(first, name), fieldOf(replay, name)];
    if (before !== after) return `${name} was ${before ?? 'absent'}, and ${after ?? 'absent'} of the duplicate`;
  }
  if (first.body.equals(replay.body)) return undefined;
  const at = first.body.findIndex((byte, index) => byte !== replay.body[index]);
  const from = Math.max(0, (at === -1 ? first.body.length : at) - 20);
  const excerpt = ({ body }: Answer): string => JSON.stringify(body.toString('latin1', from, from + 60));
  return `the bytes differ from byte ${from} on: ${excerpt(first)}, and ${excerpt(replay)} of the duplicate`;
}

function fieldOf({ headers }: Answer, wanted: string): string | undefined {
  const values = headers.filter(([name]) => name === wanted).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(', ');
}
