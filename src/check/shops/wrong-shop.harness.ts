import type { Shop } from './shop.harness.ts';

export interface WrongShop {
  readonly defect: string;
  readonly open: () => Shop;
  /** The checks that find it, always. */
  readonly foundBy: readonly string[];
  /** Those that find it when a race goes one way; no other check does. */
  readonly perhapsBy?: readonly string[];
}
