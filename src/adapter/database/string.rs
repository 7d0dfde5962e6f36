//! Connection strings as libpq reads them: URLs and `key=value` words, into pairs of parameter and value.
//!
//! Law: no value and nothing that could be one stands in an error; a slip of the pen must not print a password.

use zeroize::Zeroizing;

/// Parameters and their values, in the order in which they were written.
pub(super) type Pairs = Vec<(String, Zeroizing<String>)>;

const ENCODE: &str = "signs such as @ : / ? # % in a user name or password are percent-encoded in a URL (%40 for @)";

/// Reads a connection string.
pub(super) fn pairs(text: &str) -> Result<Pairs, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("it is empty".into());
    }
    match text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://")) {
        Some(rest) => url(rest),
        None if text.contains("://") && !text.contains('=') => Err("a URL begins with postgresql://".into()),
        None => words(text),
    }
}

fn url(rest: &str) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    let mut add = |name: &str, value: &str| -> Result<(), String> {
        pairs.push((name.to_owned(), decoded(value)?));
        Ok(())
    };
    // As libpq does: the first @ before any / ends user and password.
    let (user, rest) = match rest.find(['@', '/']) {
        Some(at) if rest[at..].starts_with('@') => (Some(&rest[..at]), &rest[at + 1..]),
        _ => (None, rest),
    };
    if let Some(user) = user {
        let (name, password) = user.split_once(':').map_or((user, None), |(name, password)| (name, Some(password)));
        if !name.is_empty() {
            add("user", name)?;
        }
        if let Some(password) = password.filter(|password| !password.is_empty()) {
            add("password", password)?;
        }
    }
    let (front, query) = rest.split_once('?').map_or((rest, None), |(front, query)| (front, Some(query)));
    if front.contains('@') {
        return Err(format!("there is an @ too many; {ENCODE}"));
    }
    let (hosts, database) = front.split_once('/').map_or((front, None), |(hosts, name)| (hosts, Some(name)));
    if !hosts.is_empty() {
        let (names, ports) = servers(hosts)?;
        add("host", &names)?;
        if let Some(ports) = ports {
            add("port", &ports)?;
        }
    }
    if let Some(database) = database.filter(|database| !database.is_empty()) {
        add("dbname", database)?;
    }
    for word in query.unwrap_or_default().split('&').filter(|word| !word.is_empty()) {
        let (name, value) =
            word.split_once('=').ok_or_else(|| format!("a parameter after the ? has no value; {ENCODE}"))?;
        let name = decoded(name)?;
        // A name that JDBC and libpq take for `sslmode=require`.
        if name.as_str() == "ssl" && value == "true" {
            add("sslmode", "require")?;
        } else {
            add(&name, value)?;
        }
    }
    Ok(pairs)
}

/// `a:1,[::1]:2,c` as names and ports, each apart by commas; no ports where none is written.
fn servers(hosts: &str) -> Result<(String, Option<String>), String> {
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for server in hosts.split(',') {
        let (name, port) = if let Some(rest) = server.strip_prefix('[') {
            let (name, rest) = rest.split_once(']').ok_or("an IPv6 address has no closing ]")?;
            match rest.strip_prefix(':') {
                Some(port) => (name, port),
                None if rest.is_empty() => (name, ""),
                None => return Err("there is something between an IPv6 address and its port".into()),
            }
        } else {
            server.split_once(':').unwrap_or((server, ""))
        };
        if !port.bytes().all(|sign| sign.is_ascii_digit()) {
            return Err(format!("what stands after a host's colon is no port; {ENCODE}, an IPv6 address is put in []"));
        }
        names.push(name);
        ports.push(port);
    }
    let has_port = ports.iter().any(|port| !port.is_empty());
    Ok((names.join(","), has_port.then(|| ports.join(","))))
}

