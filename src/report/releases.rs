//! The kept releases: which there are, which one is current, and whether each could be brought back.

use serde_json::{Value, json};

use super::SCHEMA;
use super::style::{Paint, Style};
use super::table::{Cell, Table};
use super::text::{harmless, moment};
use crate::release::{Origin, Release};

/// A release, whether it is the current one, and whether all its images are here (where that was asked).
pub type Kept = (Release, bool, Option<bool>);

/// The releases, in the order given.
pub fn releases_text(releases: &[Kept], style: &Style) -> String {
    if releases.is_empty() {
        return "no release is recorded yet\n".into();
    }
    let mut table = Table::new(&["RELEASE", "NOW", "RECORDED", "RUN", "ORIGIN", "IMAGES", "SERVICES"]);
    for (release, is_current, is_whole) in releases {
        let current = if *is_current { Cell::painted(Paint::Good, "current") } else { "".into() };
        let images = match is_whole {
            Some(true) => Cell::painted(Paint::Good, "all kept"),
            Some(false) => Cell::painted(Paint::Bad, "missing"),
            None => Cell::painted(Paint::Faint, "not asked"),
        };
        let services: Vec<&str> = release.services.keys().map(String::as_str).collect();
        table.row(vec![
            release.name().into(),
            current,
            moment(&release.recorded_at).into(),
            release.run.to_string().into(),
            origin(release.origin).into(),
            images,
            harmless(&services.join(", ")).into(),
        ]);
    }
    table.text(style, 0)
}

/// The releases for programs.
pub fn releases_json(releases: &[Kept]) -> Value {
    let value = |(release, is_current, is_whole): &Kept| {
        let mut value = serde_json::to_value(release).unwrap_or_default();
        value["is_current"] = (*is_current).into();
        value["is_whole"] = is_whole.map_or(Value::Null, Value::from);
        value
    };
    json!({ "schema": SCHEMA, "releases": releases.iter().map(value).collect::<Vec<_>>() })
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Deployed => "deployed",
        Origin::Adopted => "adopted",
        Origin::Reconstructed => "read back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::pages::release;

    #[test]
    fn the_current_release_and_a_missing_image_can_be_seen() {
        let releases = [(release(2), false, Some(false)), (release(3), true, Some(true)), (release(4), false, None)];
        let expected = "\
RELEASE  NOW      RECORDED                 RUN  ORIGIN    IMAGES     SERVICES
r2                2026-11-05 03:00:17 UTC  6    deployed  missing    backend
r3       current  2026-11-05 03:00:17 UTC  7    deployed  all kept   backend
r4                2026-11-05 03:00:17 UTC  8    deployed  not asked  backend
";
        assert_eq!(releases_text(&releases, &Style::plain(80)), expected);
        assert_eq!(releases_text(&[], &Style::plain(80)), "no release is recorded yet\n");
        let value = releases_json(&releases);
        assert_eq!(value["releases"][0]["is_whole"], false);
        assert_eq!(value["releases"][1]["is_current"], true);
        assert_eq!(value["releases"][2]["is_whole"], Value::Null);
    }
}
