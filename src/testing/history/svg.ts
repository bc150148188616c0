/** The little of SVG that the pictures need. All text passes through `escapeXml`. */
export interface TextStyle {
  readonly size?: number;
  readonly fill?: string;
  readonly weight?: 'normal' | 'bold';
  readonly anchor?: 'start' | 'middle' | 'end';
  /** Of one width a character, so that a line's length is known without a browser. */
  readonly mono?: boolean;
}

export const ink = '#1f2937';
export const paleInk = '#6b7280';

/** Of the monospaced face, at size 12; with some room, as faces differ. */
export const monoWidth = 7.3;

export function svgDocument(width: number, height: number, title: string, parts: readonly string[]): string {
  const [w, h] = [Math.ceil(width), Math.ceil(height)];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${w}" height="${h}" fill="#ffffff"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

export function svgText(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { size = 12, fill = ink, weight = 'normal', anchor = 'start', mono = false } = style;
  const family = mono ? 'ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace' : 'system-ui, sans-serif';
  const face = `font-family="${family}" font-size="${size}" font-weight="${weight}" text-anchor="${anchor}"`;
  return `<text x="${round(x)}" y="${round(y)}" ${face} fill="${fill}" xml:space="preserve">${escapeXml(content)}</text>`;
}

export function svgBox(
  { x, y, width, height }: Box,
  { fill = '#f9fafb', stroke = '#d1d5db', radius = 8 }: { fill?: string; stroke?: string; radius?: number } = {},
): string {
  const place = `x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"`;
  return `<rect ${place} rx="${radius}" fill="${fill}" stroke="${stroke}"/>`;
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A straight arrow, its head drawn by itself: markers take no colour from their line everywhere. */
export function svgArrow(from: Point, to: Point, stroke: string, dash: string): string {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const [dx, dy] = [(to.x - from.x) / length, (to.y - from.y) / length];
  const neck = { x: to.x - dx * 10, y: to.y - dy * 10 };
  const corners = [to, { x: neck.x - dy * 4.5, y: neck.y + dx * 4.5 }, { x: neck.x + dy * 4.5, y: neck.y - dx * 4.5 }];
  const points = corners.map(({ x, y }) => `${round(x)},${round(y)}`).join(' ');
  const dashes = dash === '' ? '' : ` stroke-dasharray="${dash}"`;
  return (
    `<line x1="${round(from.x)}" y1="${round(from.y)}" x2="${round(neck.x)}" y2="${round(neck.y)}" ` +
    `stroke="${stroke}" stroke-width="1.8"${dashes}/><polygon points="${points}" fill="${stroke}"/>`
  );
}

/** Lines of at most so many characters, broken between words where there are any. */
export function wrapText(text: string, charactersMax: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > charactersMax) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

export function shortened(text: string, charactersMax: number): string {
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax - 1)}…`;
}

/** XML 1.0, section 2.2: most control characters and lone surrogates may not even be escaped. */
export function escapeXml(text: string): string {
  const escapes: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return (
    text
      .toWellFormed()
      // oxlint-disable-next-line no-control-regex
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
      .replace(/[&<>"']/g, (character) => escapes[character] ?? character)
  );
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
