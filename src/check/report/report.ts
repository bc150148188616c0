import type { Rule } from '../rule.ts';

export interface Report {
  readonly method: string;
  readonly url: string;
  readonly seed: number;
  /** The contract that was demanded, if one was. */
  readonly profile?: string;
  readonly ending: 'complete' | 'interrupted' | 'could-not-run';
  /** Why it could not run. */
  readonly reason?: string;
  readonly results: readonly CheckResult[];
}

export type CheckResult = {
  readonly name: string;
  readonly title: string;
  readonly rule: Rule;
} & (
  | { readonly result: 'pass'; readonly seen: string }
  /** `script` does again by curl what was done. */
  | { readonly result: 'fail'; readonly seen: string; readonly script: string }
  | { readonly result: 'not-tried'; readonly why: string }
);

/** For a person: a line a check, and under a failure what was seen, what is demanded, and a script. */
export function formatReport({ method, url, seed, profile, ending, reason, results }: Report): string {
  const width = Math.max(0, ...results.map(({ name }) => name.length));
  const contract = profile === undefined ? '' : `, profile ${profile}`;
  const lines = [`${method} ${url}, seed ${seed}${contract}`, ''];
  for (const result of results) lines.push(...linesOf(result, width));
  if (ending === 'could-not-run') lines.push(`could not run: ${reason}`);
  if (ending === 'interrupted') lines.push('interrupted: what comes after was not tried');
  const count = (of: CheckResult['result']): number => results.filter(({ result }) => result === of).length;
  if (results.length > 0) {
    lines.push('', `${count('pass')} passed, ${count('fail')} failed, ${count('not-tried')} not tried`);
  }
  return `${lines.join('\n')}\n`;
}

function linesOf(result: CheckResult, width: number): readonly string[] {
  const name = result.name.padEnd(width);
  switch (result.result) {
    case 'pass':
      return [`pass       ${name}  ${result.seen}`];
    case 'not-tried':
      return [`not tried  ${name}  ${result.why}`];
    case 'fail': {
      const { rule, seen, script } = result;
      return [
        `FAIL       ${name}  ${result.title}`,
        `           seen      ${seen}`,
        `           demanded  ${rule.demands}`,
        `           by        ${rule.source}`,
        '           again     as follows',
        ...script
          .trimEnd()
          .split('\n')
          .map((line) => `             ${line}`),
      ];
    }
  }
}
