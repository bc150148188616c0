import { spread } from './judge.ts';
import type { Figures, Row } from './measure.ts';
import { thousands } from './report.ts';

const width = 760;
const labelWidth = 230;
const figureWidth = 90;
const barWidthMax = width - labelWidth - figureWidth;
const barHeight = 16;
const rowHeight = 24;
const groupHeight = 30;

/** The figures of a claim as a picture: a bar is a median, the line over it reaches from the least to the greatest. */
export function barChart({ claim, rows }: Figures): string {
  const greatest = Math.max(...rows.flatMap(({ perSecond }) => perSecond));
  const parts: string[] = [];
  let y = 0;
  for (const inFlight of claim.inFlight) {
    parts.push(`<text class="group" x="0" y="${y + 20}">${inFlight} in flight, ${claim.unit}</text>`);
    y += groupHeight;
    for (const row of rows.filter((candidate) => candidate.inFlight === inFlight)) {
      parts.push(bar(row, y, greatest));
      y += rowHeight;
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + 6}" viewBox="0 0 ${width} ${y + 6}">
${style}
${parts.join('\n')}
</svg>
`;
}

function bar({ contender, perSecond }: Row, y: number, greatest: number): string {
  const { median, min, max } = spread(perSecond);
  const x = (figure: number): string => (labelWidth + (figure / greatest) * barWidthMax).toFixed(1);
  const length = ((median / greatest) * barWidthMax).toFixed(1);
  const kind = contender.startsWith('floor') ? 'floor' : isOurs(contender) ? 'ours' : 'peer';
  const middle = y + barHeight / 2;
  return [
    `<text x="${labelWidth - 8}" y="${y + 13}" text-anchor="end">${contender}</text>`,
    `<rect class="${kind}" x="${labelWidth}" y="${y}" width="${length}" height="${barHeight}"/>`,
    `<line x1="${x(min)}" y1="${middle}" x2="${x(max)}" y2="${middle}"/>`,
    `<text x="${(Number(x(max)) + 6).toFixed(1)}" y="${y + 13}">${thousands(median)}</text>`,
  ].join('\n');
}

/** Not every row of ours bears the name: where only Semel is measured, rows are called after what differs. */
function isOurs(contender: string): boolean {
  return !/^(lmdb|better-sqlite3|@deno\/kv)/.test(contender);
}

/** Grey words are legible on white and on black pages. */
const style = `<style>
text { font: 13px system-ui, sans-serif; fill: #808080; }
.group { font-weight: bold; }
.ours { fill: #2f81f7; }
.peer { fill: #a0a0a0; }
.floor { fill: none; stroke: #a0a0a0; stroke-dasharray: 3 2; }
line { stroke: #d29922; stroke-width: 2; }
</style>`;
