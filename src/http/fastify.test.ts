import Fastify from 'fastify';
import { openStore } from 'semel/embedded';
import { createOnce } from 'semel/fastify';
import { expect, test } from 'vitest';

test('createOnce answers 200 concurrent identical requests with one execution and 200 equal answers', async () => {
  const store = await openStore();
  const app = Fastify();
  const once = createOnce(store, { scope: () => 'tenant' });
  let executions = 0;
  await app.register(
    once({
      method: 'POST',
      url: '/transfers/:id',
      async handler(request, tx, { params }) {
        executions += 1;
        const outcome = await tx.add(['balance', params['id'] ?? ''], 1);
        return Response.json({ executions, outcome, got: await request.json() }, { status: 201 });
      },
    }),
  );
  const origin = await app.listen({ port: 0 });
  const send = async () => {
    const response = await fetch(`${origin}/transfers/7`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'one' },
      body: '{"amount":1}',
    });
    return { status: response.status, text: await response.text(), h: [...response.headers] };
  };
  const answers = await Promise.all(Array.from({ length: 200 }, send));
  console.log(answers[0], answers[1]);
  expect(executions).toBe(1);
  expect(new Set(answers.map((a) => a.text)).size).toBe(1);
  await app.close();
});