fn decoded(text: &str) -> Result<Zeroizing<String>, String> {
    let wrong = || format!("a % is not followed by two hexadecimal digits; {ENCODE}");
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|sign| char::from(sign).to_digit(16)).ok_or_else(wrong);
        let value = digit()? * 16 + digit()?;
        match u8::try_from(value) {
            Ok(0) | Err(_) => return Err("there is a NUL in it (%00)".into()),
            Ok(value) => bytes.push(value),
        }
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "what is percent-encoded in it is not UTF-8".to_owned())?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn words(text: &str) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    let mut signs = text.chars().peekable();
    let skip = |signs: &mut std::iter::Peekable<std::str::Chars>| {
        while signs.next_if(|sign| sign.is_whitespace()).is_some() {}
    };
    loop {
        skip(&mut signs);
        if signs.peek().is_none() {
            return Ok(pairs);
        }
        let mut name = String::new();
        while let Some(sign) = signs.next_if(|sign| *sign != '=' && !sign.is_whitespace()) {
            name.push(sign);
        }
        skip(&mut signs);
        if signs.next() != Some('=') {
            return Err(
                "a word in it has no =; write postgresql://user@host/database, or host=… user=… dbname=…, with values \
                 that hold blanks in single quotes"
                    .into(),
            );
        }
        skip(&mut signs);
        let mut value = Zeroizing::new(String::new());
        let is_quoted = signs.next_if_eq(&'\'').is_some();
        loop {
            match signs.next() {
                None if is_quoted => return Err("a quoted value has no closing quote".into()),
                None => break,
                Some('\'') if is_quoted => break,
                Some(sign) if !is_quoted && sign.is_whitespace() => break,
                Some('\\') => value.extend(signs.next()),
                Some(sign) => value.push(sign),
            }
        }
        pairs.push((name, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(String, String)> {
        pairs(text).unwrap().into_iter().map(|(name, value)| (name, value.to_string())).collect()
    }

    #[track_caller]
    fn reads(text: &str, expected: &[(&str, &str)]) {
        let expected: Vec<(String, String)> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(read(text), expected, "{text}");
    }

    #[test]
    fn a_url_is_read_as_libpq_reads_it() {
        reads("postgresql://", &[]);
        reads("postgres://h", &[("host", "h")]);
        reads(
            "postgresql://u:p%40%2F@h:6/d?sslmode=require&application_name=a%20b",
            &[
                ("user", "u"),
                ("password", "p@/"),
                ("host", "h"),
                ("port", "6"),
                ("dbname", "d"),
                ("sslmode", "require"),
                ("application_name", "a b"),
            ],
        );
        reads("postgresql://u:a?b@h/d", &[("user", "u"), ("password", "a?b"), ("host", "h"), ("dbname", "d")]);
        reads("postgresql://[::1]:5433/d", &[("host", "::1"), ("port", "5433"), ("dbname", "d")]);
        reads("postgresql://a:1,b,[fe80::1]:3", &[("host", "a,b,fe80::1"), ("port", "1,,3")]);
        reads("postgresql://%2Fvar%2Frun/d", &[("host", "/var/run"), ("dbname", "d")]);
        reads("postgresql:///d?host=/tmp&ssl=true", &[("dbname", "d"), ("host", "/tmp"), ("sslmode", "require")]);
    }

    #[test]
    fn words_are_read_as_libpq_reads_them() {
        reads("host = h  port= 5 user =u", &[("host", "h"), ("port", "5"), ("user", "u")]);
        reads(r"user='a b' password=x\'\\y dbname=''", &[("user", "a b"), ("password", r"x'\y"), ("dbname", "")]);
    }

    #[test]
    fn a_slip_of_the_pen_never_prints_the_password() {
        for text in [
            "postgresql://u:s3cr@t@h/d",
            "postgresql://u:s3cr/t@h/d",
            "postgresql://u:s3crt%@h/d",
            "postgresql://u:s3crt%zz@h/d",
            "postgresql://u:s3crt%00@h/d",
            "host=h user=u password=s3 crt",
            "host=h password='s3crt",
            "postgresql://u:1/2@h?s3crt",
            "mysql://u:s3crt@h/d",
        ] {
            let error = pairs(text).unwrap_err();
            assert!(!error.contains("s3") && !error.contains("crt"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_as_it_should_be_reads_back(user in "\\PC{1,12}", password in "[^\u{0}]{1,20}") {
            let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            let url = format!("postgresql://{}:{}@h/d", encode(&user), encode(&password));
            let found = read(&url);
            prop_assert_eq!(&found[0].1, &user);
            prop_assert_eq!(&found[1].1, &password);
            let quote = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
            let words = format!("user='{}' password='{}'", quote(&user), quote(&password));
            prop_assert_eq!(read(&words), [("user".to_owned(), user), ("password".to_owned(), password)]);
        }

        #[test]
        fn whatever_is_typed_is_read_or_refused_without_a_word_of_it(text in "\\PC{0,30}") {
            for text in [format!("postgresql://{text}"), text.clone()] {
                if let Ok(pairs) = pairs(&text) {
                    let _ = super::super::settings::Settings::of(&pairs, None);
                }
            }
        }
    }
}
