import { createServer } from 'node:net';

/**
 * Rejects where the address cannot be listened on. It is asked before the store is opened, so that a service that is started
 * twice by mistake makes no directory, reads no log and writes nothing but the reason. The real listening still may fail.
 */
export async function checkPort(host: string, port: number): Promise<void> {
  // The system's own choice is always free.
  if (port === 0) return;
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => server.close(() => resolve()));
  });
}
