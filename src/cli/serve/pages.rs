//! What is answered: the dashboard, a run, its document, numbers. Everything is read anew; what cannot be read is said.

use anyhow::{Context, Result};
use axum::http::StatusCode;
use axum::response::Response;

use super::Desk;
use super::guard::{plain, typed};
use crate::adapter::clock;
use crate::cli::{out, report, status};
use crate::journal::{RunState, runs};
use crate::report::page::dashboard::{Board, dashboard};
use crate::report::page::page;
use crate::report::paper::{Paper, stabilization};
use crate::report::text::harmless;
use crate::watch::metrics;

/// Runs that the dashboard shows.
const SHOWN: usize = 20;
const HTML: &str = "text/html; charset=utf-8";

/// The answer for a path.
pub async fn of(desk: &Desk, path: &str) -> Response {
    let answered = match path {
        "/" => board(desk).await.map(|page| typed(StatusCode::OK, HTML, page)),
        "/metrics" => numbers(desk).map(|text| typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)),
        "/healthz" => Ok(plain(StatusCode::OK, "ok\n")),
        path => match path
            .strip_prefix("/runs/")
            .map(|rest| (rest.trim_end_matches(".json").parse(), rest.ends_with(".json")))
        {
            Some((Ok(number), is_json)) => one(desk, number, is_json),
            _ => Ok(nothing()),
        },
    };
    answered.unwrap_or_else(|error| {
        let words = out::redactor().clean(&format!("{error:#}\n"));
        plain(StatusCode::INTERNAL_SERVER_ERROR, &words)
    })
}

fn nothing() -> Response {
    plain(StatusCode::NOT_FOUND, "there is no such page; / has the links\n")
}

fn numbers(desk: &Desk) -> Result<String> {
    metrics::text(&desk.setup.state, &desk.project, &desk.environment)
}

fn one(desk: &Desk, number: u32, is_json: bool) -> Result<Response> {
    let Some(paper) = paper(desk, number)? else { return Ok(nothing()) };
    Ok(if is_json {
        typed(StatusCode::OK, "application/json", serde_json::to_string(&paper)?)
    } else {
        typed(StatusCode::OK, HTML, page(&paper))
    })
}

fn paper(desk: &Desk, number: u32) -> Result<Option<Paper>> {
    let all = runs::list(&desk.setup.state.join("runs")).context("cannot list the runs")?;
    let Some(file) = all.iter().find(|file| file.number == number) else { return Ok(None) };
    desk.setup.learn_file(&runs::side_directory(&desk.setup.state.join("runs"), number).join("model.json"));
    // A fault of the journal stands on the page itself.
    let (paper, _) = report::paper(&desk.setup.state, &all, file)?;
    Ok(Some(paper))
}

async fn board(desk: &Desk) -> Result<String> {
    let mut facts = status::gather(&desk.setup).await?;
    if facts.project.is_empty() {
        facts.project.clone_from(&desk.project);
        facts.environment.clone_from(&desk.environment);
    }
    let all = runs::list(&desk.setup.state.join("runs")).context("cannot list the runs")?;
    let runs: Vec<RunState> = all.iter().rev().take(SHOWN).map(report::look).collect();
    let last = facts.last_run.as_ref();
    let open = match last.filter(|run| run.is_open()) {
        Some(run) => paper(desk, run.number)?,
        None => None,
    };
    let window = report::window(&desk.setup.state).and_then(|window| stabilization(&window));
    let at = clock::now();
    let board = Board { facts: &facts, open: open.as_ref(), window: window.as_ref(), runs: &runs, at: &at };
    Ok(out::redactor().clean(&harmless(&dashboard(&board))))
}
