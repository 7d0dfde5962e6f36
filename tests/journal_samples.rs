//! Journals of every format that was ever written, in `tests/journals`: they are readable for ever, and mean the same.
//!
//! Law: a sample is never changed. A new format gets new samples (`cargo test --test journal_samples -- --ignored`).

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![allow(dead_code, reason = "this file uses its own part of the helpers")]

use std::path::{Path, PathBuf};

use cutover::journal::{Fact, Journal, Outcome, RunState, read, state::fold};
use cutover::step::plan::Plan;

#[path = "journal_faults/build.rs"]
mod build;

use build::{append, done, failed, finished, note, planned, second_by_second, started, undoing, undone};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals").join(name)
}

/// A run in short: what its journal says, without the times.
fn told(name: &str) -> Vec<String> {
    let entries = read(&sample(name)).unwrap();
    let state = fold(12, name.split('-').nth(1).unwrap(), &entries);
    // A plan that can no longer be read can no longer be resumed or undone.
    let plan: Plan = serde_json::from_value(state.plan.clone()).unwrap();
    assert_eq!(plan.hash(), state.header.as_ref().unwrap().plan_hash, "the plan is the one that was shown");
    let mut told = vec![run_in_short(&state)];
    for item in &state.items {
        let marks = [(item.was_begun, "begun"), (item.already, "already"), (item.back, "back")];
        let marks: Vec<&str> = marks.iter().filter(|(is_so, _)| *is_so).map(|(_, mark)| *mark).collect();
        told.push(format!("{}: {:?} ({}) {}", item.name, item.standing, marks.join(", "), item.said));
    }
    told
}

fn run_in_short(state: &RunState) -> String {
    let header = state.header.as_ref().unwrap();
    let undoes = header.undoes.map_or_else(String::new, |run| format!(" of run {run}"));
    let end = state.outcome.as_ref().map_or_else(|| "open".into(), |(outcome, said)| format!("{outcome:?}, {said}"));
    let way = if state.is_going_back { ", going back" } else { "" };
    let failure = state.failure.as_ref().map_or_else(String::new, |(item, why)| format!("; {item} failed: {why}"));
    format!("{}{undoes}, epoch {}: {end}{way}{failure}", header.run, state.epoch)
}

#[test]
fn a_deploy_that_was_done() {
    let expected = [
        "deploy, epoch 1: Done, r12 serves",
        "pull_images: Done (already) the image is here",
        "expect_services: Done (begun) backend and worker are healthy",
        "record_release: Done (begun) current release: r12",
        "expect_health: Done (begun) 3 good answers",
    ];
    assert_eq!(told("v1-deploy-done.jsonl"), expected);
}

#[test]
fn a_deploy_that_failed_and_was_rolled_back() {
    let expected = [
        "deploy, epoch 1: RolledBack, put back, going back; 3 failed: the backend answers 503",
        "pull_images: Stays (begun) the image stays",
        "expect_services: Done (begun) backend and worker are healthy",
        "record_release: Undone (begun) current release: r11",
        "expect_health: Failed (begun) the backend answers 503",
    ];
    assert_eq!(told("v1-deploy-rolled-back.jsonl"), expected);
}

#[test]
fn a_deploy_that_was_interrupted_twice() {
    let expected = [
        "deploy, epoch 2: open",
        "pull_images: Done (begun) the image is here",
        "expect_services: Done (begun) backend and worker are healthy",
        "record_release: Started (begun) ",
        "expect_health: Waiting () ",
    ];
    assert_eq!(told("v1-deploy-interrupted.jsonl"), expected);
}

#[test]
fn a_rollback_that_was_done() {
    let expected = [
        "rollback of run 12, epoch 1: Done, r11 serves",
        "undo_record_release: Undone (begun, back) current release: r11",
        "expect_health: Done (begun) 3 good answers",
    ];
    assert_eq!(told("v1-rollback-done.jsonl"), expected);
}

#[test]
fn every_sample_is_told_here() {
    let listed = std::fs::read_dir(sample("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut listed: Vec<String> = listed.collect();
    listed.sort();
    let expected = [
        "v1-deploy-done.jsonl",
        "v1-deploy-interrupted.jsonl",
        "v1-deploy-rolled-back.jsonl",
        "v1-rollback-done.jsonl",
    ];
    assert_eq!(listed, expected);
}

#[test]
#[ignore = "it writes the samples of the present format, once; those that are there stay"]
fn write_the_samples_that_are_missing() {
    let (deploy, rollback) = (build::plan(false), build::plan(true));
    let pulled = [started(0, "pull_images"), done(0, "pull_images", "the image is here")];
    let healthy = [started(1, "expect_services"), done(1, "expect_services", "backend and worker are healthy")];
    let recorded = [started(2, "record_release"), done(2, "record_release", "current release: r12")];
    let answered = |item| [started(item, "expect_health"), done(item, "expect_health", "3 good answers")];
    let already = match done(0, "pull_images", "the image is here") {
        Fact::Done { item, name, seen, took_ms, .. } => {
            Fact::Done { item, name, seen, already: true, took_ms, data: serde_json::Value::Null }
        }
        other => other,
    };
    let write = |name: &str, parts: &[&[Fact]]| {
        if !sample(name).exists() {
            build::write(&sample(name), second_by_second, &parts.concat());
        }
    };
    let head = [planned(12, &deploy)];
    let end = [finished(Outcome::Done, 0, "r12 serves")];
    write("v1-deploy-done.jsonl", &[&head, &[already], &healthy, &recorded, &answered(3), &end]);
    let home = [
        started(3, "expect_health"),
        failed(3, "expect_health", "the backend answers 503", false),
        undoing(2, "record_release"),
        undone(2, "record_release", "current release: r11", false),
        undoing(0, "pull_images"),
        undone(0, "pull_images", "the image stays", true),
        note("expect_old_health: 3 good answers"),
        finished(Outcome::RolledBack, 7, "put back"),
    ];
    write("v1-deploy-rolled-back.jsonl", &[&head, &pulled, &healthy, &recorded, &home]);
    let interrupted = sample("v1-deploy-interrupted.jsonl");
    if !interrupted.exists() {
        build::write(&interrupted, second_by_second, &[&head[..], &pulled[..1]].concat());
        let (mut journal, _) =
            Journal::go_on(&interrupted, "6f1c2b1e-0000-4000-8000-000000000002".into(), second_by_second).unwrap();
        append(&mut journal, &[note("goes on after an interruption"), pulled[1].clone()]);
        append(&mut journal, &[&healthy[..], &recorded[..1]].concat());
    }
    let back = [undoing(0, "undo_record_release"), undone(0, "undo_record_release", "current release: r11", false)];
    let end = [finished(Outcome::Done, 0, "r11 serves")];
    write("v1-rollback-done.jsonl", &[&[planned(13, &rollback)], &back, &answered(1), &end]);
}
