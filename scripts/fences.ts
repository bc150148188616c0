/** A fenced block of a Markdown document. */
export interface Fence {
  /** The line of its opening, from 1. */
  readonly line: number;
  /** The first word behind the opening: `ts`, `sh`, `json`. */
  readonly language: string;
  /** The words after it. */
  readonly words: readonly string[];
  readonly text: string;
}

/** A fence that runs, and the fence right after it that shows what it prints. */
export interface Exercise {
  readonly code: Fence;
  readonly expected: Fence | undefined;
}

export interface Reading {
  readonly exercises: readonly Exercise[];
  /** Fences that nobody would run or compare, each with what to do about it. */
  readonly unfit: readonly string[];
}

const languagesThatRun = ['ts', 'sh', 'sql'];
const languagesOfOutput = ['text', 'json', 'http'];

/** See HACKING.md, "Documents are tests", for the convention. */
export function readExercises(markdown: string): Reading {
  const exercises: Exercise[] = [];
  const unfit: string[] = [];
  const fences = readFences(markdown);
  for (const [index, fence] of fences.entries()) {
    if (languagesThatRun.includes(fence.language)) {
      const next = fences[index + 1];
      const expected = next !== undefined && languagesOfOutput.includes(next.language) && !isDiagram(next);
      exercises.push({ code: fence, expected: expected ? next : undefined });
      continue;
    }
    const previous = fences[index - 1];
    if (isDiagram(fence) || isExpected(fence, previous)) continue;
    unfit.push(`line ${fence.line}: ${adviceFor(fence)}`);
  }
  return { exercises, unfit };
}

export function readFences(markdown: string): readonly Fence[] {
  const fences: Fence[] = [];
  let open: { line: number; indent: string; marks: string; info: string; lines: string[] } | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    const [, indent = '', marks, info = ''] = /^(\s*)(`{3,}|~{3,})([^`]*)$/.exec(line) ?? [];
    if (open === undefined) {
      if (marks !== undefined) open = { line: index + 1, indent, marks, info: info.trim(), lines: [] };
    } else if (marks?.startsWith(open.marks) && info.trim() === '') {
      const [language = '', ...words] = open.info.split(/\s+/);
      fences.push({ line: open.line, language, words, text: open.lines.join('\n') });
      open = undefined;
    } else {
      // A fence in a list is indented with its item.
      open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line.trimStart());
    }
  }
  if (open !== undefined) throw new Error(`the fence opened in line ${open.line} is never closed`);
  return fences;
}

function isDiagram({ language, words }: Fence): boolean {
  return language === 'text' && words.includes('diagram');
}

function isExpected(fence: Fence, previous: Fence | undefined): boolean {
  return (
    languagesOfOutput.includes(fence.language) && previous !== undefined && languagesThatRun.includes(previous.language)
  );
}

function adviceFor({ language }: Fence): string {
  if (languagesOfOutput.includes(language)) {
    return `a ${language} fence follows no ts, sh or sql fence, so nothing prints it; put it after the one that does, or call it "text diagram"`;
  }
  return `no way to run a fence of language "${language}"; write ts, sh or sql, or show output as text, json or http`;
}
