//! What a run would be, and whether it can be, before it starts: as data, and in the words that the command line and the interface
//! both show.

use std::path::Path;

use anyhow::Result;

use super::checkpoint::{self, bytes_in_words};
use super::journal::counted;
use super::plan::Plan;
use super::prepare::{Prepared, find_model};
use crate::config::{Config, Every, KeepBest, Method, Templates, Workspace};
use crate::dataset::batch::{Batch, Example, Part};
use crate::dataset::{Left, Shortened};
use crate::engine::device::{Place, Survey};
use crate::engine::memory::{self, Estimate, MicroStep};
use crate::hub::{Token, Tuning};
use crate::pairs::{self, Problem};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Ok,
    /// It can start; this ought to be looked at.
    Warning,
    /// It cannot start, or would fail at once.
    Blocker,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub level: Level,
    pub fact: Fact,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// The weights are there.
    Model {
        name: String,
        commit: Option<String>,
        tuning: Tuning,
        parameters: u64,
    },
    /// The model cannot be found, or is not complete; the message says what to do.
    NoModel(String),
    /// The data set cannot be built.
    NoData(String),
    /// The engine would not train this.
    Refused(String),
    /// What is trained, in numbers.
    Method {
        method: Method,
        rank: usize,
        trainable: u64,
    },
    /// Tokens are those of an epoch; `limit` is the most an example may have.
    Pairs {
        train: usize,
        held_out: usize,
        tokens: usize,
        limit: usize,
    },
    Unread(Problem),
    LeftOut(Left),
    Cut(Shortened),
    Canaries(String),
    /// `last`: where the run is to end before its last step.
    Steps {
        steps: usize,
        epochs: usize,
        examples: usize,
        a_step: usize,
        last: Option<usize>,
    },
    Memory {
        device: String,
        needed: Estimate,
        free: Option<u64>,
    },
    /// What the config lets tensors take of a GPU.
    Limit {
        limit: u64,
        needed: Estimate,
        place: Place,
    },
    /// Room for `kept` checkpoints of `each` bytes.
    Disk {
        each: u64,
        kept: usize,
        free: Option<u64>,
    },
    /// Asked of models from the hub only.
    Token(Token),
}

/// Everything that was looked at, in the order in which it is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Preflight {
    pub findings: Vec<Finding>,
}

/// Whether free memory is enough is an estimate's word: below this share of it nothing is said.
const COMFORTABLE: f64 = 0.85;

impl Preflight {
    /// Looks at a run that could begin. `runs` is the folder it would be made in; `last` where it is to end early.
    pub fn of(prepared: &Prepared, device: &Survey, runs: &Path, last: Option<usize>) -> Preflight {
        let mut preflight = Preflight::default();
        preflight.model(prepared);
        let needed = needed(prepared, device);
        if let Ok(needed) = &needed {
            let (method, rank) = (prepared.config.method, prepared.config.lora.rank);
            preflight.add(Level::Ok, Fact::Method { method, rank, trainable: needed.trainable });
        }
        preflight.data(prepared, last);
        match needed {
            Ok(needed) => {
                preflight.add(memory_level(&needed, device.free), Fact::Memory { device: device.words.clone(), needed, free: device.free });
                if let Some(limit) = prepared.config.memory_limit.bytes() {
                    let place = device.place;
                    preflight.add(limit_level(&needed, limit, place), Fact::Limit { limit, needed, place });
                }
                preflight.disk(prepared, needed.trainable, runs);
            }
            Err(error) => preflight.add(Level::Blocker, Fact::Refused(format!("{error:#}"))),
        }
        preflight
    }

