//! Which values may be moved and compared in the server's binary form: those whose bytes mean the same on both sides.

/// Types of the server's own whose binary form holds no number of an object, no locale and no encoding.
const PLAIN: &[&str] = &[
    "bigint",
    "bit varying",
    "bit",
    "boolean",
    "box",
    "bytea",
    "character varying",
    "character",
    "cidr",
    "circle",
    "date",
    "daterange",
    "double precision",
    "inet",
    "int4multirange",
    "int4range",
    "int8multirange",
    "int8range",
    "integer",
    "interval",
    "json",
    "jsonb",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "name",
    "numeric",
    "path",
    "pg_lsn",
    "point",
    "polygon",
    "real",
    "smallint",
    "text",
    "time with time zone",
    "time without time zone",
    "timestamp with time zone",
    "timestamp without time zone",
    "tsrange",
    "tstzrange",
    "uuid",
];

/// Whether values of a type may be moved and compared in binary form.
pub(super) fn is_plain(type_name: &str) -> bool {
    // `numeric(6,2)[]`, `timestamp(3) with time zone`: what is in brackets does not change the form.
    let name = type_name.trim_end_matches("[]");
    let name = match (name.find('('), name.find(')')) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &name[..from], &name[to + 1..]),
        _ => name.to_owned(),
    };
    PLAIN.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_of_the_servers_own_pass_in_binary_form() {
        for plain in ["bigint", "numeric(6,2)", "text[]", "timestamp(3) with time zone", "character varying(20)[]"] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in [
            "public.mood",
            "regclass",
            "money",
            "xml",
            "public.text",
            "oid",
            "tsvector",
            "\"char\"",
            "\"text\"",
            "aclitem[]",
            "interval day",
        ] {
            assert!(!is_plain(other), "{other}");
        }
    }
}
