import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report } from 'semel/check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { serve, Shop } from '../check/shops/shop.harness.ts';
import { wrongShops } from '../check/shops/wrong-shops.harness.ts';
import { checkCommand } from './check-command.ts';
import type { Terminal } from './terminal.ts';

const quick = ['--quiet', '0.015', '--patience', '0.4', '--rate', '100000'];

describe('checkCommand', () => {
  test('shows its plan before it sends, tells of its progress, prints the report, and exits with 0', async () => {
    const { orders, count } = await serve(new Shop());
    const { terminal, printed, told } = pretendTerminal();
    const words = [orders, '--request', requestFile({ body: { cups: 2 } }), '--effect', count, '--path', '$.orders'];
    expect(
      await checkCommand([...words, ...quick, '--only', 'fresh-key,replay-equality', '--seed', '7'], terminal),
    ).toBe(0);
    expect(told()).toMatch(
      /^sends {4}POST .*\neffects {2}\$\.orders of .*\nbounds .*\nchecks {3}fresh-key, replay-equality\n\n/,
    );
    expect(told()).toContain('2/2 replay-equality … pass');
    expect(printed()).toContain('seed 7');
    expect(printed()).toMatch(/\n2 passed, 0 failed, 0 not tried\n$/);
  });

  test('exits with 1 at a failure, keeps secrets out of the report, and writes it as JSON', async () => {
    const wrong = wrongShops.find(({ foundBy }) => foundBy.includes('replay-equality'))?.open() ?? new Shop();
    const { orders, count } = await serve(wrong);
    const json = join(scratch(), 'report.json');
    const { terminal, printed, told } = pretendTerminal();
    const request = requestFile({ body: { cups: 2 }, headers: { 'X-Api-Key': 'sesame-1' } });
    const words = [orders, '--request', request, '--effect', count, '--path', '$.orders', '--json', json];
    words.push('--header', 'Authorization: Bearer sesame-2', ...quick, '--only', 'replay-equality');
    expect(await checkCommand(words, terminal)).toBe(1);
    expect(printed()).toContain('-H "Authorization: $HEADER_AUTHORIZATION"');
    expect(printed()).toContain('-H "X-Api-Key: $HEADER_X_API_KEY"');
    const report: Report = JSON.parse(readFileSync(json, 'utf8'));
    expect(report.results.map(({ name, result }) => [name, result])).toEqual([['replay-equality', 'fail']]);
    expect(printed() + told() + JSON.stringify(report)).not.toContain('sesame');
  });

  test('keeps what the other tenant sends out of the plan and the report, and has a variable for it', async () => {
    const wrong = wrongShops.find(({ foundBy }) => foundBy.includes('other-tenant-acts'))?.open() ?? new Shop();
    const { orders, count } = await serve(wrong);
    const { terminal, printed, told } = pretendTerminal();
    const words = [orders, '--request', requestFile({ body: { cups: 2 } }), '--effect', count, '--path', '$.orders'];
    words.push('--header', 'Authorization: Bearer sesame-a', '--other-tenant', 'authorization: Bearer sesame-b');
    expect(await checkCommand([...words, ...quick, '--only', 'other-tenant-acts'], terminal)).toBe(1);
    expect(told()).toContain(`\nalso     POST ${orders} (other-tenant)\n`);
    expect(printed()).toContain('-H "Authorization: $HEADER_AUTHORIZATION"');
    expect(printed()).toContain('-H "authorization: $OTHER_TENANT_HEADER_AUTHORIZATION"');
    expect(printed() + told()).not.toContain('sesame');
  });

  test('reads the count as the other tenant too, where each sees its own', async () => {
    const { orders, count } = await serve(new Shop());
    const { terminal, printed } = pretendTerminal();
    const words = [orders, '--request', requestFile({ body: { cups: 2 } }), '--effect', count, '--path', '$.mine'];
    words.push('--header', 'Authorization: Bearer a', '--other-tenant', 'authorization: Bearer b', ...quick);
    expect(await checkCommand([...words, '--only', 'other-tenant-acts'], terminal), printed()).toBe(0);
  });

  test('takes other requests from the request file, and shows them in its plan', async () => {
    const { orders, count } = await serve(new Shop());
    const { terminal, printed, told } = pretendTerminal();
    const directory = scratch();
    writeFileSync(join(directory, 'nothing.json'), '{"cups":0}');
    const request = requestFile(
      {
        body: { cups: 2 },
        otherQuery: 'express=yes',
        otherPath: '/orders/of-bob',
        otherMethod: 'PUT',
        otherEndpoint: { url: '/subscriptions', method: 'PATCH', body: { cups: 3 } },
        failing: [{ bodyFile: 'nothing.json' }, { headers: { 'X-Fault': 'yes' } }],
        failOnce: { headers: { 'X-Fault': 'yes' } },
      },
      directory,
    );
    const only = 'mismatch-query,mismatch-path,mismatch-method,other-endpoint,failed-acts-never,fault-gone-acts-once';
    const words = [orders, '--request', request, '--effect', count, '--path', '$.orders', '--only', only, ...quick];
    expect(await checkCommand(words, terminal), printed()).toBe(0);
    expect(printed()).toMatch(/\n6 passed, 0 failed, 0 not tried\n$/);
    expect(printed()).toContain('failing-1 was answered 402');
    const { origin } = new URL(orders);
    for (const line of [
      `POST ${orders}?express=yes (other-query)`,
      `POST ${origin}/orders/of-bob (other-path)`,
      `PUT ${orders} (other-method)`,
      `PATCH ${origin}/subscriptions (other-endpoint)`,
      `POST ${orders} (failing-2)`,
      `POST ${orders} (fail-once)`,
    ]) {
      expect(told()).toContain(`\nalso     ${line}\n`);
    }
  });

  test('shows what it kills, what it runs and for how long it may wait, before it does', async () => {
    const words = ['http://example.com/', '--pid', '999999999', '--restart', 'npm start', '--lifetime', '2m'];
    const { terminal, told } = pretendTerminal({ answer: false });
    expect(await checkCommand(words, terminal)).toBe(2);
    expect(told()).toMatch(
      /\nrestarts kills process 999999999 by SIGKILL, runs npm start\nlifetime 120 s\nbounds [^]*nothing was sent\n$/,
    );
  });

  test('sends the headers of the endpoint to a count of the same origin alone', async () => {
    const { orders } = await serve(new Shop());
    const counted: (string | undefined)[] = [];
    const server = createServer((incoming, outgoing) => {
      counted.push(incoming.headers.authorization, incoming.headers['x-count'] as string | undefined);
      outgoing.end('{"orders":0}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const words = [
      orders,
      '--effect',
      url,
      '--path',
      '$',
      '--header',
      'Authorization: a',
      '--effect-header',
      'X-Count: b',
    ];
    expect(await checkCommand([...words, ...quick], pretendTerminal().terminal)).toBe(2);
    expect(counted.slice(0, 2)).toEqual([undefined, 'b']);
  });

  test('leaves what it has when it is interrupted', async () => {
    const { orders, count } = await serve(new Shop());
    const { terminal, printed } = pretendTerminal({ interruptAt: '2/' });
    expect(await checkCommand([orders, '--effect', count, '--path', '$.orders', ...quick], terminal)).toBe(2);
    expect(printed()).toMatch(/\npass {7}fresh-key .*\ninterrupted: .*\n\n1 passed, 0 failed, 0 not tried\n$/);
  });

  test.for([
    ['nobody is there', undefined, 'nobody is there to be asked'],
    ['the answer is no', false, 'nothing was sent'],
  ] as const)('sends nothing to another host where %s', async ([, answer, words]) => {
    const { terminal, told } = pretendTerminal({ answer });
    expect(await checkCommand(['https://shop.invalid/orders'], terminal)).toBe(2);
    expect(told()).toContain(words);
  });

  test('sends to another host what is allowed by --yes or by an answer', async () => {
    for (const [answer, ...words] of [[true], [undefined, '--yes']] as const) {
      const { terminal, printed } = pretendTerminal({ answer });
      expect(await checkCommand(['https://shop.invalid/', '--patience', '0.01', ...words], terminal)).toBe(2);
      expect(printed()).toContain(
        'could not run: a fresh request, which should have succeeded, was answered not at all',
      );
    }
  });

  test.for([
    [[], 'which URL?'],
    [['http://localhost/', 'http://localhost/'], 'one URL at a time'],
    [['localhost/orders'], 'begins with http'],
    [['http://localhost/', '--effect', 'http://localhost/'], '--effect and --path need each other'],
    [['http://localhost/', '--effect', 'http://localhost/', '--path', '$..n'], 'at character 2'],
    [['http://localhost/', '--header', 'secret'], `a header is written 'Name: value'`],
    [['http://localhost/', '--seed', '1.5'], '--seed 1.5'],
    [['http://localhost/', '--rate', '0'], '--rate 0'],
    [['http://localhost/', '--patience', '-1'], '--patience'],
    [['http://localhost/', '--only', 'no-such'], 'there is no check no-such'],
    [['http://localhost/', '--no-such'], '--no-such'],
    [['http://localhost/', '--pid', '1'], 'nothing outlives process 1'],
    [['http://localhost/', '--lifetime', '24'], '--lifetime 24: a duration such as 30s'],
    [['http://localhost/', '--lifetime', '0s'], '--lifetime 0s'],
    [['http://localhost/', '--request', '/no/such/file'], '/no/such/file cannot be read'],
  ] as const)('refuses %j', async ([words, reason]) => {
    const { terminal, told } = pretendTerminal();
    expect(await checkCommand(words, terminal)).toBe(2);
    expect(told()).toContain(reason);
  });

  test.for([
    ['no JSON', 'is not JSON'],
    [[], 'is not a JSON object'],
    [{ boddy: 1 }, 'has boddy'],
    [{ method: 1 }, '"method" of'],
    [{ headers: { a: 1 } }, '"headers" of'],
    [{ body: 1, bodyFile: 'b' }, 'has both body and bodyFile'],
    [{ bodyFile: 'none' }, 'none cannot be read'],
    [{ otherPath: 1 }, '"otherPath" of'],
    [{ otherEndpoint: { urll: '/' } }, '"otherEndpoint" of'],
    [{ otherEndpoint: { url: 'https://shop.invalid/' } }, 'no address at http://localhost'],
    [{ failing: { body: 1 } }, 'is no list'],
    [{ failing: [{}, { body: 1, bodyFile: 'b' }] }, 'has both body and bodyFile'],
    [{ failing: [{}, { method: 1 }] }, '"method" of "failing"[1] of'],
    [{ failOnce: { body: 1 } }, 'it can have headers'],
    [{ failOnce: {} }, 'has no "headers"'],
  ] as const)('refuses a request file with %j', async ([content, reason]) => {
    const { terminal, told } = pretendTerminal();
    expect(await checkCommand(['http://localhost/', '--request', requestFile(content)], terminal)).toBe(2);
    expect(told()).toContain(reason);
  });
});

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'semel-cli-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

function requestFile(content: unknown, directory = scratch()): string {
  const path = join(directory, 'request.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

interface Pretence {
  /** What the person says; `undefined` is nobody. */
  readonly answer?: boolean | undefined;
  /** Presses Ctrl-C when this is told. */
  readonly interruptAt?: string;
}

function pretendTerminal({ answer, interruptAt }: Pretence = {}) {
  const printed: string[] = [];
  const told: string[] = [];
  let interrupt = (): void => undefined;
  const terminal: Terminal = {
    print: (text) => void printed.push(text),
    tell(text) {
      told.push(text);
      if (interruptAt !== undefined && text.startsWith(interruptAt)) interrupt();
    },
    confirm: answer === undefined ? undefined : async () => answer,
    onInterrupt(act) {
      interrupt = act;
      return () => undefined;
    },
  };
  return { terminal, printed: () => printed.join(''), told: () => told.join('') };
}
