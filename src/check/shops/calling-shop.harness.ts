import { randomUUID } from 'node:crypto';
import { Shop, type Order, type Result } from './shop.harness.ts';

/** Tells another system of each order, without waiting for it; perhaps more than once. */
export class CallingShop extends Shop {
  /** Where it calls. */
  webhook = '';
  readonly #deliveries: number;

  constructor({ deliveries }: { readonly deliveries: number }) {
    super();
    this.#deliveries = deliveries;
  }

  protected override async act(order: Order): Promise<Result> {
    const result = await super.act(order);
    const headers = { 'webhook-id': randomUUID() };
    for (let sent = 0; sent < this.#deliveries; sent += 1) {
      void fetch(this.webhook, { method: 'POST', headers, body: result.body });
    }
    return result;
  }
}
