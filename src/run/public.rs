//! What the public gets: where the switch leads, whether maintenance is on, and what the route answers. Reads only.

use std::path::Path;
use std::time::Duration;

use super::front::Front;
use crate::adapter::http::{Http, Method, Request};
use crate::adapter::switch::{self, Pointing};
use crate::config::Config;
use crate::journal::led;
use crate::report::route::Route;

/// How long the route may take to answer.
const DEADLINE: Duration = Duration::from_secs(1);

/// The front whose files can be looked at, where a configuration has one: for maintenance too, however releases are changed.
pub fn front(config: &Config) -> Option<Front> {
    let directory = config.caddy.as_ref()?.directory.clone();
    Some(Front { directory, ..Front::of(config)? })
}

/// What the switch says now, where there is one.
///
/// # Errors
/// Why it cannot be read.
pub fn leads(front: &Front) -> Option<Result<Pointing, String>> {
    let directory = front.directory.as_ref().filter(|directory| directory.is_dir())?;
    // Where no route is configured (releases that are changed in place), `app` is the file that the snippet reads.
    let app = "app".to_owned();
    let routes: Vec<&String> = if front.routes.is_empty() { vec![&app] } else { front.routes.keys().collect() };
    Some(switch::read(directory, routes).map_err(|error| format!("{error:#}")))
}

/// What somebody else changed in the switch since a run of ours led it: the file, and what it says.
pub fn changed(front: &Front, state_directory: &Path) -> Option<String> {
    let left = led::last(&state_directory.join("runs"))?;
    (Some(&left.directory) == front.directory.as_ref()).then(|| left.changed().ok().flatten()).flatten()
}

/// Looks at the switch and asks the route, as a visitor would.
pub async fn look(front: &Front, state_directory: &Path, http: &Http) -> Option<Route> {
    let leads = leads(front)?;
    let directory = front.directory.as_ref()?;
    let ask = |method, url| {
        let request = Request { method, url, headers: &[], json: None, deadline: DEADLINE };
        async move { http.send(&request).await }
    };
    let (answer, told) = tokio::join!(ask(Method::Head, &front.url), ask(Method::Get, &front.identity));
    let told = told.ok().filter(|reply| reply.status == 200).map(|reply| reply.body.trim().chars().take(64).collect());
    Some(Route {
        url: front.url.clone(),
        identity: front.identity.clone(),
        place: directory.display().to_string(),
        id: leads.as_ref().ok().and_then(|leads| leads.id.clone()),
        leads: leads.map(|leads| leads.words()),
        changed: changed(front, state_directory),
        // What cannot be read is there: Caddy would find it, too.
        is_maintenance: !matches!(switch::maintenance(directory), Ok(None)),
        answer: answer.map(|reply| reply.status).map_err(|error| error.to_string()),
        told: told.filter(|told: &String| !told.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_route_is_configured_the_plain_file_app_tells_where_caddy_leads() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("app"), "web\n").unwrap();
        let front = Front {
            url: "http://x/".into(),
            identity: "http://x/id".into(),
            directory: Some(directory.path().to_owned()),
            routes: std::collections::BTreeMap::new(),
            proxy: None,
            drain_s: 0,
        };
        assert_eq!(leads(&front).unwrap().unwrap().words(), "app leads to web");
    }
}
