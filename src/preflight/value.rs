//! What counts as no value: nothing but blanks, or a placeholder that nobody replaced. Pure; never repeats a value.

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoValue {
    /// Nothing, or blanks alone.
    Empty,
    /// A word that stands in templates.
    Placeholder,
}

impl NoValue {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Empty => "is empty",
            Self::Placeholder => "holds a placeholder",
        }
    }
}

/// Judges a value; the case and what quotes it do not matter.
pub(super) fn judge(value: &str, placeholders: &[String]) -> Result<(), NoValue> {
    let value = value.trim();
    let bare = value.trim_matches(['"', '\'', '`']).trim();
    if bare.is_empty() {
        return Err(NoValue::Empty);
    }
    let inner = bare.trim_matches(['<', '>', '{', '}', '[', ']', '$']).trim();
    let is_slot = bare.starts_with('<')
        && bare.ends_with('>')
        && inner.chars().all(|letter| letter.is_alphanumeric() || " _-".contains(letter));
    let is_known = placeholders.iter().any(|word| word.trim().to_lowercase() == inner.to_lowercase());
    if is_slot || is_known { Err(NoValue::Placeholder) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_known_in_any_case_and_any_quotes() {
        let words = ["changeme".to_owned(), "your-secret-here".to_owned()];
        for value in
            ["changeme", "ChangeMe\n", "\"changeme\"", " 'CHANGEME' ", "<your secret>", "${changeme}", "[changeme]"]
        {
            assert_eq!(judge(value, &words), Err(NoValue::Placeholder), "{value}");
        }
        for value in ["", "  \n", "\"\"", "' '"] {
            assert_eq!(judge(value, &words), Err(NoValue::Empty), "{value}");
        }
        for value in ["changeme2", "a changeme", "xK3<9>vd", "postgres://u:p@h/d"] {
            assert_eq!(judge(value, &words), Ok(()), "{value}");
        }
    }
}
