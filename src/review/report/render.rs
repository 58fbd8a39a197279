//! The report as HTML and as Markdown: two templates over the same data. What comes from files or models is escaped by the formatter, wherever a
//! template puts it; nothing in the page is loaded from elsewhere.

use anyhow::{Context, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, Output, State, UndefinedBehavior, context};

use super::chart::Course;
use super::{Report, chart, shown};
use crate::review::surprisal::{DIFFERENCE, SURPRISE, Shade, View, shade};
use crate::review::voice::table::{Compared, CurvePoint, LengthRow, VoiceArm};
use crate::review::voice::{CURVE_STEP, VoiceTable};
use crate::run::journal::duration;

const HTML: &str = "report.html";
const MARKDOWN: &str = "report.md";

/// One page, complete in itself.
pub fn html(report: &Report) -> Result<String> {
    let charts: Vec<Option<String>> = report.runs.iter().map(|run| chart::losses(&run.curve)).collect();
    let (curve, lengths) = (chart::course(&type_token_curve(&report.voice)), chart::course(&sentence_lengths(&report.voice)));
    let steps = context! { surprise => SURPRISE, difference => DIFFERENCE };
    let (compared, style) = (compared(report), include_str!("templates/report.css"));
    render(HTML, context! { report => data(report)?, charts, curve, lengths, words => telling_words(report)?, steps, compared, style })
}

/// The same without the pictures.
pub fn markdown(report: &Report) -> Result<String> {
    render(MARKDOWN, context! { report => data(report)?, words => telling_words(report)?, compared => compared(report) })
}

/// As many as a reader looks at.
const TELLING_WORDS: usize = 12;

/// The function words at which an arm stands farthest from her.
fn telling_words(report: &Report) -> Result<Value> {
    let words: Vec<_> = report.voice.telling_words().into_iter().take(TELLING_WORDS).collect();
    Ok(value(serde_json::to_value(words).context("the report cannot be rendered")?))
}

fn type_token_curve(voice: &VoiceTable) -> Course {
    // A number below every fourth point.
    let place = |point: &CurvePoint| if point.words.is_multiple_of(4 * CURVE_STEP) { point.words.to_string() } else { String::new() };
    Course {
        label: "different words among the first words of a text".into(),
        places: voice.curve.iter().map(place).collect(),
        unit: "words",
        hers: voice.curve.iter().map(|point| (point.compared.hers, point.compared.spread)).collect(),
        arms: courses(voice, voice.curve.iter().map(|point| &point.compared)),
        is_share: false,
    }
}

fn sentence_lengths(voice: &VoiceTable) -> Course {
    let place = |row: &LengthRow| row.to.map_or(format!("{}+", row.from), |to| format!("{}–{to}", row.from));
    Course {
        label: "share of the sentences by their length".into(),
        places: voice.lengths.iter().map(place).collect(),
        unit: "words a sentence",
        hers: voice.lengths.iter().map(|row| (row.compared.hers, row.compared.spread)).collect(),
        arms: courses(voice, voice.lengths.iter().map(|row| &row.compared)),
        is_share: true,
    }
}

/// Each arm's values along some rows.
fn courses<'c>(voice: &VoiceTable, rows: impl Iterator<Item = &'c Compared> + Clone) -> Vec<(String, Vec<Option<f64>>)> {
    let arm =
        |(at, arm): (usize, &VoiceArm)| (arm.label.clone(), rows.clone().map(|row| row.values[at].map(|value| value.value)).collect());
    voice.arms.iter().enumerate().map(arm).collect()
}

/// The arms that have outputs at any temperature, each once.
fn compared(report: &Report) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for arm in report.temperatures.iter().flat_map(|part| &part.arms).map(|arm| arm.arm.to_string()) {
        if !names.contains(&arm) {
            names.push(arm);
        }
    }
    names
}

/// What `--json` prints, for the templates.
fn data(report: &Report) -> Result<Value> {
    Ok(value(serde_json::to_value(report).context("the report cannot be rendered")?))
}

fn value(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(bool) => Value::from(bool),
        Json::Number(number) => {
            let whole = number.as_u64().map(Value::from).or_else(|| number.as_i64().map(Value::from));
            whole.or_else(|| number.as_f64().map(Value::from)).unwrap_or_default()
        }
        Json::String(text) => Value::from(text),
        Json::Array(all) => all.into_iter().map(value).collect(),
        Json::Object(map) => Value::from_pairs(map.into_iter().map(|(key, json)| (key, value(json)))),
    }
}

fn render(name: &str, data: Value) -> Result<String> {
    let made = || -> Result<String, Error> {
        let mut environment = Environment::new();
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| if name == HTML { AutoEscape::Html } else { AutoEscape::Custom("markdown".into()) });
        environment.set_formatter(format);
        environment.add_filter("fixed", |value: Option<f64>, digits: usize| figure(value, |value| shown::fixed(value, digits)));
        environment.add_filter("signed", |value: Option<f64>, digits: usize| figure(value, |value| shown::signed(value, digits)));
        environment.add_filter("percent", |value: Option<f64>| figure(value, |value| format!("{} %", shown::fixed(100.0 * value, 0))));
        environment.add_filter("interval", interval);
        environment.add_filter("duration", duration);
        environment.add_filter("whisker", whisker);
        environment.add_filter("marked", marked);
        environment.add_filter("heat", heat);
        environment.add_filter("commands", commands);
        environment.add_filter("quoted", |text: &str| Value::from_safe_string(shown::quote_markdown(&shown::visible(text))));
        environment.add_template(HTML, include_str!("templates/report.html"))?;
        environment.add_template(MARKDOWN, include_str!("templates/report.md"))?;
        environment.get_template(name)?.render(data)
    };
    made().with_context(|| format!("{name}: the report cannot be rendered"))
}

