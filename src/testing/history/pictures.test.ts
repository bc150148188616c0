import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { XmlDocument } from 'libxml2-wasm';
import { expect, test } from 'vitest';
import type { Anomaly } from './anomaly.ts';
import { anomalySvg } from './anomaly-svg.ts';
import { checkLinearizability } from './check-linearizability.ts';
import { checkSerializability } from './check-serializability.ts';
import { HistoryRecorder } from './history-recorder.ts';
import { linearizabilitySvg } from './linearizability-svg.ts';
import { registerModel } from './sequential-model.ts';

function writeSkew(x: string, y: string, sessions = ['ada', 'bob']): Anomaly {
  const recorder = new HistoryRecorder();
  const [one, other] = sessions.map((session) => recorder.begin(session));
  one?.read(x, undefined);
  other?.read(y, undefined);
  one?.append(y, 1);
  other?.append(x, 1);
  one?.committed();
  other?.committed();
  return checkSerializability(recorder.history()).anomalies[0] as Anomaly;
}

test('anomalySvg draws what docs/write-skew.svg shows', async () => {
  const path = join(import.meta.dirname, '../../../docs/write-skew.svg');
  expect(anomalySvg(writeSkew('bob', 'ada'))).toBe(await readFile(path, 'utf8'));
});

test('anomalySvg and linearizabilitySvg are well-formed, whatever is in keys, names and values', () => {
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });
  const property = fc.property(text, text, text, (x, y, session) => {
    fc.pre(x !== y);
    const model = registerModel<string>();
    const at = { process: session, invoked: 1, answer: { completed: 2, output: x } };
    const report = checkLinearizability([{ ...at, input: { act: 'read' } }], model);
    if (report.outcome !== 'violation') throw new Error('what nobody wrote was read');
    for (const svg of [
      anomalySvg(writeSkew(x, y, [session, `${session}2`])),
      linearizabilitySvg(report.violation, model),
    ]) {
      const document = XmlDocument.fromString(svg);
      expect(document.root.name).toBe('svg');
      document.dispose();
    }
  });
  fc.assert(property, { numRuns: 60 });
});

test.for(['<script>alert(1)</script>', '"><a href="x">', "&amp;'", '\u0000\u001b\ud800'])(
  'anomalySvg lets %j be text and no more',
  (key) => {
    const svg = anomalySvg(writeSkew(key, 'y'));
    expect(svg).not.toContain('<script');
    expect(svg).not.toContain('<a ');
    const document = XmlDocument.fromString(svg);
    document.dispose();
  },
);
