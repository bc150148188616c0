import { DamagedError } from 'semel';
import { describe, expect, test } from 'vitest';
import { startFailure } from './start-failure.ts';

const config = {
  place: { engine: 'embedded', directory: '/srv/semel' },
  host: '127.0.0.1',
  port: 4600,
} as const;

function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

describe('startFailure', () => {
  test.each([
    [systemError('EADDRINUSE', 'listen'), '127.0.0.1:4600 is in use by another process'],
    [
      new DamagedError('log-000000000001', 96, 'its checksum differs'),
      '/srv/semel/log-000000000001 is damaged at byte 96: its checksum differs',
    ],
    [
      new Error('copying failed', { cause: systemError('ENOSPC', 'no space left') }),
      'the disk of /srv/semel is full; free space on it, then start again (copying failed)',
    ],
    [new Error('two\nlines'), 'two lines'],
    ['text', 'text'],
  ])('startFailure tells of %s in one line, with the place', (error, line) => {
    expect(startFailure(error, config)).toBe(line);
  });
});
