//! Parse, dispatch, exit code; nothing else happens here.

fn main() -> std::process::ExitCode {
    cutover::cli::main().into()
}
