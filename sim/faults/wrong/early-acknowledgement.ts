import process from 'node:process';
import type { DiskFile } from 'semel/embedded';
import { runChild } from '../child.ts';

/** Wrong on purpose: a sync says that it is done before a byte has been written. */
await runChild(process.argv[2] ?? '', (disk) => ({
  ...disk,
  create: async (name) => lying(await disk.create(name)),
  open: async (name) => lying(await disk.open(name)),
}));

function lying(file: DiskFile): DiskFile {
  const unwritten: (() => void)[] = [];
  let size = file.size;
  const writeAll = (): void => unwritten.splice(0).forEach((write) => write());
  return {
    get size() {
      return size;
    },
    append(bytes) {
      size += bytes.length;
      unwritten.push(() => file.append(bytes));
    },
    overwrite: (position, bytes) => void unwritten.push(() => file.overwrite(position, bytes)),
    read(position, length) {
      writeAll();
      return file.read(position, length);
    },
    async truncate(to) {
      writeAll();
      await file.truncate(to);
      size = to;
    },
    async sync() {
      setImmediate(writeAll);
    },
    close() {
      writeAll();
      return file.close();
    },
  };
}
