//! Files that are wrong, with a secret where the mistake is: the error names the place and never the value.

use crate::canaries::*;
use crate::scene::{Scene, private};

#[test]
fn a_secret_in_cutover_toml_is_refused_and_not_repeated() {
    let scene = Scene::new("toml");
    for (deploy, more) in [
        ("", format!("[source]\nurl_env = \"postgres://app:{IN_TOML}@db/app\"")),
        ("", format!("[source]\nurl_env = \"{IN_TOML}\"")),
        ("", format!("[source]\nurl = \"postgres://app:{IN_TOML}@db/app\"")),
        ("", format!("[source]\npassword = \"{IN_TOML}\"")),
        ("", format!("source = \"{IN_TOML}\"")),
        ("", format!("[source]\nurl_file = [\"{IN_TOML}\"]")),
        ("", format!("[target]\nurl_env = {IN_TOML}")),
        ("", format!("[target]\nurl_env = \"{IN_TOML}")),
        ("", format!("[prometheus]\nurl = \"http://admin:{IN_TOML}@127.0.0.1:9090\"")),
        ("", format!("[users]\nsecret_key_env = \"{IN_TOML}\"")),
        ("", format!("[users]\nsecret_key = \"{IN_TOML}\"")),
    ] {
        scene.configure(deploy, &more);
        scene.call_in_every_way(2, &["config", "check"]);
        scene.expect(2, &["plan", "deploy", "-vv"]);
    }
    scene.nothing_was_said();
}

#[test]
fn a_secret_where_a_number_a_duration_or_a_word_belongs_is_not_repeated() {
    let scene = Scene::new("type");
    for key in ["keep_releases", "stop_timeout", "max_error_ratio", "on_failure", "strategy", "token", "build_deadline"]
    {
        scene.configure(&format!("{key} = \"{IN_WRONG_TYPE}\""), "");
        scene.call_in_every_way(2, &["config", "check"]);
    }
    for line in [
        format!("[prometheus]\nurl = \"{IN_WRONG_TYPE}\""),
        format!("[backup]\nkeep = \"{IN_WRONG_TYPE}\""),
        format!("[backup]\nenabled = \"{IN_WRONG_TYPE}\""),
        format!("[[health]]\nname = \"x\"\nurl = \"{IN_WRONG_TYPE}\""),
        format!("[[health]]\nname = \"x\"\nurl = \"http://127.0.0.1\"\nexpect = \"{IN_WRONG_TYPE}\""),
        format!("\"{IN_WRONG_TYPE}\" = 1"),
    ] {
        scene.configure("", &line);
        scene.call_in_every_way(2, &["config", "check"]);
    }
    scene.nothing_was_said();
}

#[test]
fn a_compose_file_that_cannot_be_interpolated_does_not_show_the_value() {
    let scene = Scene::new("interpolation");
    let good = std::fs::read_to_string(scene.project.path("compose.yaml")).unwrap();
    for line in [
        format!("SESSION_KEY: \"{IN_INTERPOLATION}${{BROKEN\""),
        format!("PLAIN_WORD: \"{IN_INTERPOLATION}${{BROKEN\""),
        format!("PLAIN_WORD: [\"{IN_INTERPOLATION}\"]"),
        format!("PLAIN_WORD: \"{IN_INTERPOLATION}\"\n    ports: \"{IN_INTERPOLATION}\""),
        format!("PLAIN_WORD: *{IN_INTERPOLATION}"),
    ] {
        scene.project.write("compose.yaml", &good.replace(&format!("SESSION_KEY: {IN_SESSION_KEY}"), &line));
        for verb in [&["plan", "deploy"][..], &["deploy", "--yes"], &["preflight"]] {
            for more in [&[][..], &["-vv", "--output", "json"]] {
                let (code, said) = scene.call(&[verb, more].concat());
                assert_ne!(code, 0, "{line} was taken:\n{said}");
            }
        }
    }
    scene.nothing_was_said();
}

#[test]
fn a_secret_whose_dollar_sign_was_not_escaped_is_not_shown_as_the_name_of_a_variable() {
    let scene = Scene::new("dollar");
    scene.project.set("SMTP_PASSWORD", WITH_SIGNS);
    for more in [&[][..], &["-vv", "--output", "json"]] {
        let said = scene.expect(0, &[&["plan", "deploy"][..], more].concat());
        assert!(said.contains("variable is not set"), "compose did not warn:\n{said}");
        scene.call(&[&["preflight"][..], more].concat());
    }
    scene.nothing_was_said();
}

#[test]
fn an_env_file_that_cannot_be_read_does_not_show_its_lines() {
    let scene = Scene::new("envfile");
    for text in [
        format!("BAD?NAME={IN_INTERPOLATION}\nOTHER={IN_LOG}\n"),
        format!("PASSWORD=\"{IN_INTERPOLATION}\nOTHER={IN_LOG}\n"),
        format!("{IN_INTERPOLATION} is no line\n"),
        format!("PLAIN=a${{{IN_INTERPOLATION}\n"),
    ] {
        private(&scene.project.path("release.env"), &text);
        for verb in [&["plan", "deploy"][..], &["preflight"]] {
            for more in [&[][..], &["-vv", "--output", "json"]] {
                let (code, said) = scene.call(&[verb, more].concat());
                assert_ne!(code, 0, "{text} was taken:\n{said}");
            }
        }
    }
    scene.nothing_was_said();
}
