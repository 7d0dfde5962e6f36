//! From what was seen to what is thought: each table of the configuration, value by value, with its reason. Pure.

use super::draft::{Draft, Section, list, text};
use super::health::Candidate;
use super::look::Seen;
use super::migration::{self, Found};
use super::{secrets, stack};
use crate::release::model;

/// A start that takes longer than this needs another deadline than the default, in seconds.
const USUAL_START: u64 = 180;

/// The whole configuration.
pub fn draft(seen: &Seen) -> Draft {
    let mut remarks = seen.remarks.clone();
    let (found, more) = secrets::section(seen);
    remarks.extend(more);
    let mut sections = vec![project(seen), compose(seen)];
    let migration = migration::find(&seen.model, &seen.contexts);
    sections.extend(deploy(seen, migration.as_ref()));
    if let Some(Found::ByItself(words)) = &migration {
        remarks.push(words.clone());
    }
    sections.extend(seen.health.iter().map(|(candidate, answer)| health(candidate, *answer)));
    if seen.health.is_empty() {
        sections.push(nothing_to_ask());
    }
    sections.extend(state(seen));
    sections.extend(found);
    sections.extend(backup(seen));
    sections.extend(caddy(seen));
    sections.extend(prometheus(seen));
    sections.extend(databases(seen));
    sections.push(rehearsal());
    remarks.extend(written_over(seen));
    remarks.extend(secrets::open_databases(&seen.model, &seen.name.0));
    remarks.extend(seen.databases.iter().flat_map(|one| one.remarks.clone()));
    let shots = stack::one_shots(&seen.model);
    if !shots.is_empty() {
        let (shots, ends) = (shots.join(", "), if shots.len() == 1 { "ends" } else { "end" });
        remarks.push(format!("{shots} {ends} by itself, and others wait for that: exit code 0 counts as well"));
    }
    Draft { sections, remarks }
}

fn project(seen: &Seen) -> Section {
    Section::new("[project]").sure("name", text(&seen.name.0), &seen.name.1).sure(
        "environment",
        text(&seen.stage.0),
        &seen.stage.1,
    )
}

fn compose(seen: &Seen) -> Section {
    let mut section = Section::new("[compose]").sure("files", list(&seen.files.names), &seen.files.why);
    if !seen.env_files.names.is_empty() {
        section = section.sure("env_files", list(&seen.env_files.names), &seen.env_files.why);
    }
    if !seen.profiles.names.is_empty() {
        section = section.sure("profiles", list(&seen.profiles.names), &seen.profiles.why);
    }
    if !seen.other_profiles.is_empty() {
        let words = "the files know these too; they are off, as they are for `docker compose up`";
        section = section.unsure("profiles", list(&seen.other_profiles), words);
        // Two lines with one key would be one too many to take the mark away from.
        if !seen.profiles.names.is_empty() {
            section.guesses.pop();
        }
    }
    let built = built(seen);
    if !built.is_empty() {
        section = section.sure("build", list(&built), build_words(built.len()));
    }
    section
}

fn build_words(count: usize) -> &'static str {
    if count == 1 {
        "it has a `build`; images of others are pulled"
    } else {
        "they have a `build`; images of others are pulled"
    }
}

fn built(seen: &Seen) -> Vec<String> {
    model::services(&seen.model).into_iter().filter(|service| model::is_built(&seen.model, service)).collect()
}

/// Directories of the project that services built here may write to: a release does not hold what is in them.
fn written_over(seen: &Seen) -> Vec<String> {
    let mounts = |service: String| {
        let shown: Vec<String> = stack::writable_mounts(&seen.model, &service, &seen.directory)
            .into_iter()
            .map(|(source, target)| {
                format!(
                    "{service}: ./{source} is mounted over {target} for writing; what is in it is no part of a release, and a \
                     rollback does not bring it back"
                )
            })
            .collect();
        shown
    };
    built(seen).into_iter().flat_map(mounts).collect()
}

fn deploy(seen: &Seen, migration: Option<&Found>) -> Vec<Section> {
    let mut section = Section::new("[deploy]");
    let shots = stack::one_shots(&seen.model);
    let all = model::services(&seen.model);
    let image = |service: &str| model::image(&seen.model, &seen.name.0, service);
    let images: Vec<String> = built(seen).iter().map(|service| image(service)).collect();
    let is_own = |service: &&String| images.contains(&image(service)) && !shots.contains(service);
    let own: Vec<String> = all.iter().filter(is_own).cloned().collect();
    if !own.is_empty() && own.len() < all.len() {
        let why = "built here, so these change from release to release; what they depend on is started before them";
        section = section.sure("services", list(&own), why);
    }
    if let Some((service, seconds)) = stack::slowest_start(&seen.model).filter(|(_, seconds)| *seconds > USUAL_START) {
        let minutes = seconds.div_ceil(60);
        let why = format!("the health check of {service} may take that long until it has spoken");
        section = section.sure("start_deadline", text(&format!("{minutes}m")), why);
    }
    let mut sections: Vec<Section> = Some(section).filter(|section| !section.guesses.is_empty()).into_iter().collect();
    if let Some(Found::Command { service, command, why }) = migration {
        let table = Section::new("[deploy.migrate]")
            .say("Run once, in a container of its own, before the new release is started.")
            .sure("service", text(service), why)
            .sure("command", list(command), "");
        sections.push(table);
    }
    sections
}

