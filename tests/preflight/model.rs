//! The compose model, and which checks are asked at all. Law: compose's own words are told.

use cutover::preflight::{CHECKS, Verdict};

use crate::stand::{BOX, Stand, holds, of};

#[tokio::test]
async fn a_variable_that_is_not_set_is_a_failure_and_is_named() {
    let stand = Stand::new(&format!("{BOX}    environment: {{ KEY: '${{NEVER_SET_ANYWHERE}}' }}\n"), "");
    holds(&stand.one("model").await, Verdict::Fail, &["NEVER_SET_ANYWHERE is not set"]);
    let stand = Stand::new(&format!("{BOX}    environment: {{ KEY: '${{NEVER_SET_ANYWHERE:?give it}}' }}\n"), "");
    holds(&stand.one("model").await, Verdict::Fail, &["NEVER_SET_ANYWHERE is missing a value: give it"]);
}

#[tokio::test]
async fn a_model_that_is_not_valid_fails_and_what_hangs_on_it_is_unknown() {
    let stand = Stand::new("services:\n  web:\n    imagine: x\n", "");
    let report = stand.ask(&["model", "ports", "images", "secrets"]).await;
    holds(of(&report, "model"), Verdict::Fail, &["imagine"]);
    for id in ["ports", "images", "secrets"] {
        holds(of(&report, id), Verdict::Unknown, &["is not known"]);
    }
}

#[tokio::test]
async fn a_service_that_the_configuration_misspells_is_named_with_its_neighbour() {
    let stand = Stand::new(BOX, "[deploy]\nservices = [\"wep\"]\n");
    let finding = stand.one("model").await;
    holds(&finding, Verdict::Fail, &["deploy.services names \"wep\""]);
    assert_eq!(finding.advice.as_deref(), Some("did you mean \"web\"?"));
}

#[tokio::test]
async fn a_check_that_is_skipped_is_shown_as_skipped_and_never_as_passed() {
    let stand = Stand::new(BOX, "");
    let report = stand.ask_without(&["model", "ports"], &["ports"]).await;
    assert_eq!(report.findings.len(), 2);
    holds(of(&report, "ports"), Verdict::Skipped, &["--skip"]);
    assert_eq!(report.verdict(), Verdict::Ok);
    let report = stand.ask_without(&["ports"], &["ports"]).await;
    assert_eq!(report.verdict(), Verdict::Unknown, "nothing was asked");
}

#[tokio::test]
async fn every_check_stands_in_the_report_once_and_in_order() {
    let stand = Stand::new(BOX, "");
    let report = stand.ask(&[]).await;
    let ids: Vec<&str> = report.findings.iter().map(|finding| finding.id).collect();
    assert_eq!(ids, CHECKS.iter().map(|(id, _)| *id).collect::<Vec<_>>());
}
