//! Source to target without files, as a plain owner: every row arrives as it was, or the target stays as it was.

#![allow(clippy::disallowed_methods, reason = "tests start servers as a person would")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;

use std::sync::Arc;

use cutover::adapter::database::Place;
use cutover::rows::copy::{self, Options};
use cutover::rows::filling::Filling;
use cutover::rows::import::{self, ImportState, Imported};
use cutover::secret::Secret;
use support::cluster::Cluster;
use support::odd::{self, ROLE, ROLE_PASSWORD};
use tempfile::TempDir;

/// A source with the odd schema and its rows, and a target with the schema alone.
struct Pair {
    cluster: Arc<Cluster>,
    source: String,
    target: String,
    state: TempDir,
}

impl Pair {
    fn new(label: &str) -> Self {
        let cluster = odd::shared();
        let source = odd::database(&cluster, label);
        odd::sql(&cluster, &source, odd::SCHEMA);
        Self {
            target: odd::make_target(&cluster, &source, &format!("{label}_to")),
            source,
            cluster,
            state: TempDir::new().unwrap(),
        }
    }

    fn place(&self, database: &str) -> Place {
        Place::parse(&Secret::new(self.cluster.url_of(ROLE, ROLE_PASSWORD, database)), None).unwrap()
    }

    fn options(&self) -> Options {
        let filling = Filling { state: self.state.path().to_owned(), workers: 3, ..Filling::default() };
        Options { filling, is_source_frozen: true }
    }

    async fn copy(&self, options: &Options) -> anyhow::Result<Imported> {
        copy::copy(&self.place(&self.source), &self.place(&self.target), options, &|_| {}).await
    }

    async fn state(&self, options: &Options) -> ImportState {
        let identity = copy::identity(&self.place(&self.source), options).unwrap();
        import::state(&self.place(&self.target), &options.filling, &identity).await.unwrap()
    }

    /// Schema and rows of the target.
    fn target(&self) -> (String, String) {
        (odd::schema_of(&self.cluster, &self.target), odd::content_of(&self.cluster, &self.target))
    }

    /// Sees that the target is as it was, and holds nothing of ours.
    fn is_as_it_was(&self, before: &(String, String)) {
        let after = self.target();
        odd::same(&after.0, &before.0);
        odd::same(&after.1, &before.1);
        assert_eq!(self.cluster.sql(&self.target, "SELECT to_regnamespace('_cutover') IS NULL"), "t");
    }
}

