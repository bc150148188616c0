/** The door `semel/embedded`. */
export {
  openStore,
  type EmbeddedStore,
  type OpenOptions,
  type StoreEvent,
  type StoreStatus,
} from './embedded-store.ts';
export type { Disk, DiskFile } from './disk.ts';
