//! `voicetune init DIR`: makes a private workspace, and never overwrites anything.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Outcome;
use crate::config::{EMBEDDED, Workspace};
use crate::pairs::{Tier, create_atomically};

#[derive(Debug, clap::Args)]
#[command(after_help = "Folders and files can be read by you only, and a .gitignore keeps pairs/ and runs/ out of git.
In a folder that is a workspace already, what is missing is added; nothing is overwritten.

Examples:
  voicetune init ~/writing/voice
  voicetune init .")]
pub struct Args {
    /// The folder: new, empty, or already a workspace
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let made = create(&args.dir)?;
    for path in &made {
        say!("made {}", path.display());
    }
    let mut out = std::io::stdout();
    out.write_all(next_steps(&args.dir, made.is_empty()).as_bytes()).context("cannot write to standard output")?;
    Ok(Outcome::Done)
}

const GITIGNORE: &str = "# What you write, and what is trained on it, stays out of git.\n/pairs/\n/runs/\n*.tmp\n";
const CANARIES: &str = include_str!("init/canaries.yaml");
const EXAMPLE: &str = include_str!("init/example.yaml");

/// Makes the folder a workspace and returns what was made.
fn create(dir: &Path) -> Result<Vec<PathBuf>> {
    let fresh = is_fresh(dir)?;
    let mut made = Vec::new();
    let folders = ["", "pairs", "configs", "runs"].map(PathBuf::from);
    let tiers = Tier::ALL.map(|tier| Path::new("pairs").join(tier.folder()));
    for folder in folders.iter().chain(&tiers) {
        make_folder(&dir.join(folder), &mut made)?;
    }
    if fresh {
        // An empty folder that was there already is made private as well.
        fs::set_permissions(dir, Permissions::from_mode(0o700)).with_context(|| format!("{}: cannot be made private", dir.display()))?;
        // Only now, so that an example once deleted does not come back.
        make_file(&dir.join("pairs/tier1/example.yaml"), EXAMPLE, &mut made)?;
    }
    make_file(&dir.join(".gitignore"), GITIGNORE, &mut made)?;
    make_file(&dir.join("configs/canaries.yaml"), CANARIES, &mut made)?;
    for (name, text) in EMBEDDED {
        make_file(&dir.join("configs").join(name), text, &mut made)?;
    }
    Ok(made)
}

/// Whether the folder is new or empty. One with other things in it is refused unless it is a workspace.
fn is_fresh(dir: &Path) -> Result<bool> {
    match fs::read_dir(dir).map(Iterator::count) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("{}: cannot be made a workspace", dir.display())),
        Ok(0) => Ok(true),
        Ok(_) if Workspace::open(dir).is_ok() => Ok(false),
        Ok(_) => bail!("{}: not empty, and not a workspace; choose a new or an empty folder", dir.display()),
    }
}

fn make_folder(folder: &Path, made: &mut Vec<PathBuf>) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    made.push(folder.to_path_buf());
    Ok(())
}

fn make_file(file: &Path, text: &str, made: &mut Vec<PathBuf>) -> Result<()> {
    match create_atomically(file, |out| out.write_all(text.as_bytes())) {
        Ok(()) => made.push(file.to_path_buf()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("{}: cannot be made", file.display())),
    }
    Ok(())
}

fn next_steps(dir: &Path, complete: bool) -> String {
    let dir = dir.display();
    let state = if complete { "is a complete workspace; nothing was changed" } else { "is a workspace, readable by you only" };
    format!(
        "{dir} {state}. Next, in that folder:
  pairs/tier1/example.yaml        shows what a pair looks like; write yours beside it, one file a pair
  voicetune check                 says what is missing in the pairs, and which are too long for a model
  voicetune train CONFIG          fine-tunes; `pocket-llama-lora` needs neither network nor GPU
Before the first run, put your topics into configs/canaries.yaml.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_workspace_is_private_whole_and_clean() {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("a/voice");
        for path in create(&dir).unwrap() {
            assert_eq!(mode(&path), if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        }
        let workspace = Workspace::find(Some(&dir)).unwrap();
        assert_eq!(workspace.canaries().unwrap().len(), 3);
        for config in workspace.training_configs().unwrap() {
            crate::config::load(&config).unwrap();
        }
        let (found, problems) = pairs::load(&workspace.pairs());
        assert_eq!(problems, []);
        assert_eq!(found.iter().map(|pair| (pair.id.as_str(), pair.status)).collect::<Vec<_>>(), [("tier1/example", pairs::Status::Draft)]);
        assert!(fs::read_to_string(dir.join(".gitignore")).unwrap().lines().any(|line| line == "/pairs/"));
    }

    #[test]
    fn an_empty_folder_is_made_private() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        create(dir.path()).unwrap();
        assert_eq!(mode(dir.path()), 0o700);
    }

    #[test]
    fn a_second_time_adds_what_is_missing_and_overwrites_nothing() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path()).unwrap();
        let [kept, deleted] = ["sampling.yaml", "rubric.yaml"].map(|name| dir.path().join("configs").join(name));
        fs::write(&kept, "samples: 3\n").unwrap();
        fs::remove_file(&deleted).unwrap();
        fs::remove_file(dir.path().join("pairs/tier1/example.yaml")).unwrap();
        assert_eq!(create(dir.path()).unwrap(), [deleted]);
        assert_eq!(fs::read_to_string(kept).unwrap(), "samples: 3\n");
        assert_eq!(create(dir.path()).unwrap(), [] as [PathBuf; 0]);
    }

    #[test]
    fn a_folder_with_other_things_is_refused_and_untouched() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("novel.md"), "Call me").unwrap();
        let error = create(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("not empty, and not a workspace; choose a new or an empty folder"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("voice");
        fs::write(&file, "").unwrap();
        let error = format!("{:#}", create(&file).unwrap_err());
        assert!(error.starts_with(&format!("{}: cannot be made a workspace: ", file.display())), "{error}");
    }
}
