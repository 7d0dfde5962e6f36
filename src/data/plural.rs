//! One and many: `1 row`, `6 rows`. Law: a count that people read is never written beside a fixed plural.

/// A number of things, by the word for one of them.
pub fn counted(number: impl TryInto<i128> + Copy + std::fmt::Display, one: &str) -> String {
    if matches!(number.try_into(), Ok(1)) {
        return format!("{number} {one}");
    }
    let has_vowel = one.strip_suffix('y').is_some_and(|stem| stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    match one.strip_suffix('y') {
        Some(stem) if !has_vowel => format!("{number} {stem}ies"),
        _ if ["s", "x", "ch", "sh"].iter().any(|end| one.ends_with(end)) => format!("{number} {one}es"),
        _ => format!("{number} {one}s"),
    }
}

/// The verb that goes with a number of things: `is` or `are`, `was` or `were`.
pub fn verb<'a>(number: impl TryInto<i128> + Copy, one: &'a str, many: &'a str) -> &'a str {
    if matches!(number.try_into(), Ok(1)) { one } else { many }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_all_else_is_many() {
        assert_eq!([0, 1, 2].map(|number| counted(number, "row")), ["0 rows", "1 row", "2 rows"]);
        assert_eq!([1_usize, 2].map(|number| counted(number, "foreign key")), ["1 foreign key", "2 foreign keys"]);
        assert_eq!([1_u64, 2].map(|number| counted(number, "entry")), ["1 entry", "2 entries"]);
        assert_eq!([1_i64, 2].map(|number| counted(number, "address")), ["1 address", "2 addresses"]);
        assert_eq!([1, 0].map(|number| verb(number, "is", "are")), ["is", "are"]);
    }
}
