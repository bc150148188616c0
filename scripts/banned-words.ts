import { isBuiltin } from 'node:module';
import { Visitor } from 'oxc-parser';
import type { Expression } from 'oxc-parser';
import { isTest, type SourceFile } from './source-file.ts';

/**
 * The files of the library that touch the real clock, timers and randomness: the world, and its counterpart for the client, which
 * runs in browsers, where the world's `node:` imports do not exist, and so imports nothing of ours.
 */
const realWorldFiles = ['src/kv/world.ts', 'src/client/environment.ts'];

/** What is not a function of its arguments, and what to write instead. */
const worldly: Readonly<Record<string, string>> = {
  'Date.now': 'world.now() or tx.now',
  'new Date()': 'world.now() or tx.now',
  'Date()': 'world.now() or tx.now',
  'Math.random': 'world.random()',
  'performance.now': 'world.monotonicMs()',
  'process.hrtime': 'world.monotonicMs()',
  'process.uptime': 'world.monotonicMs()',
  'AbortSignal.timeout': 'world.after()',
  setTimeout: 'world.after()',
  setInterval: 'world.after(), again after each run',
  setImmediate: 'world.defer()',
  'node:timers': 'world.after()',
  'node:timers/promises': 'world.after()',
  randomUUID: 'world.randomBytes()',
  'crypto.randomBytes': 'world.randomBytes()',
  'crypto.randomInt': 'world.random()',
  'crypto.getRandomValues': 'world.randomBytes()',
};

/** A test that waits for real time is slow when it is right and wrong when the machine is slow. */
const sleepy = [
  'setTimeout',
  'setInterval',
  'node:timers',
  'node:timers/promises',
  'AbortSignal.timeout',
  'performance.now',
];

const testWords = ['test', 'it', 'describe', 'suite'];
const unfinishedTestWords = ['only', 'skip', 'skipIf', 'runIf', 'todo'];

export function findBannedWords(file: SourceFile): readonly string[] {
  // A set: `import { setTimeout }` names it twice, as what is imported and as what it is called here.
  const findings = new Set<string>();
  const report = (offset: number, what: string): void => {
    findings.add(`${file.path}:${file.lineAt(offset)} ${what}`);
  };
  for (const { value, start } of file.comments) {
    const word = /\b(TODO|FIXME)\b/.exec(value)?.[0];
    if (word !== undefined) report(start, `says ${word}; do it, or write what holds now`);
  }
  for (const { word, start } of wordsOf(file)) {
    const instead = insteadOf(file, word);
    if (instead !== undefined) report(start, `says ${word}; ${instead}`);
  }
  return [...findings];
}

function insteadOf({ path }: Pick<SourceFile, 'path'>, word: string): string | undefined {
  const test = isTest({ path });
  const [root = '', member = ''] = word.split('.');
  if (test && testWords.includes(root) && unfinishedTestWords.includes(member)) return 'every test runs, always';
  if (!path.startsWith('src/') || realWorldFiles.includes(path)) return undefined;
  const replacement = Object.hasOwn(worldly, word) ? worldly[word] : undefined;
  if (test) return sleepy.includes(word) ? 'move an injected clock, or wait for a signal' : undefined;
  if (replacement !== undefined) return `write ${replacement}, so that the simulator rules it`;
  if (root === 'console') return 'return a value or raise an event; the library logs nothing';
  return undefined;
}

interface Word {
  readonly word: string;
  readonly start: number;
}

/** Names as the rules spell them: `setTimeout`, `Date.now`, `new Date()`, a module's specifier, `test.concurrent.only`. */
function wordsOf({ program }: SourceFile): readonly Word[] {
  const words: Word[] = [];
  const note = (word: string | undefined, start: number): void => {
    if (word !== undefined) words.push({ word, start });
  };
  new Visitor({
    Identifier: ({ name, start }) => note(bareGlobals.has(name) ? name : undefined, start),
    MemberExpression: ({ object, property, computed, start }) => {
      const name = computed || property.type !== 'Identifier' ? undefined : property.name;
      const root = rootOf(object);
      if (name !== undefined && root !== undefined) note(`${root}.${name}`, start);
    },
    NewExpression: ({ callee, arguments: given, start }) => {
      if (callee.type === 'Identifier' && callee.name === 'Date' && given.length === 0) note('new Date()', start);
    },
    CallExpression: ({ callee, start }) => {
      if (callee.type === 'Identifier' && callee.name === 'Date') note('Date()', start);
    },
    ImportDeclaration: ({ source, specifiers, start }) => {
      const module = nodeModule(source.value);
      note(module, start);
      if (module !== 'node:crypto') return;
      for (const specifier of specifiers) {
        const name = specifier.type === 'ImportSpecifier' ? nameOf(specifier.imported) : undefined;
        if (name !== 'randomUUID') note(`crypto.${name}`, specifier.start);
      }
    },
  }).visit(program);
  return words;
}

/** Wherever one of these names stands, even as a member of `globalThis`, it means what the rules ban. */
const bareGlobals = new Set(['setTimeout', 'setInterval', 'setImmediate', 'randomUUID']);

function nodeModule(specifier: string): string {
  return isBuiltin(specifier) && !specifier.startsWith('node:') ? `node:${specifier}` : specifier;
}

function nameOf(exported: { type: string; name?: string; value?: string }): string | undefined {
  return exported.name ?? exported.value;
}

/** `Date` of `Date.now` and of `globalThis.Date.now`; `test` of `test.concurrent.only` and of `test.for(table).only`. */
function rootOf(expression: Expression): string | undefined {
  if (expression.type === 'Identifier') return expression.name;
  if (expression.type === 'CallExpression') return rootOf(expression.callee);
  if (expression.type !== 'MemberExpression') return undefined;
  const root = rootOf(expression.object);
  if (root !== 'globalThis') return root;
  return expression.property.type === 'Identifier' ? expression.property.name : undefined;
}
