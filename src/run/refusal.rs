//! A run that is not begun: the reason in words, and the exit code that the contract gives it.

/// Why a run is not begun.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A check failed, the plan drifted, there is nothing to do; exit code 4.
    #[error("{0}")]
    Gate(String),
    /// An earlier run was interrupted; exit code 6.
    #[error("{0}")]
    Interrupted(String),
    /// An earlier run stands at a checkpoint and waits for a person; exit code 3.
    #[error("{0}")]
    Waiting(String),
    /// The call or the configuration cannot be carried out; exit code 2.
    #[error("{0}")]
    Usage(String),
}

impl Refusal {
    /// What the configuration does not give.
    pub fn usage(error: anyhow::Error) -> Self {
        Self::Usage(format!("{error:#}"))
    }
}
