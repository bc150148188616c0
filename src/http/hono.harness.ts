import { once as event } from 'node:events';
import { Server } from 'node:http';
import assert from 'node:assert/strict';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { compress } from 'hono/compress';
import { cors } from 'hono/cors';
import { createOnce } from 'semel/hono';
import { allowedOrigin, tenantOf, type Door } from './door.harness.ts';

export const honoDoor: Door = {
  name: 'semel/hono',
  async open(store, routes, { options, around }) {
    const app = new Hono();
    // Or else it prints what the error handler is told.
    app.onError((error, c) => c.text(error.message, 500));
    if (around.includes('compression')) app.use(compress());
    if (around.includes('cors')) app.use(cors({ origin: allowedOrigin }));
    if (around.includes('fields')) {
      app.use(async (c, next) => {
        c.header('x-frame-options', 'DENY');
        c.header('set-cookie', 'seen=1', { append: true });
        await next();
      });
    }
    const once = createOnce(store, { ...options, scope: (c) => tenantOf(c.req.header('tenant')) });
    for (const { method, path, handler, options: routeOptions } of routes) {
      app.on(method, path, once(handler, routeOptions));
    }
    const globals = globalsNow();
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
    assert(server instanceof Server);
    await event(server, 'listening');
    return {
      server,
      async close() {
        server.close();
        server.closeAllConnections();
        await event(server, 'close');
        globals.restore();
      },
    };
  },
};

/** The server puts classes of its own in the place of `Request` and `Response`, as it does for its users. Other tests are to have theirs. */
function globalsNow(): { restore(): void } {
  const { Request, Response } = globalThis;
  return { restore: () => void Object.assign(globalThis, { Request, Response }) };
}
