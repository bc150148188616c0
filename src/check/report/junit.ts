import type { CheckResult, Report } from './report.ts';

/**
 * The report as JUnit XML, in the form that Jenkins, GitLab and the actions of GitHub share: a suite, and a case a check. A run that
 * could not be finished has a case of its own with an error, so that nobody takes it for one that passed.
 */
export function formatJunit({ method, url, seed, profile, ending, reason, results }: Report): string {
  const count = (of: CheckResult['result']): number => results.filter(({ result }) => result === of).length;
  const isComplete = ending === 'complete';
  const suite = attributes({
    name: `semel check ${method} ${url}`,
    tests: String(results.length + (isComplete ? 0 : 1)),
    failures: String(count('fail')),
    errors: isComplete ? '0' : '1',
    skipped: String(count('not-tried')),
  });
  const properties = Object.entries({ seed: String(seed), ...(profile === undefined ? {} : { profile }) });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    `  <testsuite ${suite}>`,
    '    <properties>',
    ...properties.map(([name, value]) => `      <property ${attributes({ name, value })}/>`),
    '    </properties>',
    ...results.flatMap(caseOf),
    ...(isComplete ? [] : caseLines('run', [`<error ${attributes({ message: reason ?? ending, type: ending })}/>`])),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function caseOf(result: CheckResult): readonly string[] {
  switch (result.result) {
    case 'pass':
      return caseLines(result.name, [`<system-out>${escape(result.seen)}</system-out>`]);
    case 'not-tried':
      return caseLines(result.name, [`<skipped ${attributes({ message: result.why })}/>`]);
    case 'fail': {
      const { title, rule, seen, script } = result;
      const text = [`seen      ${seen}`, `demanded  ${rule.demands}`, `by        ${rule.source}`, '', script].join(
        '\n',
      );
      // GitLab shows the text, Jenkins the message before it.
      return caseLines(result.name, [
        `<failure ${attributes({ message: title, type: 'fail' })}>${escape(text)}</failure>`,
      ]);
    }
  }
}

function caseLines(name: string, inside: readonly string[]): readonly string[] {
  // Who reads it groups by the part before the last dot, as of a class in its package.
  const begin = `    <testcase ${attributes({ classname: 'semel.check', name })}>`;
  return [begin, ...inside.map((line) => `      ${line}`), '    </testcase>'];
}

function attributes(values: Readonly<Record<string, string>>): string {
  // A parser would make spaces of these in an attribute (XML 1.0, section 3.3.3).
  const keepBreaks = (text: string): string => text.replaceAll('\n', '&#10;').replaceAll('\t', '&#9;');
  return Object.entries(values)
    .map(([name, value]) => `${name}="${keepBreaks(escape(value))}"`)
    .join(' ');
}

/** What has a meaning in XML, and a return, which a parser would drop. */
const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#13;',
};

/** What is no Char of XML 1.0 (section 2.2) cannot be in a document, not even as a reference: it is spelled as in JSON. */
function escape(text: string): string {
  return text
    .replaceAll(/[&<>"\r]/g, (character) => entities[character] ?? '')
    .replaceAll(noChar, (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`);
}

// oxlint-disable-next-line no-control-regex -- what XML forbids
const noChar = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu;
