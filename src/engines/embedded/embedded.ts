/** The door `semel/embedded`. */
export {
  openStore,
  type EmbeddedStore,
  type Incarnation,
  type OpenOptions,
  type StoreEvent,
  type StoreStatus,
} from './embedded-store.ts';
export {
  type BackupFacts,
  type BackupOptions,
  restoreBackup,
  type RestoreFacts,
  type RestoreOptions,
} from './backup.ts';
export type { Disk, DiskFile } from './disk.ts';
