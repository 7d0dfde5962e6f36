//! The CAA records that count for a name: its own, or those of the nearest name above that has some (RFC 8659).

use super::{Wish, ask, is_within};
use crate::adapter::dns::Question;
use crate::judge::dns::seen::{Authorization, Heard, Values, Zone};

/// Climbs up from the name.
pub(super) async fn look(wish: &Wish, zone: &Zone, name: &str) -> Authorization {
    let mut at = name.trim_start_matches("*.").to_owned();
    let found = |at: String, values| Authorization { name: name.to_owned(), at, values };
    loop {
        match one(wish, zone, &at).await {
            Ok(values) if !values.is_empty() => return found(at, Ok(values)),
            Ok(_) => {}
            Err(why) => return found(at, Err(why)),
        }
        match at.split_once('.') {
            Some((_, above)) => at = above.to_owned(),
            None => return found(at, Ok(Values::new())),
        }
    }
}

/// In the zone its authorities are asked, above it a resolver.
async fn one(wish: &Wish, zone: &Zone, name: &str) -> Result<Values, String> {
    let is_ours = is_within(name, &zone.name);
    let servers: Vec<_> = match is_ours {
        true => zone.servers.iter().map(|server| Question::direct(server.address, name, "CAA")).collect(),
        false => wish.resolvers.iter().map(|resolver| Question::recursive(*resolver, name, "CAA")).collect(),
    };
    let mut why = "there is nobody to ask".to_owned();
    for question in servers {
        match ask(wish.dns(), question).await {
            Heard::Said(said) if said.code == "NXDOMAIN" => return Ok(Values::new()),
            Heard::Said(said) if said.code == "NOERROR" && (said.is_authoritative || !is_ours) => {
                return Ok(said.values);
            }
            Heard::Said(said) => why = format!("a server answers {} for {name}", said.code),
            Heard::Silent(silence) => why = silence,
        }
    }
    Err(why)
}
