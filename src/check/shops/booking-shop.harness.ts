import { Shop, type Order, type Result } from './shop.harness.ts';

/** Writes each order down where SQL can count it. */
export class BookingShop extends Shop {
  readonly #insert: () => unknown;

  constructor(insert: () => unknown) {
    super();
    this.#insert = insert;
  }

  protected override async act(order: Order): Promise<Result> {
    const result = await super.act(order);
    await this.#insert();
    return result;
  }
}
