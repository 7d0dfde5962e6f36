//! A database of a test's own, and a directory to export it to.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use cutover::adapter::database::Place;
use cutover::adapter::files::sha256_of_file;
use cutover::adapter::process::Process;
use cutover::data::copy_text;
use cutover::data::digest::{Sum, of_row};
use cutover::data::json_rows::{Decoder, Reading};
use cutover::data::metadata::Metadata;
use cutover::redact::Redactor;
use cutover::rows::export::{Options, export};
use cutover::secret::Secret;
use tempfile::TempDir;

use crate::support::cluster::{Cluster, shared};

/// Users as Supabase keeps them, as far as it matters.
pub const AUTH: &str = "CREATE SCHEMA auth;
    CREATE TABLE auth.users (id uuid PRIMARY KEY, email text, encrypted_password text, recovery_token text, raw_user_meta_data jsonb,
        confirmed_at timestamptz GENERATED ALWAYS AS ('2026-01-01 00:00:00+00'::timestamptz) STORED);
    CREATE TABLE auth.identities (id uuid PRIMARY KEY, user_id uuid REFERENCES auth.users, provider text, identity_data jsonb);
    INSERT INTO auth.users (id, email, encrypted_password, recovery_token, raw_user_meta_data) VALUES
        ('00000000-0000-0000-0000-000000000001', 'ann@example.com', '$2a$10$secret', 'recovery-1', '{\"n\": 1}'),
        ('00000000-0000-0000-0000-000000000002', NULL, '', NULL, NULL);
    INSERT INTO auth.identities VALUES ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-000000000001', 'google', '{}');";

/// A database and a directory.
pub struct Site {
    pub cluster: Arc<Cluster>,
    pub database: String,
    pub said: Mutex<Vec<String>>,
    root: TempDir,
}

pub fn process() -> Process {
    Process::new(vec![("PATH".into(), "/usr/bin:/bin".into())], Redactor::default())
}

impl Site {
    /// A database in which these statements were run.
    pub fn new(statements: &str) -> Self {
        let cluster = shared();
        let database = cluster.database("export");
        cluster.sql(&database, statements);
        Self { cluster, database, said: Mutex::default(), root: TempDir::new().unwrap() }
    }

    pub fn root(&self) -> PathBuf {
        self.root.path().to_owned()
    }

    pub fn data(&self) -> PathBuf {
        self.root.path().join("migration-data")
    }

    pub fn options(&self) -> Options {
        Options::new(self.data())
    }

    pub fn place(&self) -> Place {
        Place::parse(&Secret::new(self.cluster.url(&self.database)), None).unwrap()
    }

    pub async fn export(&self, options: &Options) -> anyhow::Result<Metadata> {
        self.export_from(&self.place(), options).await
    }

    pub async fn export_from(&self, place: &Place, options: &Options) -> anyhow::Result<Metadata> {
        let say = |line: String| self.said.lock().unwrap().push(line);
        export(place, &process(), options, &say).await
    }

    /// The names of the files that are there, sorted.
    pub fn files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.data()) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What metadata.json says, if it is there.
    pub fn metadata(&self) -> Option<Metadata> {
        let bytes = std::fs::read(self.data().join("metadata.json")).ok()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    /// The rows of a table's file as COPY text.
    pub fn rows(&self, stem: &str) -> Vec<Vec<u8>> {
        let metadata = self.metadata().unwrap();
        let table = &metadata.tables[stem];
        let path = self.data().join(table.file.as_ref().unwrap());
        let file = std::fs::File::open(&path).unwrap();
        let columns: Vec<_> = table.columns.iter().map(|name| column(name)).collect();
        let input: Box<dyn std::io::Read> = if path.extension().is_some_and(|end| end == "zst") {
            Box::new(zstd::Decoder::new(file).unwrap())
        } else {
            Box::new(file)
        };
        let mut decoder = Decoder::new(input, stem, &columns, Reading::OURS);
        let (mut rows, mut row) = (Vec::new(), Vec::new());
        while decoder.row(&mut row).unwrap() {
            rows.push(std::mem::take(&mut row));
        }
        rows
    }

    /// Every file that metadata.json names has the size, digests and rows that it says.
    pub fn is_whole(&self) {
        let metadata = self.metadata().expect("there is no metadata.json");
        for (stem, table) in &metadata.tables {
            let (sha256, bytes) = sha256_of_file(&self.data().join(table.file.as_ref().unwrap())).unwrap();
            assert_eq!((Some(sha256), Some(bytes)), (table.sha256.clone(), table.bytes), "{stem}");
            let mut sum = Sum::default();
            self.rows(stem).iter().for_each(|row| sum.add(of_row(row)));
            assert_eq!((Some(sum), Some(sum.rows)), (table.digest, table.row_count), "{stem}");
        }
    }
}

fn column(name: &str) -> cutover::data::catalog::Column {
    let text = serde_json::json!({"name": name, "type_name": "text", "kind": "text", "is_required": false,
        "is_generated": false, "identity": null, "default": null});
    serde_json::from_value(text).unwrap()
}

/// What a table holds, read by one COPY, sorted.
pub async fn content(place: &Place, table: &str) -> Vec<Vec<u8>> {
    use futures_util::TryStreamExt;
    let session = place.connect("reader").await.unwrap();
    let stream = session.copy_out(&format!("COPY (SELECT * FROM {table}) TO STDOUT")).await.unwrap();
    let parts: Vec<_> = stream.try_collect().await.unwrap();
    let mut rows = Vec::new();
    let mut cut = copy_text::Rows::default();
    for part in parts {
        cut.feed(&part, |row| {
            rows.push(row.to_vec());
            Ok::<(), ()>(())
        })
        .unwrap();
    }
    rows.sort();
    rows
}
