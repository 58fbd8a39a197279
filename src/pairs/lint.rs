//! What is wrong with a set of pairs as training data: leakage, duplicates, imbalance, texts that look unfinished.
//!
//! Only ready pairs are looked at, for only they are trained on.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Balance, Level, Pair, Split, Status, Tier, from_yaml, to_yaml};
use crate::config::yaml::Fault;

/// One thing to mend or to know, as `voicetune check` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    pub rule: Rule,
    /// The pair's id; none where the finding is about all of them.
    pub pair: Option<String>,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A pair's file cannot be used, or not quite.
    File,
    /// A config file cannot be used.
    Config,
    /// Nothing to train on.
    NoPairs,
    EmptyTier,
    /// Text of a held-out piece is, or may come to be, among the training pairs.
    Leakage,
    /// Two sources whose names differ in spelling only.
    SourceSpelling,
    /// One source has too large a share of the pairs.
    SourceShare,
    /// A source has fewer than 2 or more than 4 pairs.
    SourceCount,
    /// The same prompt and response twice.
    Duplicate,
    /// The same response twice in a tier.
    SameResponse,
    /// A tier-1 pair whose draft and finished piece are the same.
    Unedited,
    /// A response far shorter than its prompt.
    ShortResponse,
    /// A line `---` in the prose, which the plain format uses as its delimiter.
    Delimiter,
    /// A pair that a model sees only the beginning of, or not at all.
    Budget,
    /// Pairs or runs that git would carry to wherever the repository goes.
    Tracked,
}

/// How many tokens a pair has for a model, beside how many the model's config allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Budget {
    pub pair: String,
    pub model: String,
    pub tokens: usize,
    pub limit: usize,
}

/// Lints the ready pairs. Errors come first, then by rule and pair.
pub fn lint(pairs: &[Pair]) -> Vec<Finding> {
    let ready: Vec<Ready> = pairs.iter().filter(|pair| pair.status == Status::Ready).map(Ready::new).collect();
    let balance = Balance::of(pairs);
    if ready.is_empty() {
        return vec![no_pairs(&balance)];
    }
    let mut findings = Vec::new();
    findings.extend(empty_tiers(&balance));
    findings.extend(leaks_by_split(&ready));
    findings.extend(leaks_by_text(&ready));
    findings.extend(source_spellings(&balance));
    findings.extend(source_shares(&balance));
    findings.extend(source_counts(&balance));
    findings.extend(repeats(&ready));
    findings.extend(ready.iter().flat_map(texts));
    sort(&mut findings);
    findings
}

/// What there is to say about one pair as it is now, saved or not: what is wrong with it as a file, what is odd about its texts, and
/// those of `findings`, the last [`lint`] of all pairs, that other pairs have a part in. Cheap enough for every pause in typing.
pub fn findings_of(pair: &Pair, findings: &[Finding]) -> Vec<Finding> {
    let (_, faults) = from_yaml(&pair.id, &to_yaml(pair));
    let of_file = |(level, fault): (Level, Fault)| finding(level, Rule::File, Some(&pair.id), fault.message);
    let mut found: Vec<Finding> = faults.into_iter().map(of_file).collect();
    if pair.status == Status::Ready {
        let between = |f: &&Finding| f.pair.as_ref() == Some(&pair.id) && !TEXT_RULES.contains(&f.rule);
        found.extend(findings.iter().filter(between).cloned());
        found.extend(texts(&Ready::new(pair)));
    }
    sort(&mut found);
    found
}

/// A warning for each pair that is cut because it has too many tokens for a model.
pub fn over_budget(budgets: &[Budget]) -> Vec<Finding> {
    budgets
        .iter()
        .filter(|budget| budget.tokens > budget.limit)
        .map(|Budget { pair, model, tokens, limit }| Finding {
            level: Level::Warning,
            rule: Rule::Budget,
            pair: Some(pair.clone()),
            message: format!("{tokens} tokens for {model}, which takes {limit}: the paragraphs at its end are cut off"),
        })
        .collect()
}

/// Above this share of the ready pairs a source is too prominent: a warning, then an error.
const SHARE_WARNING: f64 = 0.15;
const SHARE_ERROR: f64 = 0.20;
/// With fewer ready pairs, as in a smoke test of 3, no spread could keep below those shares.
const SHARES_FROM: usize = 20;

/// A share of the draft's words below which an edit is rather an unfinished one.
const SHORTEST_EDIT: f64 = 1.0 / 3.0;

