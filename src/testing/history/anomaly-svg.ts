import type { Anomaly, Dependency, DependencyKind } from './anomaly.ts';
import { operationText } from './history-text.ts';
import {
  type Box,
  monoWidth,
  paleInk,
  type Point,
  shortened,
  svgArrow,
  svgBox,
  svgDocument,
  svgText,
  wrapText,
} from './svg.ts';
import type { Operation, RecordedTransaction } from './transaction-history.ts';

const edgeStyles: Readonly<Record<DependencyKind, { readonly stroke: string; readonly dash: string }>> = {
  ww: { stroke: '#b45309', dash: '' },
  wr: { stroke: '#047857', dash: '' },
  rw: { stroke: '#be123c', dash: '6 4' },
  session: { stroke: '#6d28d9', dash: '2 4' },
  realtime: { stroke: '#1d4ed8', dash: '2 4' },
};

const margin = 28;
const lineHeight = 18;
const columnGap = 170;
const rowGap = 96;
/** Characters of a line in a box, and of one below the picture. */
const boxCharactersMax = 44;
const legendCharactersMax = 104;
/** Of a longer transaction, what has to do with the cycle comes first. */
const linesMax = 7;

/**
 * The anomaly as a picture, a whole SVG document: the transactions with what they did in a ring, and between them what
 * binds them, each with its number in the explanation below.
 */
export function anomalySvg(anomaly: Anomaly): string {
  const { name, title, transactions, dependencies, forbiddenBy } = anomaly;
  const keys = new Set(dependencies.flatMap(({ key }) => key ?? []));
  const nodes = transactions.map((transaction) => ({ transaction, lines: linesOf(transaction, keys) }));
  const heads = transactions.map((transaction) => transaction.name.length * 1.4 + noteOf(transaction).length + 2);
  const characters = Math.max(...nodes.flatMap(({ lines }) => lines.map((line) => line.length)), ...heads, 12);
  const size = {
    width: characters * monoWidth + 28,
    height: Math.max(...nodes.map(({ lines }) => lines.length)) * lineHeight + 40,
  };
  const heading = [...wrapText(title, 92)];
  const top = margin + 26 + heading.length * lineHeight + 14;
  const boxes = ring(transactions.length, size, top);
  const legend = dependencies.flatMap(({ why }, at) =>
    wrapText(`${at + 1}  ${why}.`, legendCharactersMax).map((line, part) => ({ line, indent: part === 0 ? 0 : 18 })),
  );
  const bottom = Math.max(...boxes.map(({ y, height }) => y + height)) + (legend.length === 0 ? 14 : 34);
  const levels = wrapText(`Forbidden by ${forbiddenBy.join(', ')}.`, 72);
  const legendEnd = bottom + legend.length * 20;
  const end = legendEnd + levels.length * lineHeight;
  const texts = [...heading, ...levels, ...legend.map(({ line }) => line)];
  const textWidth = Math.max(...texts.map(({ length }) => length)) * 6.6;
  const width = Math.max(...boxes.map(({ x, width: own }) => x + own), textWidth + margin, 420) + margin;

  return svgDocument(width, end + margin / 2, `${name}: ${title}`, [
    svgText(margin, margin + 14, name, { size: 20, weight: 'bold', fill: '#be123c' }),
    ...heading.map((line, at) => svgText(margin, margin + 40 + at * lineHeight, line, { size: 13 })),
    ...nodes.map(({ transaction, lines }, at) => drawNode(transaction, lines, boxes[at] as Box)),
    ...dependencies.map((dependency, at) => drawEdge(anomaly, boxes, dependency, at)),
    ...legend.map(({ line, indent }, at) => svgText(margin + indent, bottom + at * 20, line, { size: 13 })),
    ...levels.map((line, at) => svgText(margin, legendEnd + 8 + at * lineHeight, line, { fill: paleInk })),
  ]);
}

