//! Source to target without files, as a plain owner: every row arrives as it was, or the target stays as it was.

#![allow(clippy::disallowed_methods, reason = "tests start servers as a person would")]

mod support;

use std::sync::OnceLock;

use cutover::adapter::database::Place;
use cutover::rows::copy::{self, Options};
use cutover::rows::filling::Filling;
use cutover::rows::import::{self, ImportState, Imported};
use cutover::secret::Secret;
use support::cluster::Cluster;
use support::odd::{self, ROLE, ROLE_PASSWORD};
use tempfile::TempDir;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::new(&["fsync = off"]);
        odd::make_role(&cluster);
        cluster
    })
}

fn place(database: &str) -> Place {
    Place::parse(&Secret::new(cluster().url_of(ROLE, ROLE_PASSWORD, database)), None).unwrap()
}

/// A source with the odd schema and its rows, and a target with the schema alone.
struct Pair {
    source: String,
    target: String,
    state: TempDir,
}

impl Pair {
    fn new(label: &str) -> Self {
        let source = odd::database(cluster(), label);
        odd::sql(cluster(), &source, odd::SCHEMA);
        Self {
            target: odd::make_target(cluster(), &source, &format!("{label}_to")),
            source,
            state: TempDir::new().unwrap(),
        }
    }

    fn options(&self) -> Options {
        let filling = Filling { state: self.state.path().to_owned(), workers: 3, ..Filling::default() };
        Options { filling, is_source_frozen: true }
    }

    async fn copy(&self, options: &Options) -> anyhow::Result<Imported> {
        copy::copy(&place(&self.source), &place(&self.target), options, &|_| {}).await
    }

    async fn state(&self, options: &Options) -> ImportState {
        let identity = copy::identity(&place(&self.source), options).unwrap();
        import::state(&place(&self.target), &options.filling, &identity).await.unwrap()
    }

    /// Schema and rows of the target.
    fn target(&self) -> (String, String) {
        (odd::schema_of(cluster(), &self.target), odd::content_of(cluster(), &self.target))
    }

    /// What of ours is left in the target.
    fn left(&self) -> String {
        cluster().sql(&self.target, "SELECT to_regnamespace('_cutover') IS NOT NULL")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_schema_arrives_row_for_row_and_everything_set_aside_is_back() {
    let pair = Pair::new("odd");
    let (schema, _) = pair.target();
    let imported = pair.copy(&pair.options()).await.unwrap();
    let (after, content) = pair.target();
    odd::same(&content, &odd::content_of(cluster(), &pair.source));
    odd::same(&after, &schema);
    assert_eq!(
        imported.tables.iter().map(|table| table.rows).sum::<u64>(),
        3 + 5 + 500 + 300 + 4 + 700 + 2 + 3 + 2 + 1 + 2
    );
    assert!(matches!(pair.state(&pair.options()).await, ImportState::Complete { imported: done } if done == imported));
    assert_eq!(pair.state.path().read_dir().unwrap().count(), 0, "the record of what is set aside is left");
    // A second call finds it done, and taking it back leaves the target as it was.
    assert_eq!(pair.copy(&pair.options()).await.unwrap(), imported);
}
