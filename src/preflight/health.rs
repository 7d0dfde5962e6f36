//! Health: each endpoint answers as expected now. A sick one is a warning, since the deployment may be its cure.
//!
//! A side of a blue-green deployment publishes no port of the host, so it is asked at its containers' own addresses.

use futures_util::future::join_all;

use super::Ask;
use super::containers::any_runs;
use super::finding::{Found, Parts, Perf};
use crate::adapter::answer::Wanted;
use crate::adapter::clock::Stopwatch;
use crate::adapter::switch;
use crate::config::{Health, Strategy, Url};
use crate::release::{model, side};

/// What is known of the project while its endpoints are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Project {
    Runs,
    IsAbsent,
    Unknown,
}

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let config = ask.config();
    if config.health.is_empty() {
        return Found::warn(
            "no [[health]] is named: nothing tells a good release from a bad one",
            "name at least one [[health]]",
        );
    }
    let answers = join_all(config.health.iter().map(|health| once(ask, health)));
    let (answers, ours) = tokio::join!(answers, ask.ours());
    let project = match ours {
        Ok(ours) if any_runs(&ours) => Project::Runs,
        Ok(_) => Project::IsAbsent,
        Err(_) => Project::Unknown,
    };
    let mut parts = Parts::default();
    for (health, (answer, seconds)) in config.health.iter().zip(answers) {
        parts.push(judge(&health.name, health.url.as_str(), &answer, project));
        parts.perf(Perf::plain(format!("health_{}", health.name), seconds, "s"));
    }
    parts.found("no endpoint was asked")
}

async fn once(ask: &Ask<'_>, health: &Health) -> (Result<(), String>, f64) {
    let watch = Stopwatch::start();
    let answered = match at_side(ask, health.url.as_str()).await {
        Ok(None) => once_at(ask, health, health.url.as_str()).await,
        Ok(Some(urls)) => {
            let answers = join_all(urls.iter().map(|url| once_at(ask, health, url))).await;
            let told = urls.iter().zip(answers).map(|(url, answer)| answer.map_err(|why| format!("{url}: {why}")));
            told.collect()
        }
        Err(why) => Err(why),
    };
    (answered, (watch.elapsed().as_secs_f64() * 1000.0).round() / 1000.0)
}

async fn once_at(ask: &Ask<'_>, health: &Health, url: &str) -> Result<(), String> {
    let answer = ask.http(url, health.timeout).await.map_err(|why| format!("no answer: {why}"))?;
    let wanted = Wanted {
        status: health.expect.status,
        json: &health.expect.json,
        body_contains: health.expect.body_contains.as_deref(),
    };
    wanted.compare(&answer)
}

/// Where the side that serves is asked, where a side serves and the URL means a port of one of its services.
async fn at_side(ask: &Ask<'_>, url: &str) -> Result<Option<Vec<String>>, String> {
    let config = ask.config();
    let directory = config.caddy.as_ref().and_then(|caddy| caddy.directory.clone());
    let Some(directory) = directory.filter(|_| config.deploy.strategy == Strategy::BlueGreen) else {
        return Ok(None);
    };
    let told = ask.files(directory.display().to_string(), move || switch::read(&directory, [])).await;
    let told = told.map_err(|found| found.seen)?.map_err(|error| format!("{error:#}"))?;
    // What the engine or the model does not tell is said by their own checks; then the port of the host is asked.
    let (Some(id), Ok(ours), Ok(model)) = (told.id, ask.ours().await, ask.model().await) else { return Ok(None) };
    let serving: Vec<_> = ours
        .iter()
        .filter(|one| one.side_release().is_some_and(|release| side::project(config.compose_project(), release) == id))
        .collect();
    let asked = Url::parse(url).ok().and_then(|url| url.port_or_known_default());
    let published = asked.and_then(|port| model::published_by(&model.value, &config.deploy.services, port));
    let Some((service, port)) = published else { return Ok(None) };
    let own: Vec<_> = serving.into_iter().filter(|one| one.plain_service() == service).collect();
    if own.is_empty() {
        return Ok(None);
    }
    let docker = ask.negotiated().await.map_err(|unread| unread.why)?;
    let mut urls = Vec::new();
    for one in own {
        let place = docker.whereabouts(&one.id).await.map_err(|error| format!("{error:#}"))?;
        let address = place.and_then(|place| place.addresses.into_iter().next());
        let address = address.ok_or_else(|| format!("{} has no address: it is {}", one.name, one.state.status))?;
        let mut url = Url::parse(url).map_err(|error| error.to_string())?;
        url.set_ip_host(address).and_then(|()| url.set_port(Some(port))).map_err(|()| format!("{url} has no host"))?;
        urls.push(url.to_string());
    }
    Ok(Some(urls))
}

fn judge(name: &str, url: &str, answer: &Result<(), String>, project: Project) -> Found {
    match (answer, project) {
        (Ok(()), Project::Runs | Project::Unknown) => Found::ok(format!("{name} answers as expected")),
        (Ok(()), Project::IsAbsent) => Found::warn(
            format!("{name}: {url} answers as expected although nothing of the project runs"),
            "see who answers there; a deployment may be judged by a stranger",
        ),
        (Err(_), Project::IsAbsent) => Found::ok(format!("{name}: not deployed yet")),
        (Err(why), Project::Runs) => {
            Found::warn(format!("{name}: {url}: {why}"), "look at the containers; a deployment may be the cure")
        }
        (Err(why), Project::Unknown) => Found::unknown(
            format!("{name}: {url}: {why}; whether the project runs is not known"),
            "see the check engine",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;

    #[test]
    fn an_answer_is_judged_by_whether_the_project_runs() {
        let judged = |answer: Result<(), &str>, project| {
            judge("web", "http://x/", &answer.map_err(str::to_owned), project).verdict
        };
        assert_eq!(judged(Ok(()), Project::Runs), Verdict::Ok);
        assert_eq!(judged(Ok(()), Project::IsAbsent), Verdict::Warn);
        assert_eq!(judged(Err("refused"), Project::IsAbsent), Verdict::Ok);
        assert_eq!(judged(Err("refused"), Project::Runs), Verdict::Warn);
        assert_eq!(judged(Err("refused"), Project::Unknown), Verdict::Unknown);
    }
}
