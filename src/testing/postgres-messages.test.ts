import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MessageReader, readBind, readParse, readQuery, type Side } from './postgres-messages.harness.ts';

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function message(type: string, ...parts: readonly (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

const fromClient = [
  message('', int32(80_877_104)),
  message('', int32(80_877_103)),
  message('', int32(196_608), 'user\0ann\0\0'),
  message('p', 'SCRAM-SHA-256\0'),
  message('Q', "SELECT 'żółw'\0"),
  message('P', 'by id\0SELECT $1, $2\0', int16(0)),
  message('B', '\0by id\0', int16(2), int16(0), int16(1), int16(2), int32(1), 'a', int32(0xffffffff), int16(0)),
  message('E', '\0', int32(0)),
  message('S'),
  message('X'),
];
const typesFromClient = ['gss', 'ssl', 'startup', 'p', 'Q', 'P', 'B', 'E', 'S', 'X'];
const fromServer = [
  message('R', int32(0)),
  message('D', int16(1), int32(3), 'abc'),
  message('C', 'SELECT 1\0'),
  message('Z', 'I'),
];

function readPieces(side: Side, bytes: Buffer, pieceSize: number) {
  const reader = new MessageReader(side);
  const read = [];
  for (let at = 0; at < bytes.length; at += pieceSize) {
    read.push(...reader.read(bytes.subarray(at, at + pieceSize)));
  }
  return { read, isBetweenMessages: reader.isBetweenMessages };
}

describe('MessageReader', () => {
  test.for([
    ['client', fromClient, typesFromClient],
    ['server', fromServer, ['R', 'D', 'C', 'Z']],
  ] as const)('reads what a %s sends, in pieces of every size', ([side, messages, types]) => {
    const all = Buffer.concat(messages);
    for (let pieceSize = 1; pieceSize <= all.length; pieceSize++) {
      const { read, isBetweenMessages } = readPieces(side, all, pieceSize);
      expect(read.map(({ type }) => type)).toEqual(types);
      expect(read.map(({ bytes }) => bytes)).toEqual(messages);
      expect(isBetweenMessages).toBe(true);
    }
  });

  test('reads messages of any length, cut anywhere', () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(2000)), (bodies, cuts) => {
        const messages = bodies.map((body) => message('d', Buffer.from(body)));
        const all = Buffer.concat(messages);
        const reader = new MessageReader('server');
        const edges = [0, ...cuts.filter((cut) => cut < all.length).sort((one, other) => one - other), all.length];
        const read = edges.slice(1).flatMap((edge, index) => [...reader.read(all.subarray(edges[index], edge))]);
        expect(read.map(({ bytes }) => bytes)).toEqual(messages);
        expect(read.map(({ body }) => body)).toEqual(bodies.map((body) => Buffer.from(body)));
      }),
    );
  });

  test('is between messages unless a piece of one has come', () => {
    const query = message('Q', 'SELECT 1\0');
    for (let size = 1; size < query.length; size++) {
      expect(readPieces('server', query.subarray(0, size), size)).toEqual({ read: [], isBetweenMessages: false });
    }
  });

  test.for([
    ['a length that does not count itself', 'server', Buffer.concat([Buffer.from('Z'), int32(3)])],
    ['a length beyond the longest value', 'server', Buffer.concat([Buffer.from('D'), int32(2 ** 31)])],
    ['a start without a version', 'client', int32(4)],
    ['HTTP', 'client', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ] as const)('refuses %s', ([, side, bytes]) => {
    expect(() => readPieces(side, bytes, bytes.length)).toThrow(/no message/);
  });
});

test('readQuery, readParse and readBind tell a statement, its name, and how many values it is given', () => {
  const [, , , , query, parse, bind] = readPieces('client', Buffer.concat(fromClient), 1000).read;
  expect(readQuery(query?.body ?? Buffer.alloc(0))).toBe("SELECT 'żółw'");
  expect(readParse(parse?.body ?? Buffer.alloc(0))).toEqual({ name: 'by id', text: 'SELECT $1, $2' });
  expect(readBind(bind?.body ?? Buffer.alloc(0))).toEqual({ name: 'by id', parameterCount: 2 });
  expect(() => readQuery(Buffer.from('SELECT 1'))).toThrow('no end');
});
