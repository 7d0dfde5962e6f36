//! Parse, dispatch, exit code; nothing else happens here.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
