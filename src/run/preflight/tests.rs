//! What is found in a small workspace, and the words for it.

use super::*;

const CONFIG: &str = "model: pocket:llama\nformat: plain\nmethod: lora\nbase_precision: f32\nsample_every: never\n";

fn workspace(pairs: usize) -> (tempfile::TempDir, Workspace) {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["pairs/tier2", "configs"] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    for i in 0..pairs {
        let text = format!("tier: 2\nsource: s{i}\nprompt: About a hat.\nresponse: The hat was late, {i} times.\nstatus: ready\n");
        std::fs::write(dir.path().join(format!("pairs/tier2/p{i}.yaml")), text).unwrap();
    }
    let workspace = Workspace::open(dir.path()).unwrap();
    (dir, workspace)
}

fn survey(free: u64) -> Survey {
    Survey { words: "CPU, 2 threads".into(), place: Place::Cpu, free: Some(free), no_bf16: None }
}

fn look(workspace: &Workspace, more: &str, free: u64) -> Preflight {
    let config = crate::config::parse("configs/c.yaml".as_ref(), &format!("{CONFIG}{more}")).unwrap();
    Preflight::look(workspace, config, workspace.templates().unwrap(), None, &survey(free)).0
}

/// The findings of a level, as lines.
fn at(preflight: &Preflight, level: Level) -> Vec<String> {
    let findings = preflight.findings.iter().filter(|f| f.level == level).cloned().collect();
    Preflight { findings }.lines()
}

#[test]
fn a_run_that_can_begin_is_told_in_a_few_lines() {
    let (_dir, workspace) = workspace(10);
    let preflight = look(&workspace, "validation: { fraction: 0.2 }\n", 8 << 30);
    assert_eq!((preflight.level(), preflight.findings.len()), (Level::Ok, 6));
    let lines = preflight.lines();
    assert_eq!(lines[0], "model       pocket:llama: an instruct model, 3.2 M parameters");
    assert_eq!(lines[1], "method      lora: adapters of rank 16 on frozen weights, 0.33 M parameters trained");
    assert!(lines[2].starts_with("pairs       8 to train on, 2 held out by source; "), "{}", lines[2]);
    assert_eq!(lines[3], "steps       24: 3 epochs of 8 examples, 1 a step");
    assert!(lines[4].starts_with("memory      about ") && lines[4].ends_with("; 8.0 GiB free on CPU, 2 threads"), "{}", lines[4]);
    assert!(lines[5].starts_with("disk        19.2 MiB for 4 checkpoints of 4.8 MiB; "), "{}", lines[5]);
}

#[test]
fn what_does_not_fit_a_line_goes_on_below_it() {
    let fact = Fact::Steps { steps: 66, epochs: 3, examples: 44, a_step: 2, last: Some(10) };
    let preflight = Preflight { findings: vec![Finding { level: Level::Ok, fact }] };
    let expected =
        ["steps       66: 3 epochs of 44 examples, 2 a step", "            ends after step 10; the learning rate goes by all 66"];
    assert_eq!(preflight.lines(), expected);
}

#[test]
fn what_ought_to_be_looked_at_is_a_warning() {
    let (dir, workspace) = workspace(4);
    std::fs::write(dir.path().join("pairs/tier2/broken.yaml"), "tier: 2\nsource: [\n").unwrap();
    let long = "tier: 2\nsource: long\nprompt: A.\nresponse: \"One word.\\n\\nAnd some more words.\"\nstatus: ready\n";
    std::fs::write(dir.path().join("pairs/tier2/long.yaml"), long).unwrap();
    let check = |more: &str, expected: &str| {
        let lines = at(&look(&workspace, more, 8 << 30), Level::Warning);
        assert!(lines.iter().any(|line| line.contains(expected)), "{expected}: {lines:?}");
    };
    check("validation: { fraction: 0 }\n", "none held out, so that memorising cannot be told from learning");
    check("max_tokens: 14\n", "left out    pairs/tier2/broken.yaml");
    check("max_tokens: 14\n", "left out    tier2/p0: not even the prompt");
    check("max_tokens: 14\n", "cut         tier2/long: ");
}

