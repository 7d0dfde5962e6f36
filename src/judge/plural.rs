//! One and many: `1 failure`, `6 failures`. What is read at night must not stumble over its grammar.

/// A number of things, by the word for one of them.
pub fn counted(number: impl TryInto<i128> + Copy + std::fmt::Display, one: &str) -> String {
    match number.try_into() {
        Ok(1) => format!("{number} {one}"),
        _ if one.ends_with('y') && !one.ends_with("ay") => format!("{number} {}ies", &one[..one.len() - 1]),
        _ => format!("{number} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_all_else_is_many() {
        assert_eq!([0, 1, 2].map(|number| counted(number, "failure")), ["0 failures", "1 failure", "2 failures"]);
        assert_eq!([1, 2].map(|number| counted(number, "day")), ["1 day", "2 days"]);
        assert_eq!([1, 2].map(|number| counted(number, "query")), ["1 query", "2 queries"]);
    }
}
