//! Caddy: the public route and the identity are answered through it, it is new enough, and it can meet the ACME challenge.

use std::path::Path;

use serde_json::Value;

use super::containers::any_runs;
use super::finding::{Found, Parts};
use super::{Ask, places, ports, version};
use crate::adapter::docker::Container;
use crate::adapter::http::Answer;
use crate::adapter::inside::Inside;
use crate::adapter::switch;
use crate::config::{Caddy, Strategy, Url};

/// Before this version the request metrics miss errors.
const LEAST: &str = "2.8";

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let Some(caddy) = &ask.config().caddy else {
        return Found::skipped("no [caddy] in the configuration: nothing to ask");
    };
    let changed = ask.asked.changed_switch.as_ref().map(|changed| judge_changed(changed));
    let (directory, challenge, alive) =
        tokio::join!(ask_directory(ask, caddy), ask_challenge(ask, caddy), ask_running(ask, caddy));
    let mut parts = Parts::default();
    changed.into_iter().chain(directory).chain(challenge).chain(alive).for_each(|part| parts.push(part));
    parts.found("")
}

/// A file of the switch that says something else than our last run left there.
fn judge_changed(changed: &str) -> Found {
    let advice = "put back what it said, or let the next deploy or `cutover rollback --to r…` lead the routes anew";
    Found::warn(format!("somebody changed the switch: {changed}"), advice)
}

/// What only a Caddy that runs can tell.
async fn ask_running(ask: &Ask<'_>, caddy: &Caddy) -> Vec<Found> {
    match ask.ours().await {
        Ok(ours) if any_runs(&ours) || caddy.service.is_none() => {
            let (mut route, version) = tokio::join!(ask_route(ask, caddy), ask_version(ask, caddy, &ours));
            route.push(version);
            route
        }
        Ok(_) => vec![Found::ok("not deployed yet")],
        Err(unread) => vec![unread.found("whether Caddy runs")],
    }
}

/// The switch of a blue-green deployment is a rename in this directory.
async fn ask_directory(ask: &Ask<'_>, caddy: &Caddy) -> Option<Found> {
    let is_needed = ask.config().deploy.strategy == Strategy::BlueGreen;
    let advice = "make it, or set caddy.directory";
    let Some(directory) = caddy.directory.clone() else {
        let words = "blue-green needs caddy.directory, where the switch is a rename";
        return is_needed.then(|| Found::fail(words, "set caddy.directory"));
    };
    let shown = directory.display().to_string();
    let looked = ask.files(shown.clone(), move || places::can_write(&directory)).await;
    Some(match looked {
        Ok(Ok(())) => Found::ok(format!("{shown} can be written")),
        Ok(Err(why)) if is_needed => Found::fail(why, advice),
        Ok(Err(why)) => Found::warn(why, advice),
        Err(found) => found,
    })
}

/// A public name with https gets its certificate over port 80 or 443 of this host.
async fn ask_challenge(ask: &Ask<'_>, caddy: &Caddy) -> Option<Found> {
    let service = caddy.service.as_ref().filter(|_| is_public(&caddy.url))?;
    Some(match ask.model().await {
        Ok(model) => judge_challenge(service, &caddy.url, &model.value),
        Err(unread) => unread.found("which ports Caddy publishes"),
    })
}

fn judge_challenge(service: &str, url: &Url, model: &Value) -> Found {
    let wanted = ports::published(model);
    let published =
        |port: &u16| wanted.iter().any(|one| one.service == service && (one.first..=one.last).contains(port));
    let missing: Vec<String> =
        [80, 443].iter().filter(|port| !published(port)).map(|port: &u16| port.to_string()).collect();
    if missing.is_empty() {
        return Found::ok("80 and 443 are published for the ACME challenge");
    }
    Found::warn(
        format!("{service} does not publish {}, which the ACME challenge for {url} may need", missing.join(" and ")),
        "publish 80 and 443, or see that something in front of Caddy leads them to it",
    )
}

/// An https address with a name that the world could know.
fn is_public(url: &Url) -> bool {
    let name = url.domain().unwrap_or_default();
    url.scheme() == "https"
        && name.contains('.')
        && ![".localhost", ".local", ".internal", ".test"].iter().any(|end| name.ends_with(end))
}

