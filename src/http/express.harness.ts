import { once as event } from 'node:events';
import compression from 'compression';
import cors from 'cors';
import express from 'express';
import { createOnce } from 'semel/express';
import { allowedOrigin, tenantOf, type Door } from './door.harness.ts';

export const expressDoor: Door = {
  name: 'semel/express',
  async open(store, routes, { options, around }) {
    const app = express();
    // Or else it prints what the error handler is told.
    app.set('env', 'test');
    if (around.includes('compression')) app.use(compression());
    if (around.includes('cors')) app.use(cors({ origin: allowedOrigin }));
    if (around.includes('fields')) {
      app.use((_req, res, next) => {
        res.setHeader('x-frame-options', 'DENY').append('set-cookie', 'seen=1');
        next();
      });
    }
    const once = createOnce(store, { ...options, scope: ({ headers }) => tenantOf(headers['tenant']) });
    for (const { method, path, handler, options: routeOptions } of routes) {
      const protect = once(handler, routeOptions);
      if (method === 'GET') app.get(path, protect);
      else if (method === 'PUT') app.put(path, protect);
      else app.post(path, protect);
    }
    const server = app.listen(0, '127.0.0.1');
    await event(server, 'listening');
    return {
      server,
      async close() {
        server.close();
        server.closeAllConnections();
        await event(server, 'close');
      },
    };
  },
};
