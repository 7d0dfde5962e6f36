//! Words as a shell takes them. Law: a command that people are told can be pasted as it stands, whatever its paths are called.

/// A word, in quotes where the shell would read it as something else.
pub fn word(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let is_plain = |sign: char| sign.is_alphanumeric() || "-_./:=@%+,".contains(sign);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A path, in quotes where the shell would read it as something else.
pub fn path(path: &std::path::Path) -> String {
    word(path.to_string_lossy())
}

/// Words as one line.
pub fn line(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_otherwise_is_put_in_quotes_and_all_else_is_left() {
        assert_eq!(line(["cutover", "--config", "/srv/käse/a_b-1.toml"]), "cutover --config /srv/käse/a_b-1.toml");
        assert_eq!(line(["touch", "/srv/a shop/hold", ""]), "touch '/srv/a shop/hold' ''");
        assert_eq!(line(["it's", "$HOME", "a;b", "~"]), r"'it'\''s' '$HOME' 'a;b' '~'");
    }
}
