import compress from '@fastify/compress';
import cors from '@fastify/cors';
import Fastify from 'fastify';
import { createOnce } from 'semel/fastify';
import { allowedOrigin, tenantOf, type Door } from './door.harness.ts';

export const fastifyDoor: Door = {
  name: 'semel/fastify',
  async open(store, routes, { options, around }) {
    const app = Fastify();
    if (around.includes('compression')) await app.register(compress, { globalDecompression: false });
    if (around.includes('cors')) await app.register(cors, { origin: [allowedOrigin] });
    if (around.includes('fields')) {
      app.addHook('onRequest', async (_request, reply) => {
        reply.header('x-frame-options', 'DENY').header('set-cookie', 'seen=1');
      });
    }
    const once = createOnce(store, { ...options, scope: ({ headers }) => tenantOf(headers['tenant']) });
    for (const { method, path, handler, options: routeOptions } of routes) {
      app.register(once({ method, url: path, handler }, routeOptions));
    }
    await app.listen({ port: 0, host: '127.0.0.1' });
    return { server: app.server, close: async () => app.close() };
  },
};
