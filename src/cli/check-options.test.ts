import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { CallingShop } from '../check/shops/calling-shop.harness.ts';
import { serve, Shop } from '../check/shops/shop.harness.ts';
import { checkCommand } from './check-command.ts';
import type { Terminal } from './terminal.ts';

const quick = ['--quiet', '0.015', '--patience', '0.4', '--rate', '100000'];

describe('checkCommand', () => {
  test('takes semel-check.json of its directory where no URL is given, and --config from anywhere', async () => {
    const { orders, count } = await serve(new Shop());
    const directory = scratch();
    const config = join(directory, 'semel-check.json');
    writeFileSync(join(directory, 'tea.json'), JSON.stringify({ body: { cups: 2 } }));
    writeFileSync(
      config,
      JSON.stringify({
        url: orders,
        request: 'tea.json',
        header: { 'X-Shop': '${SHOP}' },
        effect: count,
        path: '$.orders',
        rate: 100_000,
        quiet: 0.015,
        only: ['replay-equality', 'fresh-key'],
        seed: 5,
        profile: 'ietf',
        junit: 'report.xml',
      }),
    );
    const variables = { SHOP: 'sesame' };
    for (const [words, surroundings] of [
      [[], { directory, variables }],
      [['--config', config], { directory: tmpdir(), variables }],
    ] as const) {
      const { terminal, printed, told } = listen();
      expect(await checkCommand(['--seed', '6', ...words], terminal, surroundings), told()).toBe(0);
      expect(told()).toContain(`as in    ${config}\nsends    POST ${orders} with 10 bytes and X-Shop, `);
      expect(printed()).toMatch(/seed 6, profile ietf\n\npass {7}fresh-key .*\npass {7}replay-equality /);
      expect(readFileSync(join(directory, 'report.xml'), 'utf8')).toContain('<testcase classname="semel.check"');
      expect(printed() + told()).not.toContain('sesame');
    }
  });

  test.for([
    ['to send to another host', { url: 'https://shop.invalid/' }, 'shop.invalid is not this machine'],
    ['to run a command', { url: 'http://127.0.0.1:9/', restart: 'npm start' }, 'runs npm start'],
  ] as const)('asks %s where the file was only found, whatever it says itself', async ([, document, doubt]) => {
    const directory = scratch();
    const config = join(directory, 'semel-check.json');
    writeFileSync(config, JSON.stringify({ ...document, yes: true, patience: 0.01 }));
    const surroundings = { directory, variables: {} };
    const found = listen();
    expect(await checkCommand([], found.terminal, surroundings)).toBe(2);
    expect(found.told()).toContain(`${doubt}, and nobody is there to be asked; --yes allows it`);
    expect(found.printed()).toBe('');
    for (const words of [['--yes'], ['--config', config]]) {
      const allowed = listen();
      expect(await checkCommand(words, allowed.terminal, surroundings)).toBe(2);
      expect(allowed.printed()).toContain('could not run: a fresh request');
    }
  });

  test('does not look for a file where a URL is given, and says what is missing where there is neither', async () => {
    const directory = scratch();
    const surroundings = { directory, variables: {} };
    const nobody = listen();
    expect(await checkCommand([], nobody.terminal, surroundings)).toBe(2);
    expect(nobody.told()).toContain('which URL?');
    writeFileSync(join(directory, 'semel-check.json'), '{');
    const given = listen();
    expect(await checkCommand(['http://shop.invalid/'], given.terminal, surroundings)).toBe(2);
    expect(given.told()).toContain('nobody is there to be asked');
    const taken = listen();
    expect(await checkCommand([], taken.terminal, surroundings)).toBe(2);
    expect(taken.told()).toContain('semel-check.json is not JSON');
  });

  test('takes a request that is in the file', async () => {
    const { orders } = await serve(new Shop());
    const directory = scratch();
    writeFileSync(join(directory, 'tea.txt'), 'tea');
    const request = { method: 'PUT', bodyFile: 'tea.txt' };
    const config = { url: orders, request, only: ['replay-equality'], rate: 100_000 };
    writeFileSync(join(directory, 'semel-check.json'), JSON.stringify(config));
    const { terminal, told } = listen();
    expect(await checkCommand([], terminal, { directory, variables: {} })).toBe(0);
    expect(told()).toContain(`sends    PUT ${orders} with 3 bytes`);
  });

  test('counts by a webhook, of which the plan shows the address, and closes it', async () => {
    const shop = new CallingShop({ deliveries: 2 });
    const { orders } = await serve(shop);
    const { terminal, printed } = listen((text) => {
      const [, url] = /effects {2}requests to (http:\/\/127\.0\.0\.1:\d+\/), each Webhook-Id once/.exec(text) ?? [];
      shop.webhook = url ?? shop.webhook;
    });
    const count = ['--effect-webhook', '127.0.0.1:0', '--webhook-id', 'Webhook-Id'];
    expect(await checkCommand([orders, ...count, ...quick, '--only', 'fresh-key'], terminal), printed()).toBe(0);
    await expect(fetch(shop.webhook)).rejects.toThrow('fetch failed');
  });

  test('shows a query and its database without the password, and asks before it goes to another machine', async () => {
    const { orders } = await serve(new Shop());
    const words = [orders, '--effect-sql', 'SELECT count(*)\n  FROM orders', '--database'];
    const { terminal, told } = listen();
    expect(await checkCommand([...words, 'postgres://ann:sesame@db.invalid/shop'], terminal)).toBe(2);
    expect(told()).toContain('effects  SELECT count(*) FROM orders, in postgres://db.invalid/shop\n');
    expect(told()).toContain('db.invalid is not this machine');
    expect(told()).not.toContain('sesame');
  });

  test.for(['--json', '--junit'])(
    'finds that the file of %s cannot be written before it sends anything',
    async (option) => {
      const shop = new Shop();
      const { orders } = await serve(shop);
      const file = join(scratch(), 'report');
      mkdirSync(file);
      const { terminal, told } = listen();
      expect(await checkCommand([orders, option, file], terminal)).toBe(2);
      expect(told()).toContain(`${file} cannot be written`);
      expect(shop.orders).toBe(0);
    },
  );

  test('leaves no older report where the run cannot tell anything', async () => {
    const file = join(scratch(), 'report.xml');
    writeFileSync(file, 'all passed');
    const { terminal } = listen();
    expect(await checkCommand(['http://127.0.0.1:1/', '--junit', file, '--patience', '0.1'], terminal)).toBe(2);
    expect(readFileSync(file, 'utf8')).toContain('<error message=');
  });

  test.for([
    [
      ['http://localhost/', '--effect', 'http://localhost/', '--path', '$', '--effect-webhook', '0'],
      'one count is enough',
    ],
    [['http://localhost/', '--effect-sql', 'SELECT 1'], '--effect-sql and --database need each other'],
    [['http://localhost/', '--webhook-id', 'id'], '--webhook-id needs --effect-webhook'],
    [['http://localhost/', '--effect-webhook', 'localhost'], 'HOST:PORT is needed'],
    [['http://localhost/', '--effect-webhook', '65536'], 'HOST:PORT is needed'],
    [['http://localhost/', '--effect-webhook', '192.0.2.1:1'], 'nobody can be listened to at 192.0.2.1:1'],
    [['http://localhost/', '--profile', 'mine'], 'the profiles are semel, ietf, stripe'],
    [['--config', 'none.json'], 'none.json cannot be read'],
  ] as const)('refuses %j', async ([words, reason]) => {
    const { terminal, told } = listen();
    expect(await checkCommand(words, terminal)).toBe(2);
    expect(told()).toContain(reason);
  });
});

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'semel-cli-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** A terminal at which nobody is. */
function listen(onTell: (text: string) => void = () => undefined) {
  const printed: string[] = [];
  const told: string[] = [];
  const terminal: Terminal = {
    print: (text) => void printed.push(text),
    tell(text) {
      told.push(text);
      onTell(text);
    },
    confirm: undefined,
    onInterrupt: () => () => undefined,
  };
  return { terminal, printed: () => printed.join(''), told: () => told.join('') };
}
