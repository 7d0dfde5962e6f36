//! Who answers under a name, and who at the new system's own address: the same text means the same system.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Origin, Wish};
use crate::adapter::http_at::{At, get_at};
use crate::judge::dns::seen::{Identity, Values};

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Addresses of a provider that are asked; all of them lead to the same place.
const MOST: usize = 4;

/// Asks, where the new system's address is known.
pub(super) async fn look(wish: &Wish, name: &str, addresses: &Values) -> Option<Identity> {
    let own = wish.origin.addresses.first()?;
    let wanted = who(&wish.origin, name, *own).await;
    let mut found = Vec::new();
    for address in addresses.iter().filter_map(|value| value.parse::<IpAddr>().ok()).take(MOST) {
        found.push((address, who(&wish.origin, name, address).await));
    }
    Some(Identity { wanted, found })
}

/// What stands at the identity's path.
///
/// # Errors
/// In words, when there is no good answer.
pub(super) async fn who(origin: &Origin, name: &str, address: IpAddr) -> Result<String, String> {
    let host = name.trim_start_matches("*.");
    let url = match origin.https_port {
        443 => format!("https://{host}{}", origin.identity_path),
        port => format!("https://{host}:{port}{}", origin.identity_path),
    };
    let at = At {
        url: &url,
        host,
        address: SocketAddr::new(address, origin.https_port),
        ca_certificate: origin.ca_certificate.as_deref(),
        deadline: PATIENCE,
    };
    let answer = get_at(&at).await.map_err(|error| format!("{error:#}"))?;
    let text = answer.body.trim();
    match answer.status {
        200 if !text.is_empty() && text.len() <= 200 => Ok(text.to_owned()),
        200 => Err("the answer is no identity".into()),
        status => Err(format!("status {status}")),
    }
}
