//! The forms in which a secret travels: by its lines, escaped, encoded, or inside an address. Pure.

/// A piece of a base64 text that is shorter than this may stand anywhere by chance.
const SHORTEST_BASE64: usize = 12;

/// Every form of a value; some may be too short to be told from ordinary words.
pub(super) fn of(value: &str) -> Vec<String> {
    let mut forms = base64(value.as_bytes());
    // Logs break lines, so a value of several lines is known by each of them. The frame of a PEM file is no secret.
    for line in value.lines().map(str::trim).filter(|line| !line.starts_with("-----")) {
        forms.extend(of_line(line));
        if let Some(password) = password(line) {
            forms.extend(of_line(password));
            forms.extend(of_line(&decoded(password)));
        }
    }
    forms
}

fn of_line(line: &str) -> Vec<String> {
    let escaped = escaped(line);
    let mut forms = vec![line.to_owned(), escaped_again(&escaped), escaped, encoded(line), line.replace('$', "$$")];
    forms.extend(base64(line.as_bytes()));
    // Where a dollar sign was not escaped, compose takes what follows for the name of a variable, and names it.
    for piece in line.split('$').skip(1) {
        let name = piece.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        forms.push(piece.to_owned());
        forms.push(piece[..name.unwrap_or(piece.len())].to_owned());
    }
    forms
}

/// Whether a text is an address with a password in it.
pub(crate) fn holds_password(text: &str) -> bool {
    password(text).is_some()
}

/// The password inside an address, as it is written there.
fn password(address: &str) -> Option<&str> {
    let (user, _) = address.split_once("://")?.1.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password).filter(|password| !password.is_empty())
}

fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn escaped_again(escaped_once: &str) -> String {
    escaped(escaped_once)
}

fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(meant) => {
                bytes.push(meant);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What of a base64 text comes from these bytes alone, for each of the three places they can have in it: what stands
/// before and after them (a line end, a user name) changes the rest.
fn base64(bytes: &[u8]) -> Vec<String> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |three: &[u8]| {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        [18, 12, 6, 0].map(|at| char::from(DIGITS[(bits >> at & 63) as usize]))
    };
    let at =
        |skip: usize| -> String { bytes.get(skip..).unwrap_or_default().chunks_exact(3).flat_map(digits).collect() };
    (0..3).map(at).filter(|text| text.len() >= SHORTEST_BASE64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(value: &str, form: &str) -> bool {
        of(value).iter().any(|one| one == form)
    }

    #[test]
    fn an_address_is_known_whole_and_by_its_password_in_both_spellings() {
        let address = "postgres://shop:p%40ss-w0rd@db:5432/shop";
        assert!(has(address, address) && has(address, "p%40ss-w0rd") && has(address, "p@ss-w0rd"));
        assert!(!holds_password("https://shop.example/@a") && !holds_password("postgres://shop@db/shop"));
    }

    #[test]
    fn a_value_is_known_escaped_encoded_and_as_compose_writes_it() {
        let value = "a\"b$cdefgh+i";
        for form in
            ["a\\\"b$cdefgh+i", "a\\\\\\\"b$cdefgh+i", "a%22b%24cdefgh%2Bi", "a\"b$$cdefgh+i", "cdefgh+i", "cdefgh"]
        {
            assert!(has(value, form), "{form}");
        }
    }

    #[test]
    fn a_value_is_known_in_base64_wherever_it_stands() {
        // `printf 'hunter2-hunter2\n' | base64`, and behind `user:` and `u:`
        for text in ["aHVudGVyMi1odW50ZXIyCg==", "dXNlcjpodW50ZXIyLWh1bnRlcjI=", "dTpodW50ZXIyLWh1bnRlcjI="] {
            assert!(of("hunter2-hunter2").iter().any(|form| text.contains(form.as_str())), "{text}");
        }
    }

    #[test]
    fn a_value_of_several_lines_is_known_by_its_lines_and_not_by_its_frame() {
        let value = "-----BEGIN KEY-----\nabcdefgh\n-----END KEY-----\n";
        assert!(has(value, "abcdefgh") && !has(value, "-----BEGIN KEY-----"));
    }
}
