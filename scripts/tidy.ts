import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { findBannedWords } from './banned-words.ts';
import type { House } from './house.ts';
import { isAllowed } from './import-table.ts';
import { isTest, type Import, type SourceFile } from './source-file.ts';

/** Everything in the house that is not as it should be, each with what to write instead. */
export function findUntidiness(house: House): readonly string[] {
  return [
    ...house.files.flatMap((file) => [
      ...file.imports.flatMap((imported) => judgeImport(house, file, imported)),
      ...findBannedWords(file),
      ...judgeName(file),
      ...judgeLength(file),
    ]),
    ...findCycles(house),
    ...findForeignFrameworks(house),
  ];
}

function judgeImport(house: House, file: SourceFile, { specifier, line }: Import): readonly string[] {
  const at = `${file.path}:${line}`;
  const unit = unitOf(file.path);
  const inSrc = file.path.startsWith('src/');
  if (specifier === undefined) {
    return inSrc ? [`${at} imports what it computes; import a literal, so that it can be checked and bundled`] : [];
  }
  if (specifier.startsWith('.')) return judgeRelativeImport(house, file, specifier, at);
  if (specifier === 'semel' || specifier.startsWith('semel/')) {
    if (!house.doors.has(specifier)) {
      return [
        `${at} imports ${specifier}, which is no published door; take one of ${[...house.doors.keys()].join(', ')}`,
      ];
    }
    if (isTest(file)) return [];
    if (inSrc) return [`${at} imports ${specifier}; inside src write the relative path of the file that has it`];
    return judgeAgainstTable(house, unit, specifier, false, at);
  }
  if (!inSrc || isTest(file) || isBuiltin(specifier)) return [];
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  if (house.packages.has(name)) return [];
  return [`${at} imports ${name}, which users would not have; put it among the dependencies, or do without`];
}

function judgeRelativeImport(house: House, file: SourceFile, specifier: string, at: string): readonly string[] {
  const target = posix.join(posix.dirname(file.path), specifier);
  const imported = unitOf(target);
  const unit = unitOf(file.path);
  if (imported === unit) return [];
  const inSrc = target.startsWith('src/');
  if (inSrc && file.path.startsWith('src/') && isTest(file)) return [];
  return judgeAgainstTable(house, unit, imported, inSrc, at);
}

function judgeAgainstTable(
  house: House,
  unit: string,
  imported: string,
  inSrc: boolean,
  at: string,
): readonly string[] {
  const allowed = house.table.allowedFor(unit);
  if (allowed === undefined) return [`${at} is in \`${unit}\`, of which ARCHITECTURE.md has no row; add one`];
  if (isAllowed(allowed, imported, inSrc)) return [];
  const only = allowed.length === 0 ? 'nothing of ours' : `only ${allowed.join(', ')}`;
  return [
    `${at} imports \`${imported}\`, but ARCHITECTURE.md lets \`${unit}\` import ${only}; ` +
      'take what you need as an argument, or move it into a folder that both may import',
  ];
}

/** See import-table.ts for what a unit is. */
function unitOf(path: string): string {
  const [top = '', folder = '', name = ''] = path.split('/');
  if (top !== 'src') return top;
  return ['engines', 'layers'].includes(folder)
    ? `${folder}/${name.replace(/(\.slow)?(\.test|\.harness)?\.ts$/, '')}`
    : folder;
}

const namesThatSayNothing = ['index', 'utils', 'types', 'common', 'helpers', 'lib'];

function judgeName({ path }: SourceFile): readonly string[] {
  const name = posix.basename(path).replace(/(\.slow)?(\.test|\.harness|\.d)?\.ts$/, '');
  if (namesThatSayNothing.includes(name))
    return [`${path} has a name that says nothing; name it after its main export`];
  if (/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) return [];
  return [`${path} is not in kebab-case; name it after its main export, as in import-table.ts`];
}

/** A file that reads like a page is under 350 lines; beyond this it is two. */
const linesMax = 400;
/** Files that may be longer for now, each with its count. It may only shrink. */
const longerForNow: ReadonlyMap<string, number> = new Map();

function judgeLength({ path, text }: SourceFile): readonly string[] {
  const lines = text.trimEnd().split('\n').length;
  const allowed = longerForNow.get(path);
  if (lines > (allowed ?? linesMax)) {
    return [`${path} has ${lines} lines, more than ${allowed ?? linesMax}; split it where it changes its subject`];
  }
  if (allowed === undefined || lines === allowed) return [];
  return [`${path} has ${lines} lines now; write that into longerForNow, or take it out`];
}

/** Of values and types alike: files that need each other are one file. */
function findCycles(house: House): readonly string[] {
  const files = new Map(house.files.map((file) => [file.path, file]));
  const finished = new Set<string>();
  const findings: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      const cycle = [...trail.slice(trail.indexOf(path)), path].join(' -> ');
      findings.push(`import cycle: ${cycle}; move what both need into a file that imports neither`);
      return;
    }
    if (finished.has(path)) return;
    for (const { specifier } of files.get(path)?.imports ?? []) {
      const target = specifier?.startsWith('.')
        ? posix.join(posix.dirname(path), specifier)
        : house.doors.get(specifier ?? '');
      if (target !== undefined && files.has(target)) visit(target, [...trail, path]);
    }
    finished.add(path);
  };
  for (const path of files.keys()) visit(path, []);
  return findings;
}

/** Who opens a door must not need the framework of another, not even for its types. A framework is what has a door of its name. */
function findForeignFrameworks(house: House): readonly string[] {
  const files = new Map(house.files.map((file) => [file.path, file]));
  return [...house.doors].flatMap(([door, entry]) => {
    const reached = new Set([entry]);
    const findings: string[] = [];
    for (const path of reached) {
      for (const { specifier, line } of files.get(path)?.imports ?? []) {
        if (specifier?.startsWith('.') === true) reached.add(posix.join(posix.dirname(path), specifier));
        const framework = `semel/${specifier?.split('/', 1)[0]}`;
        if (specifier?.startsWith('.') === false && house.doors.has(framework) && framework !== door) {
          findings.push(
            `${path}:${line} imports ${specifier}, and ${door} leads here; only ${framework} may lead to it`,
          );
        }
      }
    }
    return findings;
  });
}