fn format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let plain = value.is_safe() || matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
    let text = match (plain, state.auto_escape()) {
        (true, _) => value.to_string(),
        (false, AutoEscape::Html) => shown::escape_html(&shown::visible(&value.to_string())),
        (false, _) => shown::escape_markdown(&shown::visible(&value.to_string())),
    };
    out.write_str(&text).map_err(Error::from)
}

/// A dash for what cannot be said.
fn figure(value: Option<f64>, shown: impl Fn(f64) -> String) -> String {
    value.map_or("–".to_owned(), shown)
}

/// `0.12 to 0.56`; nothing for no interval.
fn interval(ends: Option<Vec<f64>>, digits: usize) -> String {
    let ends: Vec<String> = ends.unwrap_or_default().into_iter().map(|end| shown::fixed(end, digits)).collect();
    ends.join(" to ")
}

fn whisker(value: Option<f64>, interval: Option<Vec<f64>>, from: f64, to: f64) -> Value {
    let interval = interval.filter(|ends| ends.len() == 2).map(|ends| (ends[0], ends[1]));
    value.map_or(Value::from(""), |value| Value::from_safe_string(chart::whisker(value, interval, from, to)))
}

/// A sentence for HTML whose commands, between backticks, are set as code.
fn commands(text: &str) -> Value {
    let part = |(at, part): (usize, &str)| {
        let shown = shown::escape_html(&shown::visible(part));
        if at % 2 == 1 { format!("<code>{shown}</code>") } else { shown }
    };
    Value::from_safe_string(text.split('`').enumerate().map(part).collect())
}

/// A scored text in shades of what `view` names: `base`, `tuned` or `difference`.
fn heat(part: &Value, view: &str) -> Result<Value, Error> {
    let view = match view {
        "base" => View::Base,
        "tuned" => View::Tuned,
        _ => View::Difference,
    };
    let chars: Vec<char> = part.get_attr("text")?.to_string().chars().collect();
    let mut out = String::new();
    for cell in part.get_attr("cells")?.try_iter()? {
        let place = |key: &str| Ok::<usize, Error>(cell.get_attr(key)?.as_usize().unwrap_or(0).min(chars.len()));
        let nats = |key: &str| f64::try_from(cell.get_attr(key)?);
        let (base, tuned) = (nats("base")?, nats("tuned")?);
        let text: String = chars.get(place("start")?..place("end")?).unwrap_or_default().iter().collect();
        let value = match view {
            View::Base => base,
            View::Tuned => tuned,
            View::Difference => base - tuned,
        };
        let class = match shade(value, view) {
            Shade::Surprise(step) => format!("s{step}"),
            Shade::Even => "s0".to_owned(),
            Shade::Less(step) => format!("l{step}"),
            Shade::More(step) => format!("m{step}"),
        };
        let shown = if text.is_empty() { "∎".to_owned() } else { shown::escape_html(&shown::visible(&text)) };
        let (base, tuned) = (shown::fixed(base, 2), shown::fixed(tuned, 2));
        out.push_str(&format!("<span class=\"{class}\" title=\"base {base}, fine-tuned {tuned} nats\">{shown}</span>"));
    }
    Ok(Value::from_safe_string(out))
}

/// The text of a sample with what was copied underlined and what seems invented marked.
fn marked(sample: &Value) -> Result<Value, Error> {
    let text = sample.get_attr("text")?.to_string();
    let chars: Vec<char> = text.chars().collect();
    let mut spans = vec![];
    for (list, class, tell) in [("copied", "copied", "pair"), ("facts", "invented", "kind")] {
        for span in sample.get_attr(list)?.try_iter()? {
            let end = |key: &str| Ok::<usize, Error>(span.get_attr(key)?.as_usize().unwrap_or(0).min(chars.len()));
            let told = shown::escape_html(&shown::visible(&span.get_attr(tell)?.to_string()));
            spans.push((end("start")?, end("end")?, class, told));
        }
    }
    let mut borders: Vec<usize> = spans.iter().flat_map(|(start, end, ..)| [*start, *end]).chain([0, chars.len()]).collect();
    borders.sort_unstable();
    borders.dedup();
    let mut out = String::new();
    for ends in borders.windows(2) {
        let piece: String = chars[ends[0]..ends[1]].iter().collect();
        let over: Vec<_> = spans.iter().filter(|(start, end, ..)| *start <= ends[0] && ends[1] <= *end).collect();
        over.iter().for_each(|(_, _, class, told)| out.push_str(&format!("<mark class=\"{class}\" title=\"{class}: {told}\">")));
        out.push_str(&shown::escape_html(&shown::visible(&piece)));
        over.iter().for_each(|_| out.push_str("</mark>"));
    }
    Ok(Value::from_safe_string(out))
}
