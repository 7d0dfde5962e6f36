//! What can be typed after `cutover data`.

use clap::{Args, Subcommand};

use crate::cli::backup::Side;
use crate::cli::global::duration;

/// `data`.
#[derive(Args, Debug)]
pub struct Data {
    /// What to do
    #[command(subcommand)]
    pub what: DataVerb,
}

/// What can be done with rows.
#[derive(Debug, Subcommand)]
pub enum DataVerb {
    /// Reach both databases; say what they are, what this role may do there, and what stands in the way
    Connections,
    /// Make an account in the new service for every user, and write the mapping of ids
    Users(Users),
    /// Write the mapping of ids anew, from the accounts that are there
    MapUsers(MapUsers),
    /// Compare every row of the target with the source, or with the export; name what differs
    Verify(Verify),
    /// Write every chosen table of the source into files, all of one moment
    Export(Export),
    /// Fill the target from the files: everything, with keys and sequences in place, or nothing
    Import(Import),
    /// Fill the target from the source without files, with the same guarantees
    Copy(Fill),
    /// Remove password hashes and unfinished files; with --all everything that cutover wrote there
    Purge(Purge),
    /// Tell apart what was written to the target since the import: a change file, and CSV files for people
    Diff(Diff),
    /// Write such changes to the source, ids mapped back, and count them there
    Apply(Apply),
    /// Let nobody write to the source (or the target) any more, and prove it
    Freeze(Freeze),
    /// Let it take writes again, exactly as before
    Unfreeze(Freeze),
}

/// `data users`.
#[derive(Args, Debug)]
pub struct Users {
    /// Say what would be made; the service is only read
    #[arg(long)]
    pub dry_run: bool,
    /// Of several users with one e-mail address, let the first keep it (else nothing is begun)
    #[arg(long)]
    pub keep_first: bool,
    /// Take an account that was there before for the user with the same address, where both have it confirmed
    #[arg(long)]
    pub link_existing: bool,
}

/// `data map-users`.
#[derive(Args, Debug)]
pub struct MapUsers {
    /// Say what would be mapped, write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `data verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// Compare with the exported files instead of the source
    #[arg(long)]
    pub files: bool,
    /// Only these tables
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub table: Vec<String>,
    /// Count rows, do not compare them: nothing passes then, it is a warning at best
    #[arg(long)]
    pub skip_checksum: bool,
    /// End at the first table that fails
    #[arg(long)]
    pub fail_fast: bool,
    /// Compare this share of the rows, such as 10%
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "100%")]
    pub sample: u8,
    /// Where the report is written (verification-report.json in the data directory)
    #[arg(long, value_name = "FILE")]
    pub report: Option<std::path::PathBuf>,
}

fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<u8>().ok();
    number.filter(|percent| (1..=100).contains(percent)).ok_or_else(|| format!("{text:?} is no share from 1% to 100%"))
}

/// `data export`.
#[derive(Args, Debug)]
pub struct Export {
    /// Only these tables
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub table: Vec<String>,
    /// Leave out tables of the size data.large and more
    #[arg(long)]
    pub skip_large: bool,
    /// Leave the users' table, with passwords and identities, where it is
    #[arg(long)]
    pub skip_users: bool,
    /// Where the files go, instead of data.directory
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<std::path::PathBuf>,
    /// Compress the files (TABLE.json.zst), whatever data.compress says
    #[arg(long, value_name = "WHETHER", num_args = 0..=1, default_missing_value = "true")]
    pub compress: Option<bool>,
    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,
}

/// `data diff`.
#[derive(Args, Debug)]
pub struct Diff {
    /// Only these tables
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub table: Vec<String>,
    /// What the target was filled from, where its own record does not tell
    #[arg(long, value_enum)]
    pub baseline: Option<BaselineAt>,
    /// Where the files are written (a directory of its own in exports, in the state directory)
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<std::path::PathBuf>,
}

/// What a target was filled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BaselineAt {
    /// The exported files, with the mapping.
    Files,
    /// The source itself, if nobody wrote to it since.
    Source,
}

/// `data apply`.
#[derive(Args, Debug)]
pub struct Apply {
    /// The change file that `data diff` or a rollback wrote
    pub file: std::path::PathBuf,
    /// Keep ids of accounts that only the new service has as they are (else nothing is begun)
    #[arg(long)]
    pub keep_new_accounts: bool,
    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,
}

/// `data import`.
#[derive(Args, Debug)]
pub struct Import {
    /// Where the files are, instead of data.directory
    #[arg(long, value_name = "DIR")]
    pub input_dir: Option<std::path::PathBuf>,
    /// How the target is filled
    #[command(flatten)]
    pub fill: Fill,
}

/// What `data import` and `data copy` share.
#[derive(Args, Debug)]
pub struct Fill {
    /// Only these tables
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub table: Vec<String>,
    /// Accepted for those who know it: foreign keys are set aside and validated in any case
    #[arg(long)]
    pub disable_fk: bool,
    /// Remove the target's rows first; wants a verified backup of them, and the phrase "data ENVIRONMENT" by --confirm
    #[arg(long)]
    pub truncate_first: bool,
    /// The backup under which rows are removed (the newest verified one of the target)
    #[arg(long, value_name = "ID", requires = "truncate_first")]
    pub backup: Option<String>,
    /// Let ids without an account stay as they are in this column, beside those that data.unmapped names
    #[arg(long, value_name = "TABLE.COLUMN", value_delimiter = ',', value_parser = column)]
    pub allow_unmapped: Vec<String>,
    /// Leave every user id as it is, although [users] or data.user_columns say that ids change
    #[arg(long)]
    pub without_mapping: bool,
    /// Fill the target although the source still takes writes: what is written there after the export is lost
    #[arg(long)]
    pub live_source: bool,
    /// Show the plan, read and check everything, and stop
    #[arg(long)]
    pub dry_run: bool,
}

fn column(text: &str) -> Result<String, String> {
    let is_both = text.rsplit_once('.').is_some_and(|(table, column)| !table.is_empty() && !column.is_empty());
    if is_both { Ok(text.to_owned()) } else { Err(format!("{text:?} names no column; write TABLE.COLUMN")) }
}

/// `data purge`.
#[derive(Args, Debug)]
pub struct Purge {
    /// The exported tables, users and reports too; wants the phrase "purge ENVIRONMENT" by --confirm
    #[arg(long)]
    pub all: bool,
    /// Of this directory instead of data.directory
    #[arg(long, value_name = "DIR")]
    pub output_dir: Option<std::path::PathBuf>,
    /// Say what would be removed, and stop
    #[arg(long)]
    pub dry_run: bool,
}

/// `data freeze` and `data unfreeze`.
#[derive(Args, Debug)]
pub struct Freeze {
    /// Which database
    #[arg(long, value_enum, default_value = "source")]
    pub of: Side,
    /// The longest wait for sessions and transactions of others
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub deadline: std::time::Duration,
    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,
}
