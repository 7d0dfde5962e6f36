//! Tools: the docker command-line client. All other tools come from the images of the stack.

use rustix::fs::{Access, access};

use super::Ask;
use super::finding::Found;

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let Some(path) = ask.asked.docker_cli.clone() else {
        return Found::fail(
            "no docker command-line client was found in PATH",
            "install docker-cli and its compose plugin, or put their directory into PATH",
        );
    };
    let shown = path.display().to_string();
    match ask.files(shown.clone(), move || access(&path, Access::EXEC_OK)).await {
        Ok(Ok(())) => Found::ok(shown),
        Ok(Err(error)) => Found::fail(format!("{shown} cannot be run: {error}"), "install docker-cli again"),
        Err(found) => found,
    }
}
