import { expect, test } from 'vitest';
import { nameOfPlace } from './data-place.ts';

test('nameOfPlace tells the host, the database and the schema, and neither user nor password', () => {
  const url = 'postgres://ann:open%2Fsesame@db.example:5433/shop?password=other&application_name=x';
  expect(nameOfPlace({ engine: 'postgres', url, schema: 'semel' })).toBe(
    'postgres://db.example:5433/shop, schema semel',
  );
  expect(nameOfPlace({ engine: 'embedded', directory: '/srv/semel' })).toBe('/srv/semel');
});
