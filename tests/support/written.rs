//! A schema with a table of every kind, and writes of every kind to it.

/// Of every kind of table one; the users are uuids that end in three digits, and became others that begin with a 9.
pub const SCHEMA: &str = "
    CREATE TABLE sites (id serial PRIMARY KEY, name text UNIQUE, owner uuid);
    CREATE TABLE units (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, site int NOT NULL REFERENCES sites ON DELETE CASCADE,
        parent bigint REFERENCES units, name text, twice bigint GENERATED ALWAYS AS (id * 2) STORED);
    CREATE TABLE members (site int REFERENCES sites, owner uuid, role text, PRIMARY KEY (owner, site));
    CREATE TABLE heads (id int PRIMARY KEY, tail int); CREATE TABLE tails (id int PRIMARY KEY, head int REFERENCES heads);
    ALTER TABLE heads ADD CONSTRAINT heads_tail FOREIGN KEY (tail) REFERENCES tails;
    CREATE TABLE log (kind text, at timestamptz, owner uuid);
    CREATE TABLE parts (id int, v jsonb, PRIMARY KEY (id)) PARTITION BY RANGE (id);
    CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (50);
    CREATE TABLE parts_high PARTITION OF parts DEFAULT;
    CREATE TABLE audit (n serial, what text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.audit (what) VALUES (TG_OP); RETURN NULL; END $$;
    CREATE TRIGGER notes AFTER INSERT OR UPDATE OR DELETE ON sites FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE sites DISABLE TRIGGER notes;
    INSERT INTO sites (name, owner) SELECT 'site '||i, ('00000000-0000-4000-8000-000000000'||lpad((i % 20)::text, 3, '0'))::uuid
        FROM generate_series(1, 60) i;
    INSERT INTO units (site, parent, name) SELECT 1 + i % 60, NULL, 'unit '||i FROM generate_series(1, 100) i;
    UPDATE units SET parent = id - 1 WHERE id % 3 = 0;
    INSERT INTO members SELECT i, ('00000000-0000-4000-8000-000000000'||lpad((i % 20)::text, 3, '0'))::uuid, 'r' FROM generate_series(1, 60) i;
    INSERT INTO heads SELECT i FROM generate_series(1, 20) i; INSERT INTO tails SELECT i, i FROM generate_series(1, 20) i;
    UPDATE heads SET tail = id;
    INSERT INTO log SELECT 'k'||i % 4, '2026-01-01', NULL FROM generate_series(1, 40) i;
    INSERT INTO parts SELECT i, jsonb_build_object('n', i) FROM generate_series(0, 99) i;
    ALTER TABLE sites ENABLE TRIGGER notes;";

/// Its tables.
pub const TABLES: [&str; 8] = ["sites", "units", "members", "heads", "tails", "log", "parts", "audit"];
/// What became of the users in the target.
pub const MAP: &str = "UPDATE sites SET owner = ('9'||substr(owner::text, 2))::uuid; UPDATE members SET owner = ('9'||substr(owner::text, 2))::uuid;";

/// Writes of every kind: inserted, updated, deleted, keys changed, names exchanged.
pub const WRITES: &str = "
    DELETE FROM units WHERE site IN (3, 4) OR parent IN (SELECT id FROM units WHERE site IN (3, 4));
    DELETE FROM members WHERE site IN (3, 4); DELETE FROM sites WHERE id IN (3, 4);
    INSERT INTO sites (name, owner) VALUES ('site 3', '90000000-0000-4000-8000-000000000007');
    UPDATE sites SET name = 'swap' WHERE id = 10; UPDATE sites SET name = 'site 10' WHERE id = 11;
    UPDATE sites SET name = 'site 11' WHERE id = 10;
    UPDATE units SET site = 61, name = NULL WHERE id = 50; UPDATE heads SET tail = NULL WHERE id = 7;
    INSERT INTO heads VALUES (21, NULL); INSERT INTO tails VALUES (21, 21); UPDATE heads SET tail = 21 WHERE id = 21;
    UPDATE members SET owner = '90000000-0000-4000-8000-000000000001' WHERE site = 5;
    DELETE FROM log WHERE ctid IN (SELECT ctid FROM log WHERE kind = 'k1' LIMIT 2);
    INSERT INTO log VALUES ('k2', '2026-01-01', NULL), ('new', 'infinity', '90000000-0000-4000-8000-000000000002');
    UPDATE parts SET v = '{\"n\": \"tab\\there\"}' WHERE id IN (1, 99); DELETE FROM parts WHERE id = 2; UPDATE parts SET id = 200 WHERE id = 3;";
