//! The one table of exit codes. Scripts lean on it; it never changes.

use crate::config::Problems;
use crate::journal::lock::LockError;
use crate::journal::{JournalError, Outcome};
use crate::run::Refusal;

/// Done.
pub const DONE: u8 = 0;
/// Failed; the world is unchanged or fully put back.
pub const FAILED: u8 = 1;
/// Usage or configuration.
pub const USAGE: u8 = 2;
/// Waiting for an approval: this run, or the one that is open and stands in the way of this call.
pub const WAITING: u8 = 3;
/// A gate refused: check failed, plan drifted, nothing to do; or a run failed and was held, as configured.
pub const REFUSED: u8 = 4;
/// Another run holds the lock.
pub const LOCKED: u8 = 5;
/// Interrupted; `cutover resume` is needed.
pub const INTERRUPTED: u8 = 6;
/// It failed and was rolled back; the old state was observed.
pub const ROLLED_BACK: u8 = 7;
/// A rollback did not finish; a person is needed.
pub const STUCK: u8 = 8;

/// The code of an outcome.
pub fn of_outcome(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Done => DONE,
        Outcome::Unchanged => FAILED,
        Outcome::RolledBack => ROLLED_BACK,
        Outcome::Held => REFUSED,
        Outcome::Stuck => STUCK,
    }
}

/// The code of an error.
pub fn of_error(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return match refusal {
                Refusal::Gate(_) => REFUSED,
                Refusal::Interrupted(_) => INTERRUPTED,
                Refusal::Waiting(_) => WAITING,
                Refusal::Usage(_) => USAGE,
            };
        }
        if cause.is::<Problems>() {
            return USAGE;
        }
        if let Some(LockError::Held(_)) = cause.downcast_ref::<LockError>() {
            return LOCKED;
        }
        if cause.is::<crate::watch::keep::Watched>() {
            return LOCKED;
        }
        if cause.is::<MidRun>() {
            return INTERRUPTED;
        }
    }
    FAILED
}

/// The journal failed while a run was at work: what was begun is not known to have ended.
#[derive(Debug, thiserror::Error)]
#[error("the run was stopped because its journal could not be written; make room, then `cutover resume`")]
pub struct MidRun(#[source] pub JournalError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_the_code_of_the_contract() {
        let code = |refusal: Refusal| of_error(&anyhow::Error::from(refusal).context("while planning"));
        assert_eq!(code(Refusal::Gate(String::new())), 4);
        assert_eq!(code(Refusal::Interrupted(String::new())), 6);
        assert_eq!(code(Refusal::Waiting(String::new())), 3);
        assert_eq!(code(Refusal::Usage(String::new())), 2);
        assert_eq!(of_error(&anyhow::anyhow!("anything else")), 1);
    }

    #[test]
    fn each_outcome_has_the_code_of_the_contract() {
        let codes =
            [Outcome::Done, Outcome::Unchanged, Outcome::Held, Outcome::RolledBack, Outcome::Stuck].map(of_outcome);
        assert_eq!(codes, [0, 1, 4, 7, 8]);
    }
}
