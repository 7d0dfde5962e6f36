//! Health: each endpoint answers as expected now. A sick one is a warning, since the deployment may be its cure.

use futures_util::future::join_all;

use super::Ask;
use super::containers::any_runs;
use super::finding::{Found, Parts, Perf};
use crate::adapter::answer::Wanted;
use crate::adapter::clock::Stopwatch;
use crate::config::Health;

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
    let answer = ask.http(health.url.as_str(), health.timeout).await;
    let wanted = Wanted {
        status: health.expect.status,
        json: &health.expect.json,
        body_contains: health.expect.body_contains.as_deref(),
    };
    let compared = match answer {
        Ok(answer) => wanted.compare(&answer),
        Err(why) => Err(format!("no answer: {why}")),
    };
    (compared, (watch.elapsed().as_secs_f64() * 1000.0).round() / 1000.0)
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
