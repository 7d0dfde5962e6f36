//! What an answer of the engine means: it was away, the thing is not there, or it is an error.

use std::io::ErrorKind;

use anyhow::Result;

/// Whether the engine was out of reach; then nothing is known about the world.
pub(super) fn is_away(error: &bollard::errors::Error) -> bool {
    use bollard::errors::Error;
    match error {
        Error::DockerResponseServerError { .. } | Error::JsonDataError { .. } => false,
        // The second is what a socket without a listener gives.
        Error::HyperResponseError { .. }
        | Error::HyperLegacyError { .. }
        | Error::IOError { .. }
        | Error::RequestTimeoutError
        | Error::SocketNotFoundError(_) => true,
        other => {
            let text = other.to_string();
            ["connect", "Connection", "closed", "timeout", "Timeout"].iter().any(|word| text.contains(word))
        }
    }
}

/// Why nobody answers at a socket, and what to do: by what trying it met, else in the client's own words.
pub(super) fn reason(met: Option<std::io::Error>, words: String) -> (String, &'static str) {
    const RUNNING: &str = "is it running? (systemctl status docker)";
    match met {
        Some(met) if met.kind() == ErrorKind::PermissionDenied => (
            "this user may not open that socket".to_owned(),
            "call cutover as root (sudo), or as a member of the group that owns the socket (docker)",
        ),
        Some(met) if met.kind() == ErrorKind::NotFound => ("there is no such socket".to_owned(), RUNNING),
        Some(met) => (met.to_string(), RUNNING),
        None => (words, RUNNING),
    }
}

/// What is not there is an answer, not an error.
pub(super) fn absent_is_none<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => match error.downcast_ref::<bollard::errors::Error>() {
            Some(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_without_a_listener_and_no_socket_at_all_mean_that_the_engine_is_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.sock");
        let engine = |path: &std::path::Path| {
            bollard::Docker::connect_with_unix(&path.display().to_string(), 5, bollard::API_DEFAULT_VERSION)
        };
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let client = engine(&path).unwrap();
        assert!(is_away(&client.ping().await.unwrap_err()), "nobody listens");
        std::fs::remove_file(&path).unwrap();
        assert!(is_away(&client.ping().await.unwrap_err()), "gone while it was in use");
        assert!(engine(&path).is_err_and(|error| is_away(&error)), "never there");
    }

    #[test]
    fn who_may_not_open_the_socket_is_told_so_and_not_to_look_whether_the_engine_runs() {
        let met = |kind: ErrorKind| reason(Some(kind.into()), "client error (Connect)".to_owned());
        let (why, advice) = met(ErrorKind::PermissionDenied);
        assert_eq!(why, "this user may not open that socket");
        assert!(advice.contains("as root") && !advice.contains("running"), "{advice}");
        assert_eq!(met(ErrorKind::NotFound).0, "there is no such socket");
        let (why, advice) = met(ErrorKind::ConnectionRefused);
        assert!(why.contains("refused") && advice.contains("systemctl status docker"), "{why}; {advice}");
        assert_eq!(reason(None, "timed out".to_owned()).0, "timed out");
    }
}
