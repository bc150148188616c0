import type { LinearizabilityViolation, TimedOperation } from './timed-operation.ts';
import { describeOperation, modelText, type SequentialModel } from './sequential-model.ts';
import { ink, monoWidth, paleInk, shortened, svgBox, svgDocument, svgText } from './svg.ts';

const margin = 28;
const laneHeight = 58;
const labelCharactersMax = 26;
const columnWidth = 92;
const top = 92;
/** What is drawn ends at the failure; of a long history before it, only this many operations. */
const operationsShownMax = 24;

const colours = {
  done: { fill: '#ecfdf5', stroke: '#047857' },
  stuck: { fill: '#fff1f2', stroke: '#be123c' },
  left: { fill: '#f9fafb', stroke: '#9ca3af' },
} as const;

/**
 * The violation as a picture, a whole SVG document: a lane for each process, each operation from its call to its answer.
 * Green with a number is the longest order that explains its answers; red is where no order goes on.
 */
export function linearizabilitySvg<Input, Output>(
  violation: LinearizabilityViolation<Input, Output>,
  model: Pick<SequentialModel<unknown, Input, Output>, 'describe'>,
): string {
  const { partition, longest, stuck, expected } = violation;
  const shown = shownOperations(violation);
  const times = [...new Set(shown.flatMap(({ invoked, answer }) => [invoked, ...(answer ? [answer.completed] : [])]))];
  const columns = new Map(times.sort((one, other) => one - other).map((time, at) => [time, at]));
  const processes = [...new Set(shown.map(({ process }) => process))].sort();
  const left = margin + Math.max(...processes.map((process) => Math.min(process.length, 16))) * monoWidth + 20;
  const width = Math.max(left + (times.length + 1) * columnWidth + margin, 560);
  const right = width - margin;
  const xOf = (time: number): number => left + (columns.get(time) ?? 0) * columnWidth;
  const bottom = top + processes.length * laneHeight;
  const title = `Not linearizable${partition === undefined ? '' : `: ${shortened(partition, 30)}`}`;
  const text = (operation: TimedOperation<Input, Output>): string =>
    describeOperation(model, operation.input, operation.answer);
  const verdict = `No order goes on with “${shortened(text(stuck), 40)}”: it would have been answered ${shortened(modelText(expected), 30)}.`;

  return svgDocument(Math.max(width, verdict.length * 6.8 + 2 * margin), bottom + 44, title, [
    svgText(margin, margin + 14, title, { size: 20, weight: 'bold', fill: '#be123c' }),
    svgText(margin, margin + 38, `Green, by number: the longest order that explains its answers.`, { fill: paleInk }),
    ...processes.flatMap((process, lane) => {
      const y = top + lane * laneHeight + 20;
      return [
        `<line x1="${left}" y1="${y}" x2="${right}" y2="${y}" stroke="#e5e7eb"/>`,
        svgText(margin, y + 4, shortened(process, 16), { mono: true, fill: ink }),
      ];
    }),
    ...shown.map((operation) => {
      const { answer, invoked } = operation;
      const place = longest.indexOf(operation);
      const { fill, stroke } = place !== -1 ? colours.done : operation === stuck ? colours.stuck : colours.left;
      const x = xOf(invoked);
      const end = answer === undefined ? right : xOf(answer.completed);
      const y = top + processes.indexOf(operation.process) * laneHeight;
      const label = (place === -1 ? '' : `${place + 1}  `) + text(operation) + (answer === undefined ? ' …' : '');
      const fits = Math.max(6, Math.min(labelCharactersMax, Math.floor((end - x - 12) / monoWidth)));
      return [
        svgBox({ x, y, width: end - x - 6, height: 40 }, { fill, stroke }),
        svgText(x + 8, y + 25, shortened(label, fits), { mono: true, fill: stroke }),
      ].join('\n');
    }),
    svgText(margin, bottom + 22, verdict, { size: 13 }),
  ]);
}

/** The newest, for that is where it fails. */
function shownOperations<Input, Output>({
  operations,
  stuck,
}: LinearizabilityViolation<Input, Output>): readonly TimedOperation<Input, Output>[] {
  const newest = operations.toSorted((one, other) => one.invoked - other.invoked).slice(-operationsShownMax);
  return newest.includes(stuck) ? newest : [stuck, ...newest];
}
