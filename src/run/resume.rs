//! Whether a run can go on as it began: what changed since, in words.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::folder::Run;
use super::manifest::{Model, config_changes};
use super::prepare::Prepared;
use crate::config::{Config, Workspace};
use crate::dataset::batch::Example;

/// How many changed pairs are named.
const NAMED: usize = 5;

/// Prepares a run once more, with this config or the one it names, and refuses where it would not go on as it began.
pub fn prepare(workspace: &Workspace, run: &Run, config: Option<Config>) -> Result<Prepared> {
    let manifest = &run.manifest;
    // The config's file may have been renamed or removed; the manifest holds all of it.
    let config = config.unwrap_or_else(|| workspace.config(&manifest.config.name).unwrap_or_else(|_| manifest.config.clone()));
    let now = Prepared::new(workspace, config, workspace.templates()?, manifest.only_pairs.clone())?;
    let changes = changes(run, &now)?;
    if !changes.is_empty() {
        bail!(
            "{}: cannot go on as it began, because this changed:\n  {}\nUndo the changes, start a new run, or use `voicetune train --resume \
             {0} --force` to go on with the run's own config and data set",
            run.folder_name(),
            changes.join("\n  ")
        );
    }
    Ok(now)
}

/// What is different now from when the run was made, a line each; nothing where the run would go on exactly.
pub fn changes(run: &Run, now: &Prepared) -> Result<Vec<String>> {
    let mut changes: Vec<String> =
        config_changes(&run.manifest.config, &now.config)?.into_iter().map(|change| format!("config {change}")).collect();
    let (was, is) = (&run.manifest.model, Model::of(&now.files, &now.config));
    if was.commit != is.commit {
        let word = |commit: &Option<String>| commit.clone().unwrap_or_else(|| "no commit".into());
        changes.push(format!("model {}: {} -> {}", was.name, word(&was.commit), word(&is.commit)));
    }
    if run.manifest.templates != now.templates {
        changes.push("templates.yaml: the templates differ".into());
    }
    if run.manifest.data.hash != now.data_hash {
        changes.push(data_change(&run.examples()?, &now.examples));
    }
    Ok(changes)
}

fn data_change(was: &[Example], is: &[Example]) -> String {
    let map = |examples: &[Example]| examples.iter().map(|e| (e.pair.clone(), e.clone())).collect::<BTreeMap<_, _>>();
    let (was, is) = (map(was), map(is));
    let gone = was.keys().filter(|id| !is.contains_key(*id)).map(|id| format!("{id} is gone"));
    let new = is.keys().filter(|id| !was.contains_key(*id)).map(|id| format!("{id} is new"));
    let edited = is.iter().filter_map(|(id, example)| match was.get(id) {
        Some(before) if before.split != example.split => Some(format!("{id} moved to the other part of the split")),
        Some(before) if before != example => Some(format!("{id} was edited")),
        _ => None,
    });
    let mut all: Vec<String> = gone.chain(new).chain(edited).collect();
    let more = all.len().saturating_sub(NAMED);
    all.truncate(NAMED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("data set: {}{more}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::batch::Part;

    fn example(pair: &str, id: u32, split: Part) -> Example {
        Example { pair: pair.into(), split, ids: vec![id], mask: vec![1], cut: false }
    }

    #[test]
    fn changed_pairs_are_named() {
        let check = |was: &Example, is: &Example, expected: &str| {
            assert_eq!(data_change(std::slice::from_ref(was), std::slice::from_ref(is)), expected);
        };
        let a = example("tier1/a", 1, Part::Train);
        let b = example("tier1/b", 2, Part::Train);
        check(&a, &b, "data set: tier1/a is gone, tier1/b is new");
        check(&a, &example("tier1/a", 9, Part::Train), "data set: tier1/a was edited");
        check(&a, &example("tier1/a", 1, Part::Validation), "data set: tier1/a moved to the other part of the split");
        let many: Vec<Example> = (0..7).map(|i| example(&format!("tier1/{i}"), i, Part::Train)).collect();
        let named = "tier1/0 is new, tier1/1 is new, tier1/2 is new, tier1/3 is new, tier1/4 is new";
        assert_eq!(data_change(&[], &many), format!("data set: {named}, and 2 more"));
    }
}
