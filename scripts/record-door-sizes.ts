import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { doorSizes } from './door-sizes.ts';

/** Writes down what the doors cost now. The difference is for the commit that made it to explain. */
const sizes = await doorSizes(join(import.meta.dirname, '..'));
await writeFile(
  join(import.meta.dirname, 'door-sizes.json'),
  `${JSON.stringify(Object.fromEntries(sizes), undefined, 2)}\n`,
);
console.table(Object.fromEntries(sizes));
