import type { FastifyInstance } from 'fastify';
import { pathOf } from './request-target.ts';

/** Knows which methods each path takes, to tell 405 from 404. It hears of every route that is added after it was made. */
export class Methods {
  readonly #patterns = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();

  constructor(app: FastifyInstance) {
    app.addHook('onRoute', ({ url, method }) => {
      const known = this.#patterns.get(url) ?? { pattern: patternOf(url), methods: new Set() };
      for (const one of [method].flat()) known.methods.add(one);
      this.#patterns.set(url, known);
    });
  }

  /** The value of `Allow`, or undefined where there is nothing at the path. */
  allowedAt(target: string): string | undefined {
    const path = pathOf(target);
    const allowed = new Set<string>();
    for (const { pattern, methods } of this.#patterns.values()) {
      if (pattern.test(path)) for (const method of methods) allowed.add(method);
    }
    return allowed.size === 0 ? undefined : [...allowed].sort().join(', ');
  }
}

/** Of a route as Fastify writes it: `:name` is one part of the path, `*` the rest. */
function patternOf(url: string): RegExp {
  const escaped = url.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replaceAll(/:[^/]+/g, '[^/]+').replace('*', '.*')}$`, 's');
}