async fn ask_route(ask: &Ask<'_>, caddy: &Caddy) -> Vec<Found> {
    let identity = caddy.url.join(&caddy.identity_path).map_or_else(|_| caddy.url.to_string(), |url| url.to_string());
    let deadline = ask.config().preflight.deadline;
    let (route, id) = tokio::join!(ask.http(caddy.url.as_str(), deadline), ask.http(&identity, deadline));
    let is_needed = ask.config().deploy.strategy == Strategy::BlueGreen;
    let written = match caddy.directory.clone() {
        None => Ok(None),
        Some(place) => {
            let work = move || switch::read(&place, []).map(|pointing| pointing.id).map_err(|why| format!("{why:#}"));
            ask.files("the identity's file", work).await.unwrap_or_else(|found| Err(found.seen))
        }
    };
    let told = Told { url: &identity, answer: id, written, directory: caddy.directory.as_deref(), is_needed };
    vec![judge_route(caddy.url.as_str(), route), told.judge()]
}

fn judge_route(url: &str, answer: Result<Answer, String>) -> Found {
    match answer {
        Ok(answer) if answer.status < 500 => Found::ok(format!("{url} answers {}", answer.status)),
        Ok(answer) => Found::warn(
            format!("{url} answers {}", answer.status),
            "look at Caddy and at what stands behind it; a deployment may be the cure",
        ),
        Err(why) => Found::fail(format!("{url} does not answer: {why}"), "start Caddy, or correct caddy.url"),
    }
}

/// What the public route tells of the identity, and what the switch has written: equal, Caddy reads what is written.
struct Told<'a> {
    url: &'a str,
    answer: Result<Answer, String>,
    written: Result<Option<String>, String>,
    directory: Option<&'a Path>,
    is_needed: bool,
}

impl Told<'_> {
    fn judge(self) -> Found {
        let url = self.url;
        let shorten = |text: &str| text.trim().chars().take(64).collect::<String>();
        let told = match &self.answer {
            Ok(answer) if answer.status == 200 => shorten(&answer.body),
            Ok(answer) => return self.trouble(format!("{url} answers {} without an identity", answer.status)),
            Err(why) => return self.trouble(format!("{url} does not answer: {why}")),
        };
        match &self.written {
            Err(why) => Found::unknown(format!("the identity's file is not known: {why}"), "let it be read"),
            Ok(Some(id)) if *id == told => {
                Found::ok(format!("the identity is {told:?}, as written: Caddy reads the switch"))
            }
            Ok(Some(id)) => {
                self.trouble(format!("{url} tells {told:?}, but the file says {id:?}: Caddy reads another one"))
            }
            // Before the first switch nothing is written, and the snippet answers nothing with 200.
            Ok(None) if told.is_empty() && self.is_needed => Found::ok(
                "the identity is answered, and empty: the first deploy writes it, and proves that Caddy reads it",
            ),
            Ok(None) if told.is_empty() => self.trouble(format!("{url} answers 200 without an identity")),
            Ok(None) if self.directory.is_some() && self.is_needed => {
                self.trouble(format!("{url} tells {told:?}, but nothing is written: Caddy reads another directory"))
            }
            Ok(None) => Found::ok(format!("the identity is {told:?}")),
        }
    }

    /// With the two lines that put it right.
    fn trouble(&self, words: String) -> Found {
        let place = self.directory.map_or_else(|| "DIRECTORY".to_owned(), |place| place.display().to_string());
        let advice = format!(
            "mount the directory into Caddy: volumes: [\"{place}:/run/cutover:ro\"]; use the snippet in the Caddyfile: \
             `import cutover.caddy` at its top, `import cutover PORT` in the site"
        );
        if self.is_needed { Found::fail(words, advice) } else { Found::warn(words, advice) }
    }
}

