//! Workspaces to work in.

use std::fs;
use std::path::Path;

/// A copy of the sample workspace to work in: its configs and the pairs that `choose` wants.
pub fn copy(folder: &Path, choose: impl Fn(&str) -> bool) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for part in ["configs", "pairs/tier1", "pairs/tier2", "pairs/tier3", "pairs/tier4"] {
        fs::create_dir_all(folder.join(part)).unwrap();
        for entry in fs::read_dir(root.join(part)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let id = format!("{}/{}", part.trim_start_matches("pairs/"), name.trim_end_matches(".yaml"));
            if path.is_file() && (part == "configs" || choose(&id)) {
                fs::copy(&path, folder.join(part).join(name)).unwrap();
            }
        }
    }
}
