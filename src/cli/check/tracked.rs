//! Whether git tracks what a writer has not published: it goes wherever the repository goes, and stays in its history.

use std::process::{Command, Stdio};

use crate::config::Workspace;
use crate::pairs::{Finding, Level, Rule};
use crate::run::journal::counted;

/// A warning for each of `pairs/` and `runs/` that has tracked files. None where there is no git, or no repository.
pub(super) fn findings(workspace: &Workspace) -> Vec<Finding> {
    ["pairs", "runs"].into_iter().filter_map(|folder| finding(folder, tracked(workspace, folder)?)).collect()
}

fn finding(folder: &str, files: usize) -> Option<Finding> {
    let message = format!(
        "{} in {folder}/ tracked by git, and with the repository everything in them goes to wherever it is pushed; `git rm -r --cached \
         {folder}` and a line /{folder}/ in .gitignore take them out of the next commit, the earlier ones keep them",
        counted(files, "file")
    );
    (files > 0).then_some(Finding { level: Level::Warning, rule: Rule::Tracked, pair: None, message })
}

/// The number of tracked files in a folder of the workspace; git's own marker files do not count.
fn tracked(workspace: &Workspace, folder: &str) -> Option<usize> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(workspace.root())
        // A repository that came from elsewhere must not run its programs here.
        .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "ls-files", "-z", "--", folder])
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let names = listed.stdout.split(|&b| b == 0).filter(|name| !name.is_empty());
    listed.status.success().then(|| names.filter(|name| !name.ends_with(b".gitkeep") && !name.ends_with(b".gitignore")).count())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn git(folder: &Path, args: &[&str]) {
        assert!(Command::new("git").arg("-C").arg(folder).args(args).stdout(Stdio::null()).status().unwrap().success());
    }

    #[test]
    fn tracked_pairs_are_said_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["pairs/tier1", "configs", "runs"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let workspace = Workspace::open(dir.path()).unwrap();
        fs::write(dir.path().join("pairs/tier1/a\nb.yaml"), "x").unwrap();
        fs::write(dir.path().join("runs/.gitkeep"), "").unwrap();
        assert_eq!(findings(&workspace), [], "no repository");
        git(dir.path(), &["init", "-q"]);
        assert_eq!(findings(&workspace), [], "nothing is tracked");
        git(dir.path(), &["add", "."]);
        let found = findings(&workspace);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.starts_with("1 file in pairs/ tracked by git"), "{}", found[0].message);
        git(dir.path(), &["rm", "-r", "-q", "--cached", "pairs"]);
        assert_eq!(findings(&workspace), []);
    }
}
