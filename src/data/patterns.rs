//! Patterns of table names, as `data.include` and `data.exclude` hold them: SCHEMA.TABLE, `*` for any text.
//!
//! Law: the server's own schemas and ours are never chosen, whatever a pattern says.

use super::catalog::TableName;

/// The schema that holds what the program itself keeps in a database.
pub const OWN_SCHEMA: &str = "_cutover";

/// One pattern, with the text that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    text: String,
    schema: Vec<Piece>,
    name: Vec<Piece>,
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Exactly this sign.
    Sign(char),
    /// Any text, also none.
    Any,
}

/// Which tables move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
    only: Option<Vec<Pattern>>,
}

impl Patterns {
    /// Reads the patterns of `data.include` and `data.exclude`. A name without a point is in `public`; within double
    /// quotes every sign stands for itself, as in `"odd.schema"."a*b"`.
    ///
    /// # Errors
    /// When one is not SCHEMA.TABLE; says which and why.
    pub fn parse(include: &[impl AsRef<str>], exclude: &[impl AsRef<str>]) -> Result<Self, String> {
        Ok(Self { include: all(include)?, exclude: all(exclude)?, only: None })
    }

    /// The same, narrowed to the tables that these patterns name too (`--table`); not narrowed where there are none.
    ///
    /// # Errors
    /// When one is not SCHEMA.TABLE; says which and why.
    pub fn narrowed(&self, only: &[impl AsRef<str>]) -> Result<Self, String> {
        let only = if only.is_empty() { self.only.clone() } else { Some(all(only)?) };
        Ok(Self { only, ..self.clone() })
    }

    /// Whether a table is chosen.
    pub fn is_chosen(&self, name: &TableName) -> bool {
        let among = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.is_met_by(name));
        !is_system(&name.schema)
            && among(&self.include)
            && !among(&self.exclude)
            && self.only.as_deref().is_none_or(among)
    }

    /// Whether somebody said that a table stays behind, or named those that move one by one for this once.
    pub fn is_left_on_purpose(&self, name: &TableName) -> bool {
        self.only.is_some() || self.exclude.iter().any(|pattern| pattern.is_met_by(name))
    }

    /// The patterns, as they were written, that none of these names meets: most likely a slip of the pen.
    pub fn unmet<'a>(&'a self, names: &[&TableName]) -> Vec<&'a str> {
        let patterns = self.include.iter().chain(&self.exclude).chain(self.only.iter().flatten());
        patterns
            .filter(|pattern| !names.iter().any(|name| !is_system(&name.schema) && pattern.is_met_by(name)))
            .map(|pattern| pattern.text.as_str())
            .collect()
    }
}

/// Whether a schema belongs to the server or to this program.
pub fn is_system(schema: &str) -> bool {
    schema.starts_with("pg_") || schema == "information_schema" || schema == OWN_SCHEMA
}

/// Reads one table's name, as a person writes it: SCHEMA.TABLE, or TABLE in `public`; double quotes as in SQL.
///
/// # Errors
/// When it is no name, or holds a `*` outside of quotes.
pub fn table_name(text: &str) -> Result<TableName, String> {
    let pattern = parse(text)?;
    let plain = |pieces: Vec<Piece>| -> Result<String, String> {
        let sign = |piece: Piece| match piece {
            Piece::Sign(sign) => Ok(sign),
            Piece::Any => {
                Err(format!("`{text}` must name one table; a `*` of its own is written within double quotes"))
            }
        };
        pieces.into_iter().map(sign).collect()
    };
    Ok(TableName { schema: plain(pattern.schema)?, name: plain(pattern.name)? })
}

impl Pattern {
    fn is_met_by(&self, name: &TableName) -> bool {
        is_met(&self.schema, &name.schema) && is_met(&self.name, &name.name)
    }
}

fn all(texts: &[impl AsRef<str>]) -> Result<Vec<Pattern>, String> {
    texts.iter().map(|text| parse(text.as_ref())).collect()
}

fn parse(text: &str) -> Result<Pattern, String> {
    let wrong =
        |why: &str| Err(format!("the pattern `{text}` {why}; write SCHEMA.TABLE, such as public.* or auth.users"));
    let (mut parts, mut part) = (Vec::new(), Vec::new());
    let (mut is_quoted, mut signs) = (false, text.trim().chars().peekable());
    while let Some(sign) = signs.next() {
        match sign {
            '"' if is_quoted && signs.peek() == Some(&'"') => {
                signs.next();
                part.push(Piece::Sign('"'));
            }
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => parts.push(std::mem::take(&mut part)),
            '*' if !is_quoted => part.push(Piece::Any),
            sign if !is_quoted && sign.is_whitespace() => return wrong("holds a blank outside of double quotes"),
            sign => part.push(Piece::Sign(sign)),
        }
    }
    parts.push(part);
    if is_quoted {
        return wrong("has a double quote without its partner");
    }
    if parts.iter().any(Vec::is_empty) {
        return wrong("has an empty part");
    }
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => {
            let schema = "public".chars().map(Piece::Sign).collect();
            Ok(Pattern { text: text.to_owned(), schema, name })
        }
        (Some(schema), Some(name), None) => Ok(Pattern { text: text.to_owned(), schema, name }),
        _ => wrong("has more than one point"),
    }
}

