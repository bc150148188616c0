import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseCommandLine } from './command-line.ts';

const directory = mkdtempSync(join(tmpdir(), 'semel-command-line-'));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const entry = { tenant: 'acme', sha256: 'ab'.repeat(32) };
const twice = [entry, { tenant: 'other', sha256: entry.sha256.toUpperCase() }];
const apiKeysFile = file('keys.json', JSON.stringify([entry]));

describe('parseCommandLine', () => {
  test('parseCommandLine without arguments serves ./data on 127.0.0.1:4600', () => {
    expect(parseCommandLine([], {})).toEqual({
      outcome: 'serve',
      config: {
        place: { engine: 'embedded', directory: resolve('data') },
        host: '127.0.0.1',
        port: 4600,
        apiKeys: undefined,
        logLevel: 'info',
      },
    });
  });

  test('parseCommandLine takes each flag from the environment, and a flag over the environment', () => {
    const environment = {
      SEMEL_DATA: '/srv/semel',
      SEMEL_PORT: '0',
      SEMEL_HOST: '0.0.0.0',
      SEMEL_API_KEYS: apiKeysFile,
      SEMEL_LOG_LEVEL: 'debug',
    };
    const place = { engine: 'embedded', directory: '/srv/semel' };
    const config = { place, host: '0.0.0.0', port: 0, apiKeys: [entry], logLevel: 'debug' };
    expect(parseCommandLine([], environment)).toEqual({ outcome: 'serve', config });
    expect(parseCommandLine(['--port', '81', '--host', '::1'], environment)).toEqual({
      outcome: 'serve',
      config: { ...config, port: 81, host: '::1' },
    });
  });

  test('parseCommandLine --postgres serves a database instead of a directory, from the environment as well', () => {
    const url = 'postgres://ann:s3cret@db.example:5433/shop';
    const place = { engine: 'postgres', url, schema: 'semel' };
    expect(parseCommandLine(['--postgres', url], {})).toMatchObject({ config: { place } });
    expect(parseCommandLine([], { SEMEL_POSTGRES: url, SEMEL_SCHEMA: 'other' })).toMatchObject({
      config: { place: { ...place, schema: 'other' } },
    });
  });

  test.each([
    [['--postgres', 'postgres://ann:s3cret@h/db', '--data', 'x'], '--data'],
    [['--postgres', 'mysql://ann:s3cret@h/db'], '--postgres'],
    [['--postgres', 's3cret'], '--postgres'],
    [['--postgres', 'postgres://ann:1/s3cret@h/db'], 'percent-encode'],
    [['--postgres', 'postgres://ann:1?s3cret@h/db'], 'percent-encode'],
    [['--postgres', 'postgres://ann:1#s3cret@h/db'], 'percent-encode'],
    [['postgres://ann:s3cret@h/db'], 'too many arguments'],
    [['--port', 'postgres://ann:s3cret@h/db'], '--port'],
    [['--schema', 'other'], '--postgres'],
  ])('parseCommandLine refuses %j by name, without the password', (argv, name) => {
    const outcome = parseCommandLine(argv, {});
    expect(outcome).toMatchObject({ outcome: 'exit', exitCode: 2 });
    const text = outcome.outcome === 'exit' ? outcome.text : '';
    expect(text).toContain(name);
    expect(text).not.toContain('s3cret');
  });

  test.each([
    [['--prot', '1'], '--prot'],
    [['extra'], 'extra'],
    [['--port', '65536'], '--port'],
    [['--port', '1e3'], '--port'],
    [['--port'], '--port'],
    [['--host', ''], '--host'],
    [['--host', '0.0.0.0'], '--host'],
    [['--host', '127.0.0.1.example.org'], '--host'],
    [['--api-keys', join(directory, 'none.json')], '--api-keys'],
    [['--api-keys', file('no.json', '{')], 'is not JSON'],
    [['--api-keys', file('empty.json', '[]')], 'at least one entry'],
    [['--api-keys', file('plain.json', '[{"tenant":"a","key":"x"}]')], 'unknown member "key"'],
    [['--api-keys', file('short.json', '[{"tenant":"a","sha256":"00"}]')], 'entry 0: sha256'],
    [['--api-keys', file('nobody.json', JSON.stringify([entry, { ...entry, tenant: '' }]))], 'entry 1: a tenant'],
    [['--api-keys', file('twice.json', JSON.stringify(twice))], 'entry 1: its sha256 is that of entry 0'],
    [['--log-level', 'warn'], '--log-level'],
    [['api-key'], '--tenant'],
    [['api-key', '--tenant', ''], '--tenant'],
    [['api-key', '--tenant', 'a', 'b'], 'too many arguments'],
  ])('parseCommandLine refuses %j by name, with exit code 2', (argv, name) => {
    const outcome = parseCommandLine(argv, {});
    expect(outcome).toMatchObject({ outcome: 'exit', exitCode: 2 });
    expect(outcome.outcome === 'exit' && outcome.text).toContain(name);
  });

  test('parseCommandLine refuses a bad value from the environment by the name of the flag', () => {
    const outcome = parseCommandLine([], { SEMEL_PORT: 'http' });
    expect(outcome).toMatchObject({ outcome: 'exit', exitCode: 2 });
    expect(outcome.outcome === 'exit' && outcome.text).toContain('SEMEL_PORT');
  });

  test('parseCommandLine --help tells every flag and its environment variable', () => {
    const outcome = parseCommandLine(['--help'], {});
    expect(outcome).toMatchObject({ outcome: 'exit', exitCode: 0 });
    const text = outcome.outcome === 'exit' ? outcome.text : '';
    for (const name of ['data', 'postgres', 'schema', 'port', 'host', 'api-keys', 'log-level']) {
      expect(text).toContain(`--${name} `);
      expect(text).toContain(`SEMEL_${name.toUpperCase().replace('-', '_')}`);
    }
  });

  test('parseCommandLine api-key makes a key for a tenant', () => {
    expect(parseCommandLine(['api-key', '--tenant', 'acme'], {})).toEqual({ outcome: 'make-api-key', tenant: 'acme' });
  });
});
