//! The `voicetune` program. Everything is in the library; this maps its outcome to an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    voicetune::cli::main()
}