#[test]
fn what_stands_in_the_way_is_a_blocker() {
    let (_dir, workspace) = workspace(4);
    let check = |more: &str, free: u64, expected: &str| {
        let lines = at(&look(&workspace, more, free), Level::Blocker);
        assert!(lines.iter().any(|line| line.contains(expected)), "{expected}: {lines:?}");
    };
    check("lora: { targets: [c_attn] }\n", 8 << 30, "engine      lora target `c_attn` is no layer of this model");
    check("max_tokens: 2\n", 8 << 30, "pairs       none to train on");
    check("", 4 << 20, "too little for the weights");
    let config = crate::config::parse("c.yaml".as_ref(), &CONFIG.replace("pocket:llama", "no-such/model")).unwrap();
    let (preflight, prepared) = Preflight::look(&workspace, config, workspace.templates().unwrap(), None, &survey(8 << 30));
    let lines = at(&preflight, Level::Blocker);
    assert!(prepared.is_none() && lines[0].contains("`hf download no-such/model` fetches it"), "{lines:?}");
    assert!(preflight.findings.iter().any(|finding| matches!(finding.fact, Fact::Token(_))), "{preflight:?}");
}

#[test]
fn memory_is_judged_by_what_is_certain_and_by_the_estimate() {
    let needed = Estimate { weights: 60, trained: 10, moments: 10, activations: 10, working: 5, program: 5, trainable: 1 };
    let check = |free: Option<u64>, expected: Level| assert_eq!(memory_level(&needed, free), expected, "{free:?}");
    check(None, Level::Ok);
    check(Some(200), Level::Ok);
    check(Some(110), Level::Warning);
    check(Some(90), Level::Warning);
    check(Some(79), Level::Blocker);
}

#[test]
fn a_limit_that_cannot_be_kept_is_told_before_the_start() {
    let needed =
        Estimate { weights: 60 << 20, trained: 10 << 20, moments: 10 << 20, activations: 10 << 20, working: 0, program: 5, trainable: 1 };
    let check = |limit: u64, place: Place, level: Level, expected: &str| {
        let found = limit_level(&needed, limit << 20, place);
        assert_eq!((found, Fact::Limit { limit: limit << 20, needed, place }.words()), (level, vec![expected.to_owned()]));
    };
    check(100, Place::Gpu, Level::Ok, "tensors take about 90.0 MiB of the 100.0 MiB of memory_limit");
    check(90, Place::Gpu, Level::Ok, "tensors take about 90.0 MiB of the 90.0 MiB of memory_limit");
    check(
        89,
        Place::Gpu,
        Level::Warning,
        "even with every block recomputed tensors take about 90.0 MiB, more than memory_limit (89.0 MiB); raise it, or lower max_tokens or \
         batch",
    );
    check(
        79,
        Place::Gpu,
        Level::Blocker,
        "weights and what is trained take 80.0 MiB, more than memory_limit (79.0 MiB); raise it, or take a smaller model or method: lora",
    );
    check(100, Place::Cpu, Level::Warning, "memory_limit is for a GPU's memory; on the CPU it changes nothing");
}

/// Of a GPU that is not there: what is looked at is an estimate.
#[test]
fn a_limit_stands_below_the_memory_it_is_of() {
    let (_dir, workspace) = workspace(10);
    let look = |more: &str| {
        let config = crate::config::parse("configs/c.yaml".as_ref(), &format!("{CONFIG}validation: {{ fraction: 0.2 }}\n{more}")).unwrap();
        let device = Survey { words: "a GPU".into(), place: Place::Gpu, free: Some(8 << 30), no_bf16: None };
        Preflight::look(&workspace, config, workspace.templates().unwrap(), None, &device).0
    };
    let lines = look("memory_limit: 2\n").lines();
    assert!(lines[4].starts_with("memory      about ") && lines[5].starts_with("limit       tensors take about "), "{lines:?}");
    assert!(lines[5].ends_with(" of the 2.0 GiB of memory_limit"), "{lines:?}");
    assert_eq!(look("").findings.len() + 1, lines.len());
    assert_eq!(look("memory_limit: 0.001\n").level(), Level::Blocker);
}

#[test]
fn the_largest_micro_step_is_that_of_the_largest_examples() {
    let example = |pair: &str, length: usize, split: Part| Example {
        pair: pair.into(),
        split,
        ids: vec![1; length],
        mask: [vec![0; 2], vec![1; length - 2]].concat(),
        cut: false,
    };
    let examples =
        [example("a", 5, Part::Train), example("b", 9, Part::Train), example("c", 7, Part::Train), example("d", 20, Part::Validation)];
    let check = |batch: usize, [tokens, trained, longest]: [usize; 3]| {
        let config = crate::config::parse("c.yaml".as_ref(), &format!("{CONFIG}batch: {batch}\n")).unwrap();
        assert_eq!(largest_micro_step(&examples, &config), MicroStep { tokens, trained, longest });
    };
    check(1, [8, 7, 8]);
    check(2, [14, 12, 8]);
    check(8, [18, 15, 8]);
}
