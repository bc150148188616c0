import { parseSync, Visitor } from 'oxc-parser';
import type { Program, StringLiteral, Expression, Comment } from 'oxc-parser';

/** A source file as the tidiness rules see it. */
export interface SourceFile {
  /** From the root of the repository, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly program: Program;
  readonly comments: readonly Comment[];
  readonly imports: readonly Import[];
  lineAt(offset: number): number;
}

/** Of a value or a type, static or dynamic, or a re-export. */
export interface Import {
  /** `undefined` where it is computed, so that nobody can tell. */
  readonly specifier: string | undefined;
  readonly line: number;
}

/** A test, or a harness, which tests alone use: neither is published. */
export function isTest({ path }: Pick<SourceFile, 'path'>): boolean {
  return /\.(test|harness)\.ts$/.test(path);
}

export function parseSource(path: string, text: string): SourceFile {
  const { program, comments, errors } = parseSync(path, text, { sourceType: 'module' });
  const [error] = errors;
  if (error !== undefined) throw new Error(`${path} does not parse: ${error.message}`);
  const lineAt = (offset: number): number => text.slice(0, offset).split('\n').length;
  return { path, text, program, comments, imports: importsOf(program, lineAt), lineAt };
}

function importsOf(program: Program, lineAt: (offset: number) => number): readonly Import[] {
  const imports: Import[] = [];
  const note = (source: StringLiteral | Expression | null, start: number): void => {
    if (source !== null) imports.push({ specifier: textOf(source), line: lineAt(start) });
  };
  new Visitor({
    ImportDeclaration: ({ source, start }) => note(source, start),
    ExportNamedDeclaration: ({ source, start }) => note(source, start),
    ExportAllDeclaration: ({ source, start }) => note(source, start),
    ImportExpression: ({ source, start }) => note(source, start),
    TSImportType: ({ source, start }) => note(source, start),
  }).visit(program);
  return imports;
}

function textOf(source: StringLiteral | Expression): string | undefined {
  if (source.type === 'Literal' && typeof source.value === 'string') return source.value;
  if (source.type === 'TemplateLiteral' && source.quasis.length === 1)
    return source.quasis[0]?.value.cooked ?? undefined;
  return undefined;
}
