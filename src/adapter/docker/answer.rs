//! What an answer of the engine means: it was away, the thing is not there, or it is an error.

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
}