    /// Looks at what a config would do, whatever is wrong with it: what stands in the way is a blocker among the findings, and there
    /// is nothing prepared then.
    pub fn look(
        workspace: &Workspace,
        config: Config,
        templates: Templates,
        only: Option<Vec<String>>,
        device: &Survey,
    ) -> (Preflight, Option<Prepared>) {
        let found = match find_model(workspace.root(), &config.model, &config.revision) {
            Ok(found) => found,
            Err(error) => return (Preflight::without_model(workspace, &config, &error), None),
        };
        match Prepared::with_model(workspace, config, templates, only, found) {
            Ok(prepared) => (Preflight::of(&prepared, device, &workspace.runs(), None), Some(prepared)),
            Err(error) => {
                let mut preflight = Preflight::default();
                preflight.add(Level::Blocker, Fact::NoData(format!("{error:#}")));
                preflight.unread(&pairs::load(&workspace.pairs()).1);
                (preflight, None)
            }
        }
    }

    /// Each finding as a line, its topic first; what does not fit one line goes on below it.
    pub fn lines(&self) -> Vec<String> {
        let of_fact = |fact: &Fact| -> Vec<String> {
            let topics = std::iter::once(fact.topic()).chain(std::iter::repeat(""));
            topics.zip(fact.words()).map(|(topic, words)| format!("{topic:<12}{words}")).collect()
        };
        self.findings.iter().flat_map(|finding| of_fact(&finding.fact)).collect()
    }

    /// The heaviest level there is.
    pub fn level(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }

    fn without_model(workspace: &Workspace, config: &Config, error: &anyhow::Error) -> Preflight {
        let mut preflight = Preflight::default();
        preflight.add(Level::Blocker, Fact::NoModel(format!("{error:#}")));
        if crate::hub::is_hub_id(&config.model) {
            let token = Token::from_env();
            preflight.add(if token == Token::Absent { Level::Warning } else { Level::Ok }, Fact::Token(token));
        }
        preflight.unread(&pairs::load(&workspace.pairs()).1);
        preflight
    }

    fn add(&mut self, level: Level, fact: Fact) {
        self.findings.push(Finding { level, fact });
    }

    fn model(&mut self, prepared: &Prepared) {
        let files = &prepared.files;
        let (name, commit) = (files.name.clone(), files.commit.clone());
        self.add(Level::Ok, Fact::Model { name, commit, tuning: files.tuning, parameters: prepared.spec.parameters() });
        if files.commit.is_some() {
            self.add(Level::Ok, Fact::Token(Token::from_env()));
        }
    }

    fn unread(&mut self, problems: &[Problem]) {
        for problem in problems.iter().filter(|problem| problem.level == pairs::Level::Error) {
            self.add(Level::Warning, Fact::Unread(problem.clone()));
        }
    }

    fn data(&mut self, prepared: &Prepared, last: Option<usize>) {
        let config = &prepared.config;
        let tokens = prepared.part(Part::Train).map(|e| e.ids.len()).sum();
        let (train, held_out) = (prepared.part(Part::Train).count(), prepared.part(Part::Validation).count());
        let level = match (train, held_out) {
            (0, _) => Level::Blocker,
            (_, 0) => Level::Warning,
            _ => Level::Ok,
        };
        let limit = config.max_tokens.min(prepared.spec.context());
        self.add(level, Fact::Pairs { train, held_out, tokens, limit });
        self.unread(&prepared.problems);
        prepared.left.iter().for_each(|left| self.add(Level::Warning, Fact::LeftOut(left.clone())));
        prepared.shortened.iter().for_each(|short| self.add(Level::Warning, Fact::Cut(short.clone())));
        prepared.canaries.notes.iter().for_each(|note| self.add(Level::Warning, Fact::Canaries(note.clone())));
        let steps = prepared.steps();
        let last = last.filter(|&last| last < steps);
        self.add(Level::Ok, Fact::Steps { steps, epochs: config.epochs, examples: train, a_step: config.batch * config.accumulate, last });
    }

