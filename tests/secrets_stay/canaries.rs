//! Secrets of a test, made so that nothing else looks like them, and every form in which one could show. Pure.

/// A secret that must not be found anywhere.
#[derive(Clone, Copy, Debug)]
pub struct Canary {
    /// Where it is kept.
    pub place: &'static str,
    /// Its value.
    pub value: &'static str,
}

/// A connection string's password.
pub const IN_DATABASE_URL: &str = "dburl-9fQ2xWc7LmTe";
/// What a compose secret file outside the secrets directory holds.
pub const IN_COMPOSE_SECRET: &str = "cfile-Zk41vPq8RsYn";
/// What a file of `[secrets] required` holds.
pub const IN_SECRETS_DIRECTORY: &str = "sdir-7HbXe3UoKd20";
/// What a variable with a telling name holds, written in the compose file itself.
pub const IN_SESSION_KEY: &str = "skey-Gt5mNz61AqLw";
/// A line of a secret of several lines.
pub const IN_PEM: &str = "MIIEvpem8dRj4XkTbW0y2Ch6";
/// A value that has to be escaped nearly everywhere.
pub const WITH_SIGNS: &str = "sign\"q'B$dollar7Vx+/=&pY";
/// Password of the database, by a file.
pub const IN_POSTGRES_FILE: &str = "pgfile-2YcLr9WsEo63";
/// A variable of the process itself.
pub const IN_PROCESS: &str = "proc-Xd83nKbUj5Tf";
/// What a container says in its log and in its health check.
pub const IN_LOG: &str = "loud-4QwVh0ZyMs7i";
/// What a failing migration says.
pub const IN_MIGRATION: &str = "migr-Lp6oCt2JgRx9";
/// What stands in a compose value that cannot be interpolated.
pub const IN_INTERPOLATION: &str = "intp-Ek58aFwNu1Bz";
/// What somebody put where the name of a variable belongs.
pub const IN_TOML: &str = "toml-Wy07sDqHv3Mk";
/// What somebody put where a number or a duration belongs.
pub const IN_WRONG_TYPE: &str = "type-Rc96bJxOi8Pl";

/// All of them.
pub const ALL: [Canary; 13] = [
    Canary { place: "a connection string in an env file", value: IN_DATABASE_URL },
    Canary { place: "a compose secret's file", value: IN_COMPOSE_SECRET },
    Canary { place: "a file of the secrets directory", value: IN_SECRETS_DIRECTORY },
    Canary { place: "a variable with a telling name", value: IN_SESSION_KEY },
    Canary { place: "a secret of several lines", value: IN_PEM },
    Canary { place: "a secret with signs in it", value: WITH_SIGNS },
    Canary { place: "the database's password file", value: IN_POSTGRES_FILE },
    Canary { place: "the environment of cutover itself", value: IN_PROCESS },
    Canary { place: "the log of a container", value: IN_LOG },
    Canary { place: "the words of a failing migration", value: IN_MIGRATION },
    Canary { place: "a value that cannot be interpolated", value: IN_INTERPOLATION },
    Canary { place: "a key of cutover.toml that wants a name", value: IN_TOML },
    Canary { place: "a key of cutover.toml that wants a number", value: IN_WRONG_TYPE },
];

/// Says what of a text is a canary, whole, escaped, encoded, or a piece of one.
pub fn found_in(text: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for canary in ALL {
        for (form, value) in forms(canary.value) {
            if let Some(at) = position(text, value.as_bytes()) {
                let from = at.saturating_sub(120);
                let around = String::from_utf8_lossy(&text[from..text.len().min(at + value.len() + 40)]);
                found.push(format!("{}, {form}: …{around}…", canary.place));
                break;
            }
        }
    }
    found
}

fn forms(value: &str) -> Vec<(&'static str, String)> {
    let mut forms = vec![("as it is", value.to_owned())];
    let json = serde_json::Value::from(value).to_string();
    forms.push(("as JSON", json.trim_matches('"').to_owned()));
    forms.push(("as JSON in JSON", escaped(&escaped(value))));
    forms.push(("percent-encoded", percent(value)));
    forms.push(("as compose writes it", value.replace('$', "$$")));
    // The rest after a dollar sign is what compose takes for the name of a variable.
    let name = |rest: &str| rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    forms.extend(value.split_once('$').map(|(_, rest)| ("after its dollar sign", name(rest))));
    for shift in 0..3 {
        forms.push(("in base64", base64_core(value.as_bytes(), shift)));
    }
    forms
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

fn percent(value: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    value.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The part of a base64 text that shows these bytes wherever they stand, with `shift` bytes before them.
fn base64_core(bytes: &[u8], shift: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let skip = (3 - shift) % 3;
    let whole = bytes[skip..].chunks_exact(3);
    whole
        .flat_map(|three| {
            let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
            [18, 12, 6, 0].map(|at| char::from(DIGITS[(bits >> at & 63) as usize]))
        })
        .collect()
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[test]
fn the_search_finds_every_form() {
    let encoded = format!("x {} y", percent(WITH_SIGNS));
    for text in [
        WITH_SIGNS,
        &escaped(WITH_SIGNS),
        &encoded,
        "eA==WkdKMWNtd3RPV1pSTW5oWFl6ZE1iVlJsIA",
        "ZGJ1cmwtOWZRMnhXYzdMbVRl",
    ] {
        let is_plain = text.starts_with("eA");
        assert_eq!(found_in(text.as_bytes()).is_empty(), is_plain, "{text}");
    }
    assert!(found_in(b"nothing of that kind").is_empty());
}
