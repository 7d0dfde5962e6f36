//! Secrets, variables, env files and directories. Law: names are told, values never.

use std::os::unix::fs::PermissionsExt;

use cutover::preflight::{Finding, Verdict};

use crate::stand::{BOX, Stand, holds};

const WITH_SECRET: &str = "services:\n  web:\n    image: cutover-lab/box:1\n    secrets: [token]\nsecrets:\n  token:\n    file: ./secrets/token.txt\n";

fn tells_no_secret(finding: &Finding) {
    assert!(!format!("{finding:?}").contains("hunter2"), "{finding:?}");
}

#[tokio::test]
async fn a_secret_that_is_missing_empty_a_placeholder_or_open_fails_each_in_its_own_words() {
    let stand = Stand::new(WITH_SECRET, "");
    holds(&stand.one("secrets").await, Verdict::Fail, &["token.txt does not exist"]);
    for (content, mode, words) in [
        ("", 0o600, "token.txt is empty"),
        ("\n", 0o600, "token.txt is empty"),
        ("ChangeMe\n", 0o600, "token.txt holds a placeholder"),
        ("hunter2-hunter2\n", 0o644, "token.txt is open to others (mode 0644)"),
    ] {
        stand.put("secrets/token.txt", content, mode);
        let finding = stand.one("secrets").await;
        holds(&finding, Verdict::Fail, &[words]);
        tells_no_secret(&finding);
    }
    stand.put("secrets/token.txt", "hunter2-hunter2\n", 0o600);
    holds(&stand.one("secrets").await, Verdict::Ok, &["1 secret file is in order"]);
}

#[tokio::test]
async fn a_required_secret_counts_although_the_model_does_not_name_it() {
    let stand = Stand::new(BOX, "[secrets]\ndirectory = \"secrets\"\nrequired = [\"key.txt\"]\n");
    holds(&stand.one("secrets").await, Verdict::Fail, &["key.txt does not exist"]);
    stand.put("secrets/key.txt", "hunter2", 0o600);
    holds(&stand.one("secrets").await, Verdict::Ok, &[]);
}

#[tokio::test]
async fn a_required_variable_must_be_set_and_no_placeholder() {
    let toml = "[compose]\nenv_files = [\"production.env\"]\n[secrets]\nvariables = [\"API_KEY\"]\n";
    let mut stand = Stand::new(BOX, toml);
    stand.put("production.env", "TAG=1\n", 0o600);
    holds(&stand.one("variables").await, Verdict::Fail, &["API_KEY is not set"]);
    stand.put("production.env", "API_KEY=changeme\n", 0o600);
    holds(&stand.one("variables").await, Verdict::Fail, &["API_KEY holds a placeholder"]);
    stand.put("production.env", "API_KEY='hunter2'\n", 0o600);
    let finding = stand.one("variables").await;
    holds(&finding, Verdict::Ok, &["API_KEY is set"]);
    tells_no_secret(&finding);
    stand.put("production.env", "", 0o600);
    stand.variables = vec![("API_KEY", "hunter2")];
    holds(&stand.one("variables").await, Verdict::Ok, &[]);
}

#[tokio::test]
async fn an_env_file_must_exist_and_show_no_secret_to_the_world() {
    let stand = Stand::new(BOX, "[compose]\nenv_files = [\"production.env\"]\n");
    holds(&stand.one("env-files").await, Verdict::Fail, &["production.env does not exist"]);
    stand.put("production.env", "API_TOKEN=hunter2\n", 0o644);
    let finding = stand.one("env-files").await;
    holds(&finding, Verdict::Fail, &["API_TOKEN", "mode 0644"]);
    tells_no_secret(&finding);
    stand.put("production.env", "API_TOKEN=hunter2\n", 0o600);
    holds(&stand.one("env-files").await, Verdict::Ok, &["sets 1 variable"]);
}

#[tokio::test]
async fn a_state_directory_that_is_open_to_others_fails() {
    let stand = Stand::new(BOX, "");
    holds(&stand.one("state").await, Verdict::Ok, &["is not there yet"]);
    std::fs::create_dir(stand.path("state")).unwrap();
    std::fs::set_permissions(stand.path("state"), std::fs::Permissions::from_mode(0o755)).unwrap();
    holds(&stand.one("state").await, Verdict::Fail, &["mode 0755"]);
}

#[tokio::test]
async fn a_backup_that_is_wanted_needs_a_database_and_a_place() {
    let stand = Stand::new(BOX, "[backup]\nenabled = true\n");
    holds(&stand.one("backup").await, Verdict::Fail, &["shows no PostgreSQL"]);
    let compose =
        "services:\n  db:\n    image: cutover-lab/postgres:15\n    environment: { POSTGRES_HOST_AUTH_METHOD: trust }\n";
    let stand = Stand::new(compose, "[backup]\ndirectory = \"backups\"\n");
    holds(&stand.one("backup").await, Verdict::Ok, &["can be written"]);
    holds(&stand.one("database").await, Verdict::Ok, &["not deployed yet"]);
    stand.put("backups", "a file", 0o600);
    holds(&stand.one("backup").await, Verdict::Fail, &["no directory"]);
}
