/**
 * The messages of PostgreSQL's protocol 3.0: a letter, four bytes of length that count themselves, a body. What a client
 * sends first has no letter: it may ask for encryption, again and again, or to cancel, until it starts a session.
 */
export interface PostgresMessage {
  /** The letter, or what a message without one is. */
  readonly type: string;
  readonly body: Buffer;
  /** All of it, as it came. */
  readonly bytes: Buffer;
}

export type Side = 'client' | 'server';

/** By the first four bytes of the body. Whatever else is there is the version of the protocol, and starts a session. */
const untyped: ReadonlyMap<number, string> = new Map([
  [80_877_102, 'cancel'],
  [80_877_103, 'ssl'],
  [80_877_104, 'gss'],
]);

/** A value, the longest thing in a message, has at most 1 GB, and so has a message. */
const lengthMax = 2 ** 30;

/** Puts the messages of one side together from the pieces in which they arrive. */
export class MessageReader {
  readonly #side: Side;
  #pieces: Buffer[] = [];
  #size = 0;
  /** As many bytes does it take to read on: a head, or all of the message whose head is there. */
  #needed: number;
  #isTyped: boolean;

  constructor(side: Side) {
    this.#side = side;
    this.#isTyped = side === 'server';
    this.#needed = this.#headSize;
  }

  /** Whether everything that came was whole messages. */
  get isBetweenMessages(): boolean {
    return this.#size === 0;
  }

  *read(piece: Buffer): Generator<PostgresMessage> {
    this.#pieces.push(piece);
    this.#size += piece.length;
    while (this.#size >= this.#needed) {
      // Only when a message is whole, lest a long one is copied again with each of its pieces.
      const [first, ...others] = this.#pieces;
      const all = first !== undefined && others.length === 0 ? first : Buffer.concat(this.#pieces);
      this.#pieces = [all];
      const total = this.#headSize - 4 + all.readUInt32BE(this.#headSize - 4);
      if (total < this.#headSize || total > lengthMax) throw new Error(`no message has ${total} bytes`);
      this.#needed = total;
      if (all.length < total) return;
      this.#pieces = all.length === total ? [] : [all.subarray(total)];
      this.#size -= total;
      yield this.#message(all.subarray(0, total));
      this.#needed = this.#headSize;
    }
  }

  get #headSize(): number {
    return this.#isTyped ? 5 : 4;
  }

  #message(bytes: Buffer): PostgresMessage {
    const body = bytes.subarray(this.#headSize);
    if (this.#isTyped) return { type: String.fromCharCode(bytes.readUInt8()), body, bytes };
    if (body.length < 4) throw new Error(`the ${this.#side} starts with what is no message`);
    const type = untyped.get(body.readUInt32BE()) ?? 'startup';
    this.#isTyped = type === 'startup';
    return { type, body, bytes };
  }
}

/** What a Parse calls a statement (`''` is the unnamed one), and the statement. */
export function readParse(body: Buffer): { readonly name: string; readonly text: string } {
  const name = readText(body, 0);
  return { name: name.text, text: readText(body, name.end).text };
}

/** What a Bind binds values to, and how many. */
export function readBind(body: Buffer): { readonly name: string; readonly parameterCount: number } {
  const portal = readText(body, 0);
  const name = readText(body, portal.end);
  const formatCount = body.readUInt16BE(name.end);
  return { name: name.text, parameterCount: body.readUInt16BE(name.end + 2 + 2 * formatCount) };
}

/** The text of a simple Query. */
export function readQuery(body: Buffer): string {
  return readText(body, 0).text;
}

/** Texts end with a zero byte. */
function readText(body: Buffer, start: number): { readonly text: string; readonly end: number } {
  const zero = body.indexOf(0, start);
  if (zero === -1) throw new Error('a text has no end');
  return { text: body.toString('utf8', start, zero), end: zero + 1 };
}
