//! What is asked of the server's own tables. Every answer is text, a number, a yes or no: no type needs to be looked up.
//!
//! `$1` is always the list of the chosen tables' oids. All run with an empty search path, so names come out whole.

/// Everything that could hold rows, wherever it is.
pub(super) const RELATIONS: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relrowsecurity,
  row_security_active(c.oid), pg_has_role(c.relowner, 'USAGE'), pg_get_userbyid(c.relowner)::text,
  has_schema_privilege(n.oid, 'USAGE') AND (has_table_privilege(c.oid, 'SELECT') OR NOT EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT'))),
  EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid AND c.relkind = 'r'),
  (SELECT e.extname::text FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_extension'::regclass
      AND d.deptype = 'e')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'm') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '_cutover')
ORDER BY 2, 3";

/// Server, database, extensions, and what is there beside tables.
pub(super) const WHOLE: &str = "
SELECT current_setting('server_version_num')::int, current_database()::text, current_user::text,
  ARRAY(SELECT extname::text FROM pg_extension ORDER BY 1), ARRAY(SELECT extversion FROM pg_extension ORDER BY extname::text),
  (SELECT count(*) FROM pg_largeobject_metadata),
  ARRAY(SELECT nspname::text FROM pg_namespace WHERE nspname IN ('storage', 'vault', 'realtime', 'cron', 'supabase_functions')),
  current_setting('block_size')::int8";

/// Enumerated types and their values.
pub(super) const ENUMS: &str = "
SELECT format_type(t.oid, NULL), ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'e' AND n.nspname !~ '^pg_'
ORDER BY 1";

/// A chosen table and, where it is partitioned, all below it.
macro_rules! family {
    () => {
        "WITH family AS (
           SELECT chosen.root, member.oid FROM unnest($1::oid[]) AS chosen(root) CROSS JOIN LATERAL (
             SELECT chosen.root UNION SELECT tree.relid::oid FROM pg_partition_tree(chosen.root) tree) AS member(oid)) "
    };
}

/// Size and estimate; those of a partitioned table are the sums of its leaves.
pub(super) const SIZES: &str = concat!(
    family!(),
    "
SELECT f.root, coalesce(sum(pg_table_size(c.oid)), 0)::int8, coalesce(sum(pg_relation_size(c.oid)), 0)::int8,
  round(CASE WHEN count(*) = 0 OR bool_or(e.known) THEN coalesce(sum(c.reltuples) FILTER (WHERE e.known), 0) ELSE -1 END)::int8,
  coalesce(bool_or(c.relpersistence = 'u'), false), coalesce(bool_or(c.relkind = 'f'), false)
FROM family f JOIN pg_class c ON c.oid = f.oid AND c.relkind <> 'p'
CROSS JOIN LATERAL (SELECT c.reltuples > 0 OR c.reltuples = 0 AND (c.relpages > 0 OR pg_relation_size(c.oid) = 0)) AS e(known)
GROUP BY 1"
);

/// Columns; `kind` and what a domain demands are those of the end of its chain.
pub(super) const COLUMNS: &str = "
SELECT a.attrelid, a.attname::text, format_type(a.atttypid, a.atttypmod), base.kind, a.attnotnull OR base.is_required,
  a.attgenerated <> '', a.attidentity::text, coalesce(pg_get_expr(d.adbin, d.adrelid), base.preset)
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
CROSS JOIN LATERAL (
  WITH RECURSIVE chain AS (
    SELECT t.oid, t.typtype, t.typbasetype, t.typoutput, t.typnotnull, t.typdefault, 1 AS depth
      FROM pg_type t WHERE t.oid = a.atttypid
    UNION ALL
    SELECT t.oid, t.typtype, t.typbasetype, t.typoutput, t.typnotnull, t.typdefault, chain.depth + 1
      FROM chain JOIN pg_type t ON chain.typtype = 'd' AND t.oid = chain.typbasetype)
  SELECT coalesce(bool_or(typnotnull), false) AS is_required,
    (array_agg(typdefault ORDER BY depth) FILTER (WHERE typdefault IS NOT NULL AND typtype = 'd'))[1] AS preset,
    (array_agg(CASE WHEN oid IN ('json'::regtype, 'jsonb'::regtype) THEN 'json' WHEN oid = 'bool'::regtype THEN 'bool'
      WHEN oid = 'bytea'::regtype THEN 'bytes' WHEN typoutput = 'array_out'::regproc THEN 'array'
      WHEN oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'float4'::regtype,
        'float8'::regtype, 'oid'::regtype) THEN 'number' ELSE 'text' END ORDER BY depth DESC))[1] AS kind
  FROM chain) base
WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum";

/// Names of columns from a list of their numbers.
macro_rules! names {
    ($relation:literal, $numbers:literal) => {
        concat!(
            "ARRAY(SELECT a.attname::text FROM unnest(",
            $numbers,
            ") WITH ORDINALITY numbered(number, place) JOIN pg_attribute a ON a.attrelid = ",
            $relation,
            " AND a.attnum = numbered.number ORDER BY numbered.place)"
        )
    };
}

/// What is unique for every row, the primary key first.
pub(super) const KEYS: &str = concat!(
    "SELECT i.indrelid, c.relname::text, i.indisprimary, ",
    names!("i.indrelid", "(i.indkey::int2[])[0:i.indnkeyatts - 1]"),
    "
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY ($1::oid[]) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indrelid, NOT i.indisprimary, NOT i.indimmediate,
  NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype = 'u'), 2"
);

/// Foreign keys of the table, and those that one of its partitions has for itself.
pub(super) const FOREIGN_KEYS: &str = concat!(
    family!(),
    "
SELECT f.root, k.conname::text, n.nspname::text, t.relname::text, pg_get_constraintdef(k.oid), k.convalidated, ",
    names!("k.conrelid", "k.conkey"),
    ", ",
    names!("k.confrelid", "k.confkey"),
    ",
  CASE WHEN k.conrelid <> f.root THEN k.conrelid::regclass::text END
FROM family f JOIN pg_constraint k ON k.conrelid = f.oid AND k.contype = 'f' AND k.conparentid = 0
JOIN pg_class t ON t.oid = coalesce(pg_partition_root(k.confrelid)::oid, k.confrelid)
JOIN pg_namespace n ON n.oid = t.relnamespace
ORDER BY f.root, 2, 9"
);

/// Indexes that are not behind a constraint, and whether their definition says everything about them.
pub(super) const INDEXES: &str = "
SELECT i.indrelid, c.relname::text, pg_get_indexdef(i.indexrelid), i.indisunique, i.indisvalid,
  'CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || quote_ident(c.relname) || ' ON ',
  NOT i.indisreplident AND NOT i.indisclustered AND c.reltablespace = 0 AND obj_description(c.oid, 'pg_class') IS NULL
    AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND coalesce(a.attstattarget, -1) <> -1)
    AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype = 'f')
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY ($1::oid[])
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY i.indrelid, 2";

/// Triggers of the application that fire, also those that one partition has for itself. Those of a freeze are ours.
pub(super) const TRIGGERS: &str = concat!(
    family!(),
    "
SELECT f.root, t.tgname::text, CASE WHEN t.tgrelid <> f.root THEN t.tgrelid::regclass::text END
FROM family f JOIN pg_trigger t ON t.tgrelid = f.oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
  AND coalesce((to_jsonb(t) ->> 'tgparentid')::oid, 0) = 0
  AND t.tgfoid <> coalesce(to_regprocedure('_cutover.refuse_writes()')::oid, 0)
ORDER BY f.root, 2, 3"
);

/// Rules, and constraints that an import or an apply behaves differently under.
pub(super) const ODDITIES: &str = "
SELECT r.ev_class, 'rule', r.rulename::text FROM pg_rewrite r WHERE r.ev_class = ANY ($1::oid[])
UNION ALL
SELECT k.conrelid, CASE WHEN k.contype = 'x' THEN 'exclusion' ELSE 'deferrable' END, k.conname::text FROM pg_constraint k
WHERE k.conrelid = ANY ($1::oid[]) AND (k.contype = 'x' OR k.contype IN ('p', 'u') AND k.condeferrable)
ORDER BY 1, 2, 3";

/// Sequences outside the server's schemas, with their owner and the tables whose defaults ask them.
pub(super) const SEQUENCES: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, s.seqstart, s.seqincrement,
  has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), o.root, o.column_name,
  ARRAY(SELECT coalesce(pg_partition_root(x.adrelid)::oid, x.adrelid)
    FROM pg_depend u JOIN pg_attrdef x ON u.classid = 'pg_attrdef'::regclass AND u.objid = x.oid
    WHERE u.refclassid = 'pg_class'::regclass AND u.refobjid = c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid
LEFT JOIN LATERAL (
  SELECT coalesce(pg_partition_root(d.refobjid)::oid, d.refobjid) AS root, a.attname::text AS column_name
  FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
    AND d.deptype IN ('a', 'i') LIMIT 1) o ON true
WHERE c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '_cutover')
ORDER BY 2, 3";
