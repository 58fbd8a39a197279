//! `voicetune completions SHELL`: a completion script on standard output.

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use super::Outcome;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  voicetune completions bash > ~/.local/share/bash-completion/completions/voicetune
  voicetune completions zsh > ~/.zfunc/_voicetune
  voicetune completions fish > ~/.config/fish/completions/voicetune.fish")]
pub struct Args {
    shell: Shell,
}

pub fn run(args: &Args) -> Result<Outcome> {
    // Written at once, for `generate` panics where the reader of a pipe has gone.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Args::command(), "voicetune", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script).context("the script could not be written to standard output")?;
    Ok(Outcome::Done)
}