/// Goes back to the last `*` only, so that no pattern takes longer than the product of both lengths.
fn is_met(pieces: &[Piece], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut piece, mut at) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match pieces.get(piece) {
            Some(Piece::Any) => {
                back = Some((piece, at));
                piece += 1;
            }
            Some(Piece::Sign(sign)) if *sign == text[at] => {
                piece += 1;
                at += 1;
            }
            _ => {
                let Some((any, from)) = back else { return false };
                back = Some((any, from + 1));
                piece = any + 1;
                at = from + 1;
            }
        }
    }
    pieces[piece..].iter().all(|piece| *piece == Piece::Any)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_chosen(include: &[&str], exclude: &[&str], schema: &str, name: &str) -> bool {
        Patterns::parse(include, exclude).unwrap().is_chosen(&TableName::new(schema, name))
    }

    #[test]
    fn a_table_is_chosen_by_include_and_left_out_by_exclude() {
        assert!(is_chosen(&["public.*"], &[], "public", "profiles"));
        assert!(!is_chosen(&["public.*"], &[], "auth", "users"));
        assert!(!is_chosen(&["public.*"], &["audit_*"], "public", "audit_2024"));
        assert!(is_chosen(&["*.*"], &["*.audit"], "other", "audits"));
        assert!(!is_chosen(&[], &[], "public", "profiles"));
    }

    #[test]
    fn a_name_without_a_point_is_in_public() {
        assert!(is_chosen(&["users"], &[], "public", "users"));
        assert!(!is_chosen(&["users"], &[], "auth", "users"));
    }

    #[test]
    fn the_servers_schemas_and_ours_are_never_chosen() {
        for schema in ["pg_catalog", "pg_toast", "pg_temp_3", "information_schema", "_cutover"] {
            assert!(!is_chosen(&["*.*", &format!("{schema}.x")], &[], schema, "x"), "{schema}");
        }
    }

    #[test]
    fn quotes_take_a_sign_as_it_is() {
        assert!(is_chosen(&[r#""a.b"."c*""""#], &[], "a.b", "c*\""));
        assert!(!is_chosen(&[r#""a.b"."c*""#], &[], "a.b", "cd"));
        assert!(is_chosen(&[r#"public."User Data""#], &[], "public", "User Data"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_reason() {
        for (text, why) in [
            ("a.b.c", "more than one point"),
            (".b", "an empty part"),
            ("", "an empty part"),
            ("a b", "a blank outside of double quotes"),
            ("\"a", "a double quote without its partner"),
        ] {
            let error = Patterns::parse(&[text], &[""; 0]).unwrap_err();
            assert!(error.contains(why) && error.contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn narrowing_chooses_less_and_never_more() {
        let patterns = Patterns::parse(&["public.*"], &["audit"]).unwrap();
        let narrowed = patterns.narrowed(&["profiles", "audit"]).unwrap();
        let is_chosen = |name: &str| narrowed.is_chosen(&TableName::new("public", name));
        assert!(is_chosen("profiles") && !is_chosen("audit") && !is_chosen("other"));
        assert_eq!(patterns.narrowed(&[""; 0]).unwrap(), patterns);
    }

    #[test]
    fn a_pattern_that_no_table_meets_is_told() {
        let patterns = Patterns::parse(&["public.*", "shop.orders"], &["public.logs"]).unwrap();
        let names = [TableName::new("public", "profiles")];
        assert_eq!(patterns.unmet(&names.iter().collect::<Vec<_>>()), ["shop.orders", "public.logs"]);
    }

    #[test]
    fn one_name_is_read_as_a_person_writes_it() {
        assert_eq!(table_name("auth.users").unwrap(), TableName::new("auth", "users"));
        assert_eq!(table_name("profiles").unwrap(), TableName::new("public", "profiles"));
        assert!(table_name("public.*").is_err());
    }

    proptest! {
        #[test]
        fn a_star_stands_for_any_text(front in "[a-z*]{0,4}", middle in "[a-z_. ]{0,6}", back in "[a-z]{0,4}") {
            let quoted = format!("\"{front}\"*\"{back}\"x");
            prop_assume!(!front.is_empty() && !back.is_empty());
            let name = [&front, &middle, &back, "x"].concat();
            prop_assert!(is_chosen(&[&quoted], &[], "public", &name), "{} meets {}", quoted, name);
            prop_assert!(!is_chosen(&[&quoted], &[], "public", &(name + "y")), "{} has no end", quoted);
        }
    }
}