/// The rules that [`texts`] holds a pair to, on which no other pair has a bearing.
const TEXT_RULES: [Rule; 3] = [Rule::Unedited, Rule::ShortResponse, Rule::Delimiter];

fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| (a.level, a.rule, &a.pair).cmp(&(b.level, b.rule, &b.pair)));
}

fn finding(level: Level, rule: Rule, pair: Option<&str>, message: String) -> Finding {
    Finding { level, rule, pair: pair.map(String::from), message }
}

fn no_pairs(balance: &Balance) -> Finding {
    let drafts: usize = balance.tiers.iter().map(|tier| tier.draft).sum();
    let message = match drafts {
        0 => "there is no ready pair; write pairs/tier1/NAME.yaml and set `status: ready` in it".into(),
        n => {
            format!("there is no ready pair; {n} {} `status: draft`: set `status: ready` where the text is final", plural(n, "has", "have"))
        }
    };
    finding(Level::Error, Rule::NoPairs, None, message)
}

fn empty_tiers(balance: &Balance) -> Vec<Finding> {
    let empty = balance.tiers.iter().filter(|count| count.ready == 0);
    empty
        .map(|count| {
            let drafts = match count.draft {
                0 => String::new(),
                n => format!("; {n} {} a draft", plural(n, "is", "are each")),
            };
            finding(Level::Warning, Rule::EmptyTier, None, format!("{} has no ready pair{drafts}", count.tier.folder()))
        })
        .collect()
}

/// A ready pair with what its texts are compared by.
struct Ready<'a> {
    pair: &'a Pair,
    prompt: Text,
    response: Text,
}

impl<'a> Ready<'a> {
    fn new(pair: &'a Pair) -> Self {
        Ready { pair, prompt: Text::of(&pair.prompt), response: Text::of(&pair.response) }
    }
}

struct Text {
    words: usize,
    /// Of the text without what does not make it another text: blanks, line ends, upper case.
    digest: [u8; 32],
}

impl Text {
    fn of(text: &str) -> Self {
        let mut normal = String::with_capacity(text.len());
        let mut words = 0;
        for word in text.split_whitespace() {
            words += 1;
            match word.is_ascii() {
                true => normal.extend(word.bytes().map(|b| char::from(b.to_ascii_lowercase()))),
                false => normal.push_str(&word.to_lowercase()),
            }
            normal.push(' ');
        }
        Text { words, digest: Sha256::digest(normal).into() }
    }
}

/// Explicit validation pairs whose source also has explicit training pairs.
fn leaks_by_split(ready: &[Ready]) -> Vec<Finding> {
    let mut trained: BTreeMap<&str, &str> = BTreeMap::new();
    for Ready { pair, .. } in ready.iter().filter(|ready| ready.pair.split == Split::Train) {
        trained.entry(&pair.source).or_insert(&pair.id);
    }
    let held_out = ready.iter().map(|ready| ready.pair).filter(|pair| pair.split == Split::Validation);
    held_out
        .filter_map(|pair| {
            let trained = trained.get(pair.source.as_str())?;
            let message =
                format!("held out, but {trained} of the same source `{}` is trained on; give both the same split, or `auto`", pair.source);
            Some(finding(Level::Error, Rule::Leakage, Some(&pair.id), message))
        })
        .collect()
}

/// The same response under two sources: a split by source can put one on each side.
fn leaks_by_text(ready: &[Ready]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for group in group_by(ready, |ready| ready.response.digest).into_values() {
        for (i, pair) in group.iter().enumerate() {
            let Some(other) = group[..i].iter().find(|other| other.source != pair.source) else { continue };
            let opposite = |a: Split, b: Split| (a, b) == (Split::Train, Split::Validation);
            let level = match opposite(pair.split, other.split) || opposite(other.split, pair.split) {
                true => Level::Error,
                false => Level::Warning,
            };
            let message = format!(
                "the same response as {} under another source (`{}`, `{}`), so that a split by source may train on one and hold out the \
                 other; give both one source",
                other.id, pair.source, other.source
            );
            findings.push(finding(level, Rule::Leakage, Some(&pair.id), message));
        }
    }
    findings
}