async fn ask_version(ask: &Ask<'_>, caddy: &Caddy, ours: &[Container]) -> Found {
    let advice = format!("compare `caddy version` with {LEAST} yourself, or set caddy.service");
    let Some(service) = &caddy.service else {
        return Found::warn("Caddy's version is not known, as it is no service of the model", advice);
    };
    let container = ours.iter().find(|one| one.service == *service && one.state.status == "running");
    let (Some(container), Some(docker)) = (container, ask.asked.docker_cli.clone()) else {
        return Found::unknown(format!("Caddy's version is not known, as {service} does not run"), advice);
    };
    let inside = Inside::new(docker, ask.asked.process.clone());
    let answer = inside.ask(&container.id, &["caddy", "version"], ask.config().preflight.deadline);
    match ask.wait(format!("caddy version in {}", container.name), answer).await {
        Ok(words) => judge_version(&words),
        Err(error) => Found::unknown(format!("Caddy's version is not known: {error:#}"), advice),
    }
}

fn judge_version(words: &str) -> Found {
    let found = words.split_whitespace().next().unwrap_or_default();
    match version::is_at_least(found, LEAST) {
        Some(true) => Found::ok(format!("Caddy is {found}")),
        Some(false) => Found::fail(
            format!("Caddy is {found}; before {LEAST} its request metrics miss errors"),
            format!("use Caddy {LEAST} or later"),
        ),
        None => Found::unknown(
            format!("Caddy says {found:?}, which is no version"),
            format!("compare it with {LEAST} yourself"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;
    use serde_json::json;

    fn answer(status: u16, body: &str) -> Result<Answer, String> {
        Ok(Answer { status, body: body.to_owned() })
    }

    #[test]
    fn an_old_caddy_fails_since_its_metrics_miss_errors() {
        assert_eq!(judge_version("v2.11.7 h1:abc=").verdict, Verdict::Ok);
        assert_eq!(judge_version("v2.6.2").verdict, Verdict::Fail);
        assert_eq!(judge_version("unknown").verdict, Verdict::Unknown);
    }

    #[test]
    fn a_route_that_answers_with_an_error_warns_and_one_that_is_silent_fails() {
        assert_eq!(judge_route("u", answer(404, "")).verdict, Verdict::Ok);
        assert_eq!(judge_route("u", answer(502, "")).verdict, Verdict::Warn);
        assert_eq!(judge_route("u", Err("refused".into())).verdict, Verdict::Fail);
    }

    #[test]
    fn only_the_identity_that_was_written_proves_that_caddy_reads_the_switch() {
        let told = |answer, written: Option<&str>, is_needed| {
            let written = Ok(written.map(str::to_owned));
            Told { url: "u", answer, written, directory: Some(Path::new("/d")), is_needed }.judge()
        };
        assert_eq!(told(answer(200, "shop-r1\n"), Some("shop-r1"), true).verdict, Verdict::Ok);
        assert_eq!(told(answer(200, ""), None, true).verdict, Verdict::Ok);
        let another = told(answer(200, "shop-r9"), Some("shop-r1"), true);
        assert_eq!(another.verdict, Verdict::Fail);
        let advice = another.advice.unwrap();
        assert!(advice.contains("/d:/run/cutover:ro") && advice.contains("`import cutover PORT`"), "{advice}");
        assert_eq!(told(answer(200, "shop-r9"), None, true).verdict, Verdict::Fail);
        assert_eq!(told(answer(200, "shop-r9"), None, false).verdict, Verdict::Ok);
        assert_eq!(told(answer(404, ""), None, false).verdict, Verdict::Warn);
        assert_eq!(told(Err("refused".into()), Some("shop-r1"), true).verdict, Verdict::Fail);
    }

    #[test]
    fn only_public_names_need_the_challenge() {
        for url in ["http://127.0.0.1:18080/", "https://localhost/", "https://shop.test/", "https://10.0.0.1/"] {
            assert!(!is_public(&Url::parse(url).unwrap()), "{url}");
        }
        let url = Url::parse("https://api.example.com/").unwrap();
        assert!(is_public(&url));
        let port = |number: &str| json!({"target": 80, "published": number, "protocol": "tcp"});
        let one = json!({"services": {"caddy": {"ports": [port("80")]}}});
        assert!(judge_challenge("caddy", &url, &one).seen.contains("does not publish 443"));
        let both = json!({"services": {"caddy": {"ports": [port("80"), port("443")]}}});
        assert_eq!(judge_challenge("caddy", &url, &both).verdict, Verdict::Ok);
    }
}
