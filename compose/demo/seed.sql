-- Three rows for an empty table. Law: without a schema there is nothing to do, and a second call adds nothing.
SELECT to_regclass('items') IS NOT NULL AS has_schema \gset
\if :has_schema
INSERT INTO items (name) SELECT unnest(ARRAY['first', 'second', 'third']) WHERE NOT EXISTS (SELECT FROM items);
\endif
