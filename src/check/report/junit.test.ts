import fc from 'fast-check';
import { XmlDocument, type XmlElement } from 'libxml2-wasm';
import { formatJunit, type CheckResult, type Report } from 'semel/check';
import { describe, expect, test } from 'vitest';

const rule = { source: 'RFC 9110, "POST" & <others>', demands: 'It acts once.' };
const named = (name: string) => ({ name, title: `the title of ${name}`, rule });
const report: Report = {
  method: 'POST',
  url: 'http://localhost/orders?a=1&b=<2>',
  seed: 7,
  profile: 'ietf',
  ending: 'complete',
  results: [
    { ...named('one'), result: 'pass', seen: 'once' },
    { ...named('two'), result: 'fail', seen: 'twice', script: `given='{"item":"<tea>"}'\n\tsend "$given"\n` },
    { ...named('three'), result: 'not-tried', why: 'it needs a count' },
  ],
};

/** By libxml2, which refuses what is not well-formed. */
function read<Result>(xml: string, work: (find: (path: string) => readonly string[]) => Result): Result {
  const document = XmlDocument.fromString(xml);
  try {
    return work((path) =>
      document.find(path).map((node) => ('value' in node ? String(node.value) : (node as XmlElement).content)),
    );
  } finally {
    document.dispose();
  }
}

const byteOrderMark = '\ufeff';

describe('formatJunit', () => {
  test('has a suite, and a case a check, with what was seen, demanded, and how to see it again', () => {
    read(formatJunit(report), (find) => {
      expect(find('/testsuites/testsuite/@*')).toEqual([
        'semel check POST http://localhost/orders?a=1&b=<2>',
        '3',
        '1',
        '0',
        '1',
      ]);
      expect(find('//testcase/@name')).toEqual(['one', 'two', 'three']);
      expect(find('//property/@*')).toEqual(['seed', '7', 'profile', 'ietf']);
      expect(find('//testcase[@name="two"]/failure/@message')).toEqual(['the title of two']);
      expect(find('//testcase[@name="two"]/failure')).toEqual([
        `seen      twice\ndemanded  It acts once.\nby        RFC 9110, "POST" & <others>\n\ngiven='{"item":"<tea>"}'\n\tsend "$given"\n`,
      ]);
      expect(find('//testcase[@name="three"]/skipped/@message')).toEqual(['it needs a count']);
      expect(find('//error')).toEqual([]);
    });
  });

  test.for([
    ['could-not-run', 'the count did not rise', 'the count did not rise'],
    ['interrupted', undefined, 'interrupted'],
  ] as const)('shows a run that ended with %s as an error', ([ending, reason, message]) => {
    const ended: Report = { ...report, ending, ...(reason === undefined ? {} : { reason }), results: [] };
    read(formatJunit(ended), (find) => {
      expect(find('//testsuite/@tests | //testsuite/@errors')).toEqual(['1', '1']);
      expect(find('//testcase[@name="run"]/error/@message')).toEqual([message]);
    });
  });

  test('keeps every character that XML can have, and spells the others', () => {
    const spelled = (text: string): string =>
      text.replaceAll(
        // oxlint-disable-next-line no-control-regex -- what XML forbids
        /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu,
        (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );
    const text = fc
      .string({
        unit: fc.oneof(
          fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
          fc.constantFrom('&', '<', '>', '"', "'", '\r', '\n', '\t', '\0', '\u0001', ']'),
        ),
      })
      // What libxml2-wasm reads out of its memory loses a first U+FEFF, taken for a byte order mark: the next test has that.
      .filter((seen) => !seen.startsWith(byteOrderMark));
    fc.assert(
      fc.property(text, (seen) => {
        const results: CheckResult[] = [
          { ...named('one'), result: 'pass', seen },
          { ...named('two'), result: 'not-tried', why: seen },
        ];
        read(formatJunit({ ...report, results }), (find) => {
          expect(find('//system-out')).toEqual([spelled(seen)]);
          expect(find('//skipped/@message')).toEqual([spelled(seen)]);
        });
      }),
    );
  });

  test('keeps a byte order mark at the beginning of a text', () => {
    const seen = `${byteOrderMark}once`;
    const xml = formatJunit({ ...report, results: [{ ...named('one'), result: 'pass', seen }] });
    expect(xml).toContain(`<system-out>${seen}</system-out>`);
  });
});