function linesOf({ operations }: RecordedTransaction, keys: ReadonlySet<string>): readonly string[] {
  const concerns = (operation: Operation): boolean =>
    operation.act === 'range' ? operation.keys.some((key) => keys.has(key)) : keys.has(operation.key);
  const shown = new Set([...operations.filter(concerns), ...operations].slice(0, linesMax));
  const lines = operations
    .filter((operation) => shown.has(operation))
    .map((operation) => shortened(operationText(operation), boxCharactersMax));
  const left = operations.length - lines.length;
  return left === 0 ? lines : [...lines, `… and ${left} more`];
}

/** The upper row from left to right, the lower one back. Two stand side by side. */
function ring(count: number, { width, height }: Pick<Box, 'width' | 'height'>, top: number): readonly Box[] {
  const upper = count === 2 ? 2 : Math.ceil(count / 2);
  return Array.from({ length: count }, (_, at) => {
    const isUpper = at < upper;
    const missing = (upper - (count - upper)) / 2;
    const column = isUpper ? at : count - 1 - at + missing;
    return { x: margin + column * (width + columnGap), y: isUpper ? top : top + height + rowGap, width, height };
  });
}

function noteOf({ session, outcome }: RecordedTransaction): string {
  return shortened(session, 20) + (outcome === 'committed' ? '' : `, ${outcome}`);
}

function drawNode(transaction: RecordedTransaction, lines: readonly string[], box: Box): string {
  const { name, outcome } = transaction;
  const style = outcome === 'committed' ? {} : { stroke: '#f59e0b', fill: '#fffbeb' };
  return [
    svgBox(box, style),
    svgText(box.x + 14, box.y + 22, name, { weight: 'bold', size: 14 }),
    svgText(box.x + box.width - 14, box.y + 22, noteOf(transaction), { anchor: 'end', fill: paleInk }),
    ...lines.map((line, at) => svgText(box.x + 14, box.y + 44 + at * lineHeight, line, { mono: true })),
  ].join('\n');
}

function drawEdge(
  { transactions, dependencies }: Anomaly,
  boxes: readonly Box[],
  dependency: Dependency,
  at: number,
): string {
  const { kind, key, phantom } = dependency;
  const [from, to] = [dependency.from, dependency.to].map((one) => boxes[transactions.indexOf(one)]) as [Box, Box];
  const { stroke, dash } = edgeStyles[kind];
  // Two that point at each other run side by side.
  const shift = transactions.length === 2 && dependencies.length > 1 ? (from.x < to.x ? -22 : 22) : 0;
  const start = shifted(border(from, centre(to)), shift);
  const end = shifted(border(to, centre(from)), shift);
  const label = [kind, ...(key === undefined ? [] : [shortened(key, 12)])].join(' ') + (phantom ? ' (range)' : '');
  const middle = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 };
  const width = (label.length + 3) * 6.9 + 12;
  const pill = { x: middle.x - width / 2, y: middle.y - 11, width, height: 22 };
  return [
    svgArrow(start, end, stroke, dash),
    svgBox(pill, { fill: '#ffffff', stroke, radius: 11 }),
    svgText(middle.x, middle.y + 4, `${at + 1}  ${label}`, { anchor: 'middle', fill: stroke, weight: 'bold' }),
  ].join('\n');
}

function centre({ x, y, width, height }: Box): Point {
  return { x: x + width / 2, y: y + height / 2 };
}

/** Where the line from the middle of a box towards a point leaves the box, and a little air. */
function border(box: Box, towards: Point): Point {
  const from = centre(box);
  const [dx, dy] = [towards.x - from.x, towards.y - from.y];
  const air = 4;
  const scale = Math.min(
    dx === 0 ? Infinity : (box.width / 2 + air) / Math.abs(dx),
    dy === 0 ? Infinity : (box.height / 2 + air) / Math.abs(dy),
  );
  return { x: from.x + dx * scale, y: from.y + dy * scale };
}

function shifted({ x, y }: Point, by: number): Point {
  return { x, y: y + by };
}