fn health(candidate: &Candidate, answer: Option<u16>) -> Section {
    let Candidate { name, url, why, is_sure } = candidate;
    let why = match answer {
        Some(status) => format!("{why}; it answered {status} when this was written"),
        None => why.clone(),
    };
    let mut section = Section::new("[[health]]").sure("name", text(name), "").sure("url", text(url), why);
    match answer {
        Some(200) => section,
        Some(status) => {
            section = section.sure("expect", format!("{{ status = {status} }}"), "what it answers today");
            let words = "It does not answer 200, so somebody who knows it should say what a good answer is.";
            section.say(words).doubted()
        }
        None if *is_sure => section,
        None => section
            .say("An address that answers when the project works? Correct it, then take the marks away.")
            .doubted(),
    }
}

fn nothing_to_ask() -> Section {
    Section::new("[[health]]")
        .say(
            "No service publishes a page, so nothing is asked from outside; the health checks of the compose files are \
             waited for in any case. With an address a deploy proves more:",
        )
        .sure("name", text("public"), "")
        .sure("url", text("http://127.0.0.1/"), "")
        .doubted()
}

fn state(seen: &Seen) -> Option<Section> {
    let section = Section::new("[state]");
    match &seen.state_of {
        Some(other) if *other != seen.name.0 => {
            let why = format!("/var/lib/cutover holds the runs of {other}; each project has its own");
            Some(section.sure("directory", text(&format!("/var/lib/cutover-{}", seen.name.0)), why))
        }
        _ if !rustix::process::geteuid().is_root() => {
            let why = "only root can make /var/lib/cutover; journals, releases and backups are kept here instead";
            Some(section.sure("directory", text(".cutover"), why))
        }
        _ => None,
    }
}

fn backup(seen: &Seen) -> Option<Section> {
    let project = &seen.name.0;
    if let Some((service, ..)) = model::postgres_service(&seen.model, project) {
        let why = "its image is PostgreSQL; a backup is taken and proven before a migration. Role and database are found \
                   in its environment";
        return Some(Section::new("[backup]").sure("service", text(&service), why));
    }
    let (service, kind, volumes) = stack::other_databases(&seen.model, project).into_iter().next()?;
    let words = format!(
        "{service} is {kind}. A deploy backs up PostgreSQL only: before you deploy a migration, back it up by its own \
         tools. `cutover backup create` can keep named volumes:"
    );
    let section = Section::new("[backup]").say(words);
    Some(section.sure("volumes", list(&volumes), "").doubted())
}

fn caddy(seen: &Seen) -> Option<Section> {
    let (service, page) = stack::caddy(&seen.model, &seen.name.0)?;
    let section = Section::new("[caddy]");
    let directory = stack::switch_directory(&seen.model, &service);
    Some(match page {
        Some(page) => switched(section, directory, &seen.name.0)
            .sure(
                "url",
                text(&format!("http://{page}")),
                "its published port; the public route is asked here throughout",
            )
            .sure("service", text(&service), "it is Caddy by its image or its Caddyfile"),
        None => section
            .say(format!("{service} is Caddy, but no port for plain HTTP is published."))
            .sure("url", text("http://127.0.0.1"), "")
            .sure("service", text(&service), "")
            .doubted(),
    })
}

/// The directory of the switch: it has to be mounted, so one that is not there cannot be guessed.
fn switched(section: Section, directory: Option<(String, &'static str)>, project: &str) -> Section {
    match directory {
        Some((directory, why)) => section.sure("directory", text(&directory), why),
        None => section.unsure(
            "directory",
            text(&format!("/run/cutover/{project}")),
            "for releases beside one another and for a page during maintenance: a directory of the host, mounted into Caddy at \
             /run/cutover, and a Caddyfile with the snippet; docs/switching.md says how",
        ),
    }
}

fn prometheus(seen: &Seen) -> Option<Section> {
    let (service, page) = stack::prometheus(&seen.model, &seen.name.0)?;
    let page = page.map_or_else(|| "http://127.0.0.1:9090".to_owned(), |page| format!("http://{page}"));
    let section = Section::new("[prometheus]");
    Some(match seen.has_series {
        Some(true) => section.sure("url", text(&page), "it answers there and counts Caddy's requests"),
        _ => section
            .say(format!(
                "{service} is Prometheus. A gate on the error rate needs a series that counts requests: by default \
                 Caddy's, else name your own in error_ratio. It was not seen to be there."
            ))
            .sure("url", text(&page), "")
            .sure(
                "error_ratio",
                text("sum(rate(http_requests_total{code=~\"5..\"}[1m])) / sum(rate(http_requests_total[1m]))"),
                "",
            )
            .doubted(),
    })
}

fn rehearsal() -> Section {
    Section::new("[rehearsal]")
        .say("A runbook is rehearsed on an isolated copy of all this, which has a configuration of its own:")
        .sure("config", text("rehearsal.toml"), "`cutover rehearse runbook.toml --write-configuration` writes it")
}

fn databases(seen: &Seen) -> Vec<Section> {
    let mut sections = Vec::new();
    let given = [("[source]", &seen.wishes.source, "left"), ("[target]", &seen.wishes.target, "moved to")];
    for (header, place, what) in given {
        if let Some((key, value)) = place {
            let why = format!("named on the command line: the database that is being {what}");
            let of_it = seen.databases.iter().find(|one| header.trim_matches(['[', ']']) == one.table);
            let words = of_it.and_then(|one| one.words.clone());
            let section = Section::new(header).sure(key, text(value), why);
            sections.push(words.into_iter().fold(section, Section::say));
        }
    }
    if sections.len() == 2 {
        let words = "`cutover data connections` reaches both and says what stands in the way.";
        let section = Section::new("[data]").say(words);
        let why = "tables of the schema public, as by default";
        sections.push(section.sure("include", list(&["public.*"]), why));
    }
    sections
}
