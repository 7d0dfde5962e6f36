//! Files and surroundings: what is refused before a key is read, secret files, environment and flags.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use cutover::config::{self, Environment, Problems};

#[path = "config/support.rs"]
mod support;

use support::{FULL, load};

/// The one problem of a file that is refused as a whole.
fn refused(path: &Path, message: &str) {
    let Problems(problems) = config::load_with(path, &Environment::default(), &[]).unwrap_err();
    let [problem] = problems.as_slice() else { panic!("{}", Problems(problems)) };
    assert!(problem.line > 0 && problem.column > 0, "{problem}");
    assert!(problem.to_string().contains(message), "{message}: {problem}");
}

#[test]
fn bytes_that_are_no_text_are_pointed_at() {
    let at = FULL.find("freshtrack").unwrap();
    for (byte, message) in
        [(0xff, ":5:9: found the byte 0xff"), (0x00, ":5:9: found a NUL byte"), (0xc3, ":5:9: found the byte 0xc3")]
    {
        let mut bytes = FULL.as_bytes().to_vec();
        bytes[at] = byte;
        let (_directory, path, _) = load(&bytes);
        refused(&path, message);
    }
}

#[test]
fn files_that_are_no_configuration_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    refused(&directory.path().join("cutover.toml"), "cutover init");
    refused(directory.path(), "found a directory");
    refused(Path::new("/dev/null"), "found a pipe, socket or device");
    let (_directory, path, _) = load(&vec![b'#'; 1024 * 1024 + 1]);
    refused(&path, "more than 1 MiB");
    for nothing in ["", "\n", "# only a comment\n", "\u{feff}"] {
        let Problems(problems) = load(nothing.as_bytes()).2.unwrap_err();
        assert!(problems[0].to_string().contains("an empty file"), "{}", Problems(problems));
    }
    let pipe = directory.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    refused(&pipe, "found a pipe");
}

#[test]
fn the_largest_file_is_judged_in_reasonable_time() {
    let fill = |line: &dyn Fn(usize) -> String| {
        let mut text = FULL.to_owned();
        let mut index = 0;
        while text.len() < 1024 * 1024 - 200 {
            text.push_str(&line(index));
            index += 1;
        }
        load(text.as_bytes()).2.err().map_or(0, |Problems(problems)| problems.len())
    };
    assert_eq!(fill(&|index| format!("[[health]]\nname=\"h{index}\"\nurl=\"http://a\"\n")), 1);
    assert_eq!(fill(&|index| format!("k{index} = 1\n")), 500);
    assert_eq!(fill(&|index| format!("= {index}\n")), 500);
    assert_eq!(fill(&|_| "# nothing\n".to_owned()), 0);
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    for mode in [0o620, 0o602, 0o666] {
        let (_directory, path, _) = load(FULL.as_bytes());
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        refused(&path, "chmod go-w");
    }
}

#[test]
fn a_link_is_followed_only_to_a_file_of_ours() {
    let (directory, path, _) = load(FULL.as_bytes());
    let link = directory.path().join("link.toml");
    symlink(&path, &link).unwrap();
    assert!(config::load_with(&link, &Environment::default(), &[]).is_ok());
    fs::set_permissions(&path, Permissions::from_mode(0o622)).unwrap();
    refused(&link, "others may write");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    // Only root can give a file away.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        refused(&link, "a link to a file of user 65534");
    }
    fs::remove_file(&path).unwrap();
    refused(&link, "no such file");
    symlink(&link, &path).unwrap();
    refused(&link, "cannot be opened");
}

#[test]
fn secret_files_that_others_may_read_are_refused_at_their_key() {
    let files = [
        ("secrets/target_url.txt", "target.url_file"),
        ("secrets/stack_auth_key.txt", "users.secret_key_file"),
        ("secrets/tsig.txt", "dns.tsig_secret_file"),
        ("secrets/signing_key.txt", "secrets.required[1]"),
    ];
    let (directory, path, _) = load(FULL.as_bytes());
    fs::create_dir(directory.path().join("secrets")).unwrap();
    for (file, key) in files {
        let file = directory.path().join(file);
        for (mode, open) in [(0o644, true), (0o640, true), (0o604, true), (0o600, false), (0o400, false)] {
            fs::write(&file, "hunter2")
                .or_else(|_| fs::remove_file(&file).and_then(|()| fs::write(&file, "hunter2")))
                .unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let result = config::load_with(&path, &Environment::default(), &[]);
            let Some(Problems(problems)) = result.err() else {
                assert!(!open, "{key} with mode {mode:o}");
                continue;
            };
            assert!(open && problems.len() == 1, "{}", Problems(problems));
            assert_eq!(problems[0].key, key);
            assert!(problems[0].line > 1 && problems[0].hint.as_ref().unwrap().starts_with("chmod 600"));
        }
    }
    let file = directory.path().join(files[0].0);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    refused(&path, "not a regular file");
}

#[test]
fn the_environment_wins_over_the_file_and_flags_over_both() {
    let parse = |pairs: &[(&str, &str)], flags: &[(&str, &str)]| {
        let (directory, path, _) = load(FULL.as_bytes());
        let environment = Environment::from_pairs(pairs.iter().copied());
        let flags: Vec<_> = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let result = config::load_with(&path, &environment, &flags);
        drop(directory);
        result
    };
    let keep = "CUTOVER_DEPLOY_KEEP_RELEASES";
    assert_eq!(parse(&[(keep, "9")], &[]).unwrap().deploy.keep_releases, 9);
    assert_eq!(parse(&[(keep, "9")], &[("deploy.keep_releases", "11")]).unwrap().deploy.keep_releases, 11);
    let state = parse(&[("CUTOVER_STATE_DIRECTORY", "/srv/state")], &[]).unwrap().state.directory;
    assert_eq!(state, Path::new("/srv/state"));
    let Problems(problems) = parse(&[(keep, "many"), ("CUTOVER_DEPLOY_STABLE_FOR", "1h")], &[]).unwrap_err();
    let told: Vec<_> =
        problems.iter().map(|problem| (problem.file.as_str(), problem.line, problem.key.as_str())).collect();
    assert_eq!(
        told,
        [
            ("$CUTOVER_DEPLOY_KEEP_RELEASES", 0, "deploy.keep_releases"),
            ("$CUTOVER_DEPLOY_STABLE_FOR", 0, "deploy.stable_for")
        ]
    );
    let Problems(problems) = parse(&[], &[("deploy.nothing", "1")]).unwrap_err();
    assert_eq!(problems[0].found, "an unknown key");
    let notes = parse(&[("CUTOVER_DEPLOY_KEEP_RELEASE", "9")], &[]).unwrap().notes;
    assert!(notes[0].contains(keep), "{notes:?}");
}