    fn disk(&mut self, prepared: &Prepared, trainable: u64, runs: &Path) {
        let config = &prepared.config;
        let each = checkpoint::bytes(trainable, config.optimizer.state);
        let best = config.keep_best == KeepBest::Validation && config.evaluate_every != Every::Never;
        let kept = checkpoint::most_at_once(config.keep_checkpoints, best).min(prepared.steps());
        // The folder of a first run is not there yet.
        let free = runs.ancestors().find_map(|folder| fs4::available_space(folder).ok());
        let level = match free {
            Some(free) if free < each => Level::Blocker,
            Some(free) if free < each * kept as u64 => Level::Warning,
            _ => Level::Ok,
        };
        self.add(level, Fact::Disk { each, kept, free });
    }
}

fn memory_level(needed: &Estimate, free: Option<u64>) -> Level {
    match free {
        Some(free) if needed.certain() > free => Level::Blocker,
        Some(free) if needed.total() as f64 > free as f64 * COMFORTABLE => Level::Warning,
        _ => Level::Ok,
    }
}

/// Nothing comes on top of what tensors take, so the limit itself is the border.
fn limit_level(needed: &Estimate, limit: u64, place: Place) -> Level {
    match place {
        Place::Gpu if needed.certain() > limit => Level::Blocker,
        Place::Gpu if needed.tensors() <= limit => Level::Ok,
        Place::Gpu | Place::Cpu => Level::Warning,
    }
}

fn needed(prepared: &Prepared, device: &Survey) -> Result<Estimate> {
    let step = largest_micro_step(&prepared.examples, &prepared.config);
    memory::estimate(&prepared.spec, &prepared.config, step, device)
}

/// What no micro-step of a run exceeds: that of its largest examples, packed as the run packs them.
fn largest_micro_step(examples: &[Example], config: &Config) -> MicroStep {
    let largest = |mut sizes: Vec<usize>| {
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes.iter().take(config.batch).sum()
    };
    let packed: Vec<Batch> = Plan::new(examples, config).train.into_iter().map(|example| Batch::pack([example])).collect();
    MicroStep {
        tokens: largest(packed.iter().map(|batch| batch.tokens.len()).collect()),
        trained: largest(packed.iter().map(Batch::trained_tokens).collect()),
        longest: packed.iter().map(|batch| batch.tokens.len()).max().unwrap_or(0),
    }
}