fn source_spellings(balance: &Balance) -> Vec<Finding> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut sources: Vec<&str> = balance.sources.iter().map(|count| count.source.as_str()).collect();
    sources.sort_unstable();
    for source in sources {
        let letters: String = source.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        if letters.is_empty() {
            continue;
        }
        if let Some(first) = seen.get(&letters) {
            let message = format!("the sources `{first}` and `{source}` count as two pieces; if they are one, spell them alike");
            findings.push(finding(Level::Warning, Rule::SourceSpelling, None, message));
        } else {
            seen.insert(letters, source);
        }
    }
    findings
}

fn source_shares(balance: &Balance) -> Vec<Finding> {
    if balance.ready < SHARES_FROM {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for count in &balance.sources {
        let share = count.ready as f64 / balance.ready as f64;
        if share > SHARE_WARNING {
            let (level, limit) = if share > SHARE_ERROR { (Level::Error, SHARE_ERROR) } else { (Level::Warning, SHARE_WARNING) };
            let message = format!(
                "`{}` has {} of {} ready pairs, {:.0} % (above {:.0} %): the model would learn that piece; discard some or add others",
                count.source,
                count.ready,
                balance.ready,
                share * 100.0,
                limit * 100.0
            );
            findings.push(finding(level, Rule::SourceShare, None, message));
        }
    }
    findings
}

fn source_counts(balance: &Balance) -> Vec<Finding> {
    let sources = balance.sources.iter();
    sources
        .filter_map(|count| match count.ready {
            1 => Some((Level::Info, format!("`{}` has 1 ready pair; 2 to 4 a piece teach more", count.source))),
            2..=4 => None,
            n => Some((Level::Warning, format!("`{}` has {n} ready pairs; 2 to 4 a piece are enough", count.source))),
        })
        .map(|(level, message)| finding(level, Rule::SourceCount, None, message))
        .collect()
}

fn repeats(ready: &[Ready]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut reported = BTreeSet::new();
    for group in group_by(ready, |ready| (ready.prompt.digest, ready.response.digest)).into_values() {
        for pair in &group[1..] {
            reported.insert(&pair.id);
            let message = format!("the same prompt and response as {}; discard one", group[0].id);
            findings.push(finding(Level::Error, Rule::Duplicate, Some(&pair.id), message));
        }
    }
    for group in group_by(ready, |ready| (ready.pair.tier, ready.response.digest)).into_values() {
        for pair in group[1..].iter().filter(|pair| !reported.contains(&pair.id)) {
            // Two theses for one Note are a way to have more pairs.
            let message =
                format!("the same response as {} in this tier, so that it counts twice; fine where the prompts truly differ", group[0].id);
            findings.push(finding(Level::Info, Rule::SameResponse, Some(&pair.id), message));
        }
    }
    findings
}

/// What is odd about one pair's texts.
fn texts(Ready { pair, prompt, response }: &Ready) -> Vec<Finding> {
    let mut found = Vec::new();
    if pair.tier == Tier::Draft && prompt.digest == response.digest {
        found.push((Rule::Unedited, "draft and finished piece are the same, which teaches to change nothing; discard it".to_string()));
    }
    let (prompt, response) = (prompt.words, response.words);
    let short = match pair.tier {
        Tier::Draft => (response as f64) < prompt as f64 * SHORTEST_EDIT,
        Tier::Topic | Tier::Note => response < prompt,
        // A continuation may well be shorter than what it continues.
        Tier::Opening => false,
    };
    if short {
        found.push((
            Rule::ShortResponse,
            format!("{response} words answer {prompt}; check that the response is whole, and not in the prompt's place"),
        ));
    }
    for (key, text) in [("prompt", &pair.prompt), ("response", &pair.response)] {
        if text.lines().any(|line| line.trim() == "---") {
            found.push((
                Rule::Delimiter,
                format!("the {key} has a line ---, which parts prompt and response in the plain format; write ***"),
            ));
        }
    }
    found.into_iter().map(|(rule, message)| finding(Level::Warning, rule, Some(&pair.id), message)).collect()
}

fn group_by<'a, K: Ord>(ready: &[Ready<'a>], key: impl Fn(&Ready) -> K) -> BTreeMap<K, Vec<&'a Pair>> {
    let mut groups: BTreeMap<K, Vec<&Pair>> = BTreeMap::new();
    for one in ready {
        groups.entry(key(one)).or_default().push(one.pair);
    }
    groups
}

fn plural<'a>(n: usize, one: &'a str, many: &'a str) -> &'a str {
    if n == 1 { one } else { many }
}
