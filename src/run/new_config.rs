//! An edited config as a file of its own in `configs/`. Nothing is overwritten: a run that was made from a config can be compared
//! with it.

use std::path::PathBuf;

use anyhow::Result;

use super::folder::check_name;
use super::private;
use crate::config::{Config, Workspace, form};

/// Writes `config` as `configs/<name>.yaml`, and returns its path. `from` is the text of the file that was edited, whose comments are
/// kept.
///
/// # Errors
/// If the name cannot be a file's, is taken, or the file cannot be written.
pub fn save_as(workspace: &Workspace, name: &str, config: &Config, from: &str) -> Result<PathBuf> {
    let name = name.trim().trim_end_matches(".yaml");
    check_name(name)?;
    let path = workspace.new_config(name)?;
    private::create_file(&path, form::file_text(config, from).as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_saved_beside_the_others_and_over_none() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["pairs", "configs"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let workspace = Workspace::open(dir.path()).unwrap();
        let from = "# mine\nmodel: pocket:llama\nformat: chat\nmethod: lora\nepochs: 3 # few\n";
        let before = crate::config::parse("configs/first.yaml".as_ref(), from).unwrap();
        let config = form::with(&before, "epochs", "20").unwrap();
        let path = save_as(&workspace, "overfit-3.1", &config, from).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), from.replace("epochs: 3 # few", "epochs: 20"));
        assert_eq!(workspace.config("overfit-3.1").unwrap(), Config { name: "overfit-3.1".into(), ..config.clone() });
        let check = |name: &str, expected: &str| {
            let message = save_as(&workspace, name, &config, from).unwrap_err().to_string();
            assert!(message.contains(expected), "{message} does not say {expected}");
        };
        check("overfit-3.1.yaml", "configs/overfit-3.1.yaml is there already");
        check("sampling", "configs/sampling.yaml is not a training config");
        check("../x", "`../x` cannot be a name");
    }
}