impl Fact {
    /// A word or two, for the margin.
    pub fn topic(&self) -> &'static str {
        match self {
            Fact::Model { .. } | Fact::NoModel(_) => "model",
            Fact::NoData(_) | Fact::Pairs { .. } => "pairs",
            Fact::Refused(_) => "engine",
            Fact::Method { .. } => "method",
            Fact::Unread(_) | Fact::LeftOut(_) => "left out",
            Fact::Cut(_) => "cut",
            Fact::Canaries(_) => "canaries",
            Fact::Steps { .. } => "steps",
            Fact::Memory { .. } => "memory",
            Fact::Limit { .. } => "limit",
            Fact::Disk { .. } => "disk",
            Fact::Token(_) => "hub token",
        }
    }

    /// In words, a line each.
    pub fn words(&self) -> Vec<String> {
        let line = match self {
            Fact::Model { name, commit, tuning, parameters } => {
                let commit = commit.as_ref().map_or(String::new(), |commit| format!(" at {}", &commit[..commit.len().min(10)]));
                format!("{name}{commit}: {}, {} parameters", tuning.words(), millions(*parameters))
            }
            Fact::NoModel(message) | Fact::NoData(message) | Fact::Refused(message) => message.clone(),
            Fact::Method { method: Method::Lora, rank, trainable } => {
                format!("lora: adapters of rank {rank} on frozen weights, {:.2} M parameters trained", *trainable as f64 / 1e6)
            }
            Fact::Method { method: Method::Full, trainable, .. } => format!("full: all {} parameters trained", millions(*trainable)),
            Fact::Pairs { train: 0, .. } => "none to train on: every pair was held out or left out".into(),
            Fact::Pairs { train, held_out, tokens, limit } => {
                let held_out = match held_out {
                    0 => "none held out, so that memorising cannot be told from learning".into(),
                    n => format!("{n} held out by source"),
                };
                format!("{train} to train on, {held_out}; {tokens} tokens an epoch, at most {limit} a pair")
            }
            Fact::Unread(problem) => problem.to_string(),
            Fact::LeftOut(left) => {
                let size = if left.tokens > 0 { format!(" ({} tokens, limit {})", left.tokens, left.limit) } else { String::new() };
                format!("{}: {}{size}", left.pair, left.reason)
            }
            Fact::Cut(short) => {
                let fell = counted(short.cut.paragraphs, "paragraph");
                format!("{}: {} of {} tokens kept, {fell} fell off", short.pair, short.tokens - short.cut.tokens, short.tokens)
            }
            Fact::Canaries(note) => note.clone(),
            Fact::Steps { steps, epochs, examples, a_step, last } => {
                let (epochs, examples) = (counted(*epochs, "epoch"), counted(*examples, "example"));
                let all = format!("{steps}: {epochs} of {examples}, {a_step} a step");
                return [all]
                    .into_iter()
                    .chain(last.map(|n| format!("ends after step {n}; the learning rate goes by all {steps}")))
                    .collect();
            }
            Fact::Memory { device, needed, free } => memory_in_words(device, needed, *free),
            Fact::Limit { place: Place::Cpu, .. } => "memory_limit is for a GPU's memory; on the CPU it changes nothing".into(),
            Fact::Limit { limit, needed, place } => limit_in_words(*limit, needed, limit_level(needed, *limit, *place)),
            Fact::Disk { each, kept, free } => {
                let free = free.map_or(String::new(), |free| format!("; {} free", bytes_in_words(free)));
                format!("{} for {} of {}{free}", bytes_in_words(each * *kept as u64), counted(*kept, "checkpoint"), bytes_in_words(*each))
            }
            Fact::Token(Token::Environment) => "there, in HF_TOKEN".into(),
            Fact::Token(Token::File) => "there, from `hf auth login`".into(),
            Fact::Token(Token::Absent) => "none; gated models such as Llama 3.1 are fetched with one: `hf auth login`".into(),
        };
        vec![line]
    }
}

fn memory_in_words(device: &str, needed: &Estimate, free: Option<u64>) -> String {
    let parts =
        [("weights", needed.weights), ("training", needed.trained + needed.moments), ("activations", needed.activations + needed.working)];
    let parts: Vec<String> = parts.iter().map(|(name, bytes)| format!("{name} {}", bytes_in_words(*bytes))).collect();
    let about = format!("about {} ({})", bytes_in_words(needed.total()), parts.join(", "));
    let Some(free) = free else { return format!("{about} on {device}") };
    let advice = match memory_level(needed, Some(free)) {
        Level::Ok => "",
        Level::Warning => ": it may run out; lower max_tokens or batch, or set recompute: block",
        Level::Blocker => ": too little for the weights and what is trained; take a smaller model, method: lora, or a bigger machine",
    };
    format!("{about}; {} free on {device}{advice}", bytes_in_words(free))
}

fn limit_in_words(limit: u64, needed: &Estimate, level: Level) -> String {
    let (limit, tensors, certain) = (bytes_in_words(limit), bytes_in_words(needed.tensors()), bytes_in_words(needed.certain()));
    match level {
        Level::Ok => format!("tensors take about {tensors} of the {limit} of memory_limit"),
        Level::Warning => format!(
            "even with every block recomputed tensors take about {tensors}, more than memory_limit ({limit}); raise it, or lower \
             max_tokens or batch"
        ),
        Level::Blocker => format!(
            "weights and what is trained take {certain}, more than memory_limit ({limit}); raise it, or take a smaller model or method: lora"
        ),
    }
}

/// `3.2 M`, `8.03 B`.
fn millions(n: u64) -> String {
    if n >= 1_000_000_000 { format!("{:.2} B", n as f64 / 1e9) } else { format!("{:.1} M", n as f64 / 1e6) }
}

#[cfg(test)]
mod tests;
