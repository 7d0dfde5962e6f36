//! The kept releases: which there are, which one is current, which runs on as a way back, how big each is, and whether it could
//! be brought back.

use serde_json::{Value, json};

use super::SCHEMA;
use super::style::{Paint, Style};
use super::table::{Cell, Table};
use super::text::{harmless, moment};
use crate::adapter::files::spoken_size;
use crate::release::{Origin, Release};

/// A release as it is kept; nothing stands where something was not asked.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The release.
    pub release: Release,
    /// Whether it is the current one.
    pub is_current: bool,
    /// Whether it runs beside the one that serves, so that a rollback starts nothing.
    pub is_warm: Option<bool>,
    /// Whether all its images are here.
    pub is_whole: Option<bool>,
    /// Bytes of its images, and of those that no other release has.
    pub size: Option<(u64, u64)>,
}

/// The releases, in the order given.
pub fn releases_text(releases: &[Kept], style: &Style) -> String {
    if releases.is_empty() {
        return "no release is recorded yet\n".into();
    }
    let mut table = Table::new(&["RELEASE", "NOW", "RECORDED", "RUN", "ORIGIN", "IMAGES", "SIZE", "ALONE", "SERVICES"]);
    for kept in releases {
        let release = &kept.release;
        let now = match (kept.is_current, kept.is_warm) {
            (true, _) => Cell::painted(Paint::Good, "current"),
            (false, Some(true)) => Cell::painted(Paint::Live, "warm"),
            (false, _) => "".into(),
        };
        let images = match kept.is_whole {
            Some(true) => Cell::painted(Paint::Good, "all kept"),
            Some(false) => Cell::painted(Paint::Bad, "missing"),
            None => Cell::painted(Paint::Faint, "not asked"),
        };
        let (size, alone) = match kept.size {
            Some((all, alone)) => (spoken_size(all).into(), spoken_size(alone).into()),
            None => (Cell::painted(Paint::Faint, "-"), Cell::painted(Paint::Faint, "-")),
        };
        let services: Vec<&str> = release.services.keys().map(String::as_str).collect();
        table.row(vec![
            release.name().into(),
            now,
            moment(&release.recorded_at).into(),
            release.run.to_string().into(),
            origin(release.origin).into(),
            images,
            size,
            alone,
            harmless(&services.join(", ")).into(),
        ]);
    }
    table.text(style, 0)
}

/// The releases for programs.
pub fn releases_json(releases: &[Kept]) -> Value {
    let value = |kept: &Kept| {
        let mut value = serde_json::to_value(&kept.release).unwrap_or_default();
        value["is_current"] = kept.is_current.into();
        value["is_warm"] = kept.is_warm.map_or(Value::Null, Value::from);
        value["is_whole"] = kept.is_whole.map_or(Value::Null, Value::from);
        value["image_bytes"] = kept.size.map_or(Value::Null, |(all, _)| all.into());
        value["image_bytes_alone"] = kept.size.map_or(Value::Null, |(_, alone)| alone.into());
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
        let kept = |number, is_current, is_whole: Option<bool>| Kept {
            release: release(number),
            is_current,
            is_warm: is_whole,
            is_whole,
            size: is_whole.map(|_| (3 * 1024 * 1024, 512)),
        };
        let releases = [kept(2, false, Some(false)), kept(3, true, Some(true)), kept(4, false, None)];
        let expected = "\
RELEASE  NOW      RECORDED                 RUN  ORIGIN    IMAGES     SIZE     ALONE  SERVICES
r2                2026-11-05 03:00:17 UTC  6    deployed  missing    3.0 MiB  512 B  backend
r3       current  2026-11-05 03:00:17 UTC  7    deployed  all kept   3.0 MiB  512 B  backend
r4                2026-11-05 03:00:17 UTC  8    deployed  not asked  -        -      backend
";
        assert_eq!(releases_text(&releases, &Style::plain(120)), expected);
        assert_eq!(releases_text(&[], &Style::plain(80)), "no release is recorded yet\n");
        let value = releases_json(&releases);
        assert_eq!(value["releases"][0]["is_whole"], false);
        assert_eq!(value["releases"][1]["is_current"], true);
        assert_eq!(
            (&value["releases"][2]["is_whole"], &value["releases"][2]["image_bytes"]),
            (&Value::Null, &Value::Null)
        );
        let warm = [Kept { is_warm: Some(true), ..kept(2, false, Some(true)) }];
        assert!(releases_text(&warm, &Style::plain(120)).contains("r2       warm "));
    }
}