/// What was done, without how long it took: a number of seconds may lose its last bit in a record.
fn timeless(imported: &Imported) -> Imported {
    let mut imported = imported.clone();
    imported.seconds = 0.0;
    imported.tables.iter_mut().for_each(|table| table.seconds = 0.0);
    imported
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_schema_arrives_row_for_row_and_everything_set_aside_is_back() {
    let pair = Pair::new("odd");
    let (schema, _) = pair.target();
    let imported = pair.copy(&pair.options()).await.unwrap();
    let (after, content) = pair.target();
    odd::same(&content, &odd::content_of(&pair.cluster, &pair.source));
    odd::same(&after, &schema);
    assert_eq!(
        imported.tables.iter().map(|table| table.rows).sum::<u64>(),
        3 + 5 + 500 + 300 + 4 + 700 + 2 + 3 + 2 + 1 + 2
    );
    assert!(
        matches!(pair.state(&pair.options()).await, ImportState::Complete { imported: done, .. } if timeless(&done) == timeless(&imported))
    );
    assert_eq!(pair.state.path().read_dir().unwrap().count(), 0, "the record of what is set aside is left");
    // A second call finds it done, and taking it back leaves the target as it was.
    assert_eq!(pair.copy(&pair.options()).await.unwrap(), imported);
    let identity = copy::identity(&pair.place(&pair.source), &pair.options()).unwrap();
    assert_eq!(identity.len(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_taken_back_leaves_the_target_as_it_was() {
    let pair = Pair::new("undone");
    let before = pair.target();
    pair.copy(&pair.options()).await.unwrap();
    import::undo(&pair.place(&pair.target), &pair.options().filling, &|_| {}).await.unwrap();
    pair.is_as_it_was(&before);
    assert_eq!(pair.state(&pair.options()).await, ImportState::Untouched);
}

/// One row of many that the target does not take, in a table of several ranges.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_target_refuses_is_named_and_takes_everything_back() {
    let pair = Pair::new("refused");
    odd::sql(&pair.cluster, &pair.target, "ALTER TABLE composite ADD CONSTRAINT small CHECK (c < 500)");
    let before = pair.target();
    let error = format!("{:#}", pair.copy(&pair.options()).await.unwrap_err());
    pair.is_as_it_was(&before);
    assert!(error.contains("composite of the source") && error.contains("small") && error.contains("500"), "{error}");
    assert!(error.contains("the target is as it was"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_mapped_on_the_way_and_one_without_an_account_is_seen_before_anything_changes() {
    let pair = Pair::new("mapped");
    odd::sql(
        &pair.cluster,
        &pair.source,
        "CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY); CREATE TABLE owned (id int, by uuid REFERENCES auth.users)",
    );
    odd::sql(&pair.cluster, &pair.target, "CREATE TABLE owned (id int, by uuid)");
    let ids = "INSERT INTO auth.users SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid FROM generate_series(0, 2) i;
        INSERT INTO owned SELECT row_number() OVER (), id FROM auth.users; INSERT INTO owned VALUES (4, NULL)";
    odd::sql(&pair.cluster, &pair.source, ids);
    let user = |number: u32| {
        serde_json::json!({"supabaseUserId": format!("00000000-0000-4000-8000-{number:012}"),
            "stackAuthUserId": format!("90000000-0000-4000-8000-{number:012}"), "migratedAt": ""})
    };
    let path = pair.state.path().join("user-mapping.json");
    let write = |users: Vec<serde_json::Value>| {
        let file = serde_json::json!({"generatedAt": "", "retainUntil": "", "mappings": users});
        std::fs::write(&path, file.to_string()).unwrap();
    };
    let mut options = pair.options();
    options.filling.mapping = Some(path.clone());
    write(vec![user(0), user(1)]);
    let before = pair.target();
    let error = format!("{:#}", pair.copy(&options).await.unwrap_err());
    pair.is_as_it_was(&before);
    let expected = "owned: column by: 1 row with an id that has no account (00000000-0000-4000-8000-000000000002 …)";
    assert!(error.contains(expected), "{error}");
    write(vec![user(0), user(1), user(2)]);
    let imported = pair.copy(&options).await.unwrap();
    let owned = imported.tables.iter().find(|table| table.table.name == "owned").unwrap();
    assert!(owned.is_read && owned.digest.is_some_and(|digest| digest.rows == 4));
    assert_eq!(
        pair.cluster.sql(&pair.target, "SELECT string_agg(left(by::text, 1), '' ORDER BY id) FROM owned"),
        "999"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_connections_were_cut_goes_on_or_begins_anew() {
    for is_source_frozen in [true, false] {
        let pair = Pair::new("cut");
        let (schema, _) = pair.target();
        let options = Options { is_source_frozen, ..pair.options() };
        let is_cut = std::sync::atomic::AtomicBool::new(false);
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE application_name = 'cutover' AND datname = current_database()";
        let say = |line: String| {
            if line.contains(" rows, ") && !is_cut.swap(true, std::sync::atomic::Ordering::SeqCst) {
                pair.cluster.sql(&pair.target, cut);
            }
        };
        let error = copy::copy(&pair.place(&pair.source), &pair.place(&pair.target), &options, &say).await.unwrap_err();
        assert!(import::is_interrupted(&error), "{error:#}");
        assert_eq!(pair.state(&options).await, ImportState::Partial);
        pair.copy(&options).await.unwrap();
        odd::same(&pair.target().0, &schema);
        odd::same(&pair.target().1, &odd::content_of(&pair.cluster, &pair.source));
    }
}
