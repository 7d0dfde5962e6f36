//! The certificate that an address serves under a name, and whether an ACME challenge would reach Caddy there.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::Wish;
use crate::adapter::clock;
use crate::adapter::http_at::{At, get_at};
use crate::adapter::tls;
use crate::judge::certificate::{Certificate, Challenge, Lack, Picture, Served, judge, judge_challenge};

/// For one handshake or answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the new system serves for each name, and who answers the ACME challenge there; `is_led_here` tells of a name
/// whether it leads to the new system already.
///
/// # Errors
/// When the file of certificates cannot be read.
pub async fn of_origin(wish: &Wish, is_led_here: impl Fn(&str) -> bool) -> Result<Vec<Picture>> {
    let mut pictures = Vec::new();
    for name in wish.served_names() {
        for address in &wish.origin.addresses {
            let (https, http) = (wish.origin.https_port, wish.origin.http_port);
            let ca = wish.origin.ca_certificate.as_deref();
            let served = look(&name, SocketAddr::new(*address, https), ca).await?;
            pictures.push(judge(&Served { is_led_here: is_led_here(&name), ..served }, clock::unix_seconds()));
            pictures.push(judge_challenge(&challenge(&name, SocketAddr::new(*address, http)).await));
        }
    }
    Ok(pictures)
}

/// Shakes hands, believes nobody, and tells what was served.
///
/// # Errors
/// When the file of certificates cannot be read; what is served is never an error.
pub async fn look(name: &str, at: SocketAddr, ca_certificate: Option<&Path>) -> Result<Served> {
    // A wildcard is asked for by a name that it covers.
    let asked = name.strip_prefix("*.").map_or_else(|| name.to_owned(), |zone| format!("cutover.{zone}"));
    let served = tls::served(&asked, at, ca_certificate, PATIENCE).await?;
    let certificate = served.map(|chain| Certificate {
        names: chain.leaf.names,
        issuer: chain.leaf.issuer,
        not_before: chain.leaf.not_before,
        not_after: chain.leaf.not_after,
        chain: chain.length,
        distrust: chain.distrust,
    });
    let certificate = certificate.map_err(|nothing| match nothing {
        tls::Nothing::Refused(alert) => Lack::NoneForName(alert),
        tls::Nothing::Silent(why) => Lack::Silent(why),
    });
    Ok(Served { name: asked, at, is_led_here: true, certificate })
}

/// Asks where an ACME server would look.
pub async fn challenge(name: &str, at: SocketAddr) -> Challenge {
    let host = name.strip_prefix("*.").unwrap_or(name);
    let port = if at.port() == 80 { String::new() } else { format!(":{}", at.port()) };
    let url = format!("http://{host}{port}/.well-known/acme-challenge/cutover-reachability");
    let answer = get_at(&At { url: &url, host, address: at, ca_certificate: None, deadline: PATIENCE }).await;
    Challenge {
        name: name.to_owned(),
        at,
        answer: answer.map(|answer| (answer.status, answer.server)).map_err(|error| format!("{error:#}")),
    }
}
