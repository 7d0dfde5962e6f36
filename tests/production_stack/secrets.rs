//! scripts/make-secrets, run for real in a directory of its own. Law: what it makes is what the compose files read.

use crate::cli::{output, production, root, services, stdout, text};
use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

fn make_secrets(directory: &Path, arguments: &[&str]) -> Output {
    output(Command::new(root().join("scripts/make-secrets")).arg("--directory").arg(directory).args(arguments))
}

/// A directory filled by one call.
fn made() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("temporary directory");
    stdout(Command::new(root().join("scripts/make-secrets")).arg("--directory").arg(home.path()));
    home
}

fn said(ran: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))
}

#[test]
fn it_makes_every_file_that_compose_mounts_and_no_other() {
    let home = made();
    let found: BTreeSet<String> = std::fs::read_dir(home.path())
        .expect("directory")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    let model = production();
    let mounted = model["secrets"].as_object().expect("secrets").keys().map(|name| format!("{name}.txt")).collect();
    assert_eq!(found, mounted);
    let readme = text("secrets.example/README.md");
    for file in found {
        assert!(readme.contains(&format!("`{file}`")), "secrets.example/README.md does not explain {file}");
    }
}

#[test]
fn its_files_are_closed_to_others_and_belong_to_their_reader() {
    let home = made();
    assert_eq!(home.path().metadata().expect("directory").permissions().mode() & 0o777, 0o700);
    let model = production();
    let is_root = home.path().metadata().expect("directory").uid() == 0;
    for (name, service) in services(&model) {
        let user = service["user"].as_str().unwrap_or("0");
        let reader: u32 = user.split(':').next().unwrap_or_default().parse().expect("a numeric user");
        for secret in service["secrets"].as_array().into_iter().flatten() {
            let source = secret["source"].as_str().expect("source");
            let file = home.path().join(format!("{source}.txt")).metadata().expect("secret");
            assert_eq!(file.permissions().mode() & 0o777, 0o600, "{source}");
            // Only root can give files away; elsewhere the script itself says that containers cannot read them.
            if is_root {
                assert_eq!(file.uid(), reader, "{source} must belong to the user of {name}, who reads it");
            }
        }
    }
}

#[test]
fn a_second_call_changes_nothing() {
    let home = made();
    let contents = || -> Vec<(String, Vec<u8>)> {
        let mut all: Vec<_> = std::fs::read_dir(home.path())
            .expect("directory")
            .map(|entry| entry.expect("entry").path())
            .map(|path| (path.display().to_string(), std::fs::read(&path).expect("secret")))
            .collect();
        all.sort();
        all
    };
    let before = contents();
    let again = make_secrets(home.path(), &[]);
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(before, contents());
}

#[test]
fn two_calls_never_make_the_same_secret() {
    let read = |home: &tempfile::TempDir, name: &str| std::fs::read_to_string(home.path().join(name)).expect("secret");
    let (one, other) = (made(), made());
    for name in ["postgres_password.txt", "session_secret.txt", "redis_url.txt", "database_url.txt"] {
        assert_ne!(read(&one, name), read(&other, name), "{name}");
    }
    assert!(read(&one, "postgres_password.txt").len() >= 40);
    let password = read(&one, "postgres_app_password.txt");
    assert_eq!(read(&one, "database_url.txt"), format!("postgresql://app:{password}@postgres:5432/freshtrack"));
    assert!(
        !read(&one, "redis_acl.txt").contains(&read(&one, "redis_url.txt")[16..56]),
        "only the hash stands in the ACL"
    );
}

#[test]
fn the_check_refuses_what_a_person_has_not_filled_in_yet() {
    let home = made();
    let refused = make_secrets(home.path(), &["--check"]);
    assert_eq!(refused.status.code(), Some(4), "{}", said(&refused));
    assert!(
        said(&refused).contains("stack_auth_secret_key.txt: still a placeholder; it comes from: Stack Auth dashboard")
    );
    assert!(said(&refused).contains("smtp_url.txt: still a placeholder"));

    for (name, value) in
        [("stack_auth_secret_key.txt", "ssk_0123456789"), ("smtp_url.txt", "smtp://u:p@mail.internal:587")]
    {
        std::fs::write(home.path().join(name), value).expect("fill in");
    }
    let passed = make_secrets(home.path(), &["--check"]);
    assert!(passed.status.success(), "{}", said(&passed));
}

#[test]
fn the_check_names_missing_empty_open_and_orphaned_files() {
    let home = made();
    let file = |name: &str| home.path().join(name);
    std::fs::remove_file(file("session_secret.txt")).expect("remove");
    std::fs::write(file("grafana_password.txt"), "\n").expect("empty");
    std::fs::set_permissions(file("database_url.txt"), PermissionsExt::from_mode(0o644)).expect("open");
    std::fs::write(file("redis_url.txt"), "redis://default:another@redis:6379/0").expect("change");
    let refused = make_secrets(home.path(), &["--check"]);
    assert_eq!(refused.status.code(), Some(4));
    for problem in [
        "session_secret.txt: missing",
        "grafana_password.txt: empty",
        "database_url.txt: open to others (mode 644, wanted 600)",
        "redis_acl.txt: does not belong to redis_url.txt",
    ] {
        assert!(said(&refused).contains(problem), "`{problem}` is not in:\n{}", said(&refused));
    }
}

#[test]
fn it_never_prints_a_secret() {
    let home = tempfile::tempdir().expect("temporary directory");
    let printed = said(&make_secrets(home.path(), &[])) + &said(&make_secrets(home.path(), &["--check"]));
    for name in ["postgres_password", "redis_url", "session_secret", "minio_root_password", "database_url"] {
        let secret = std::fs::read_to_string(home.path().join(format!("{name}.txt"))).expect("secret");
        assert!(!printed.contains(secret.trim()), "{name} was printed");
    }
}
