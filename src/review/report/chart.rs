//! The report's pictures, as SVG: the losses of a run, a statistic's course with the writer's own as a band, and a number with its interval. Colours
//! and dashes are classes of the page's style sheet.

use std::fmt::Write;

use super::setup::{Curve, Point};
use super::shown::fixed;

const WIDTH: f64 = 680.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 132.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;

/// The losses of a run by step; `None` where there is nothing to draw.
pub fn losses(curve: &Curve) -> Option<String> {
    let all = || curve.training.iter().chain(&curve.validation).filter(|point| point.loss.is_finite());
    let last = all().map(|point| point.step).max()?.max(1);
    let (low, high) = all().fold((f64::MAX, f64::MIN), |(low, high), point| (low.min(point.loss), high.max(point.loss)));
    let (ticks, digits) = ticks(low, high);
    let (low, high) = (low.min(ticks[0]), high.max(ticks[ticks.len() - 1]));
    let x = |step: usize| LEFT + (WIDTH - LEFT - RIGHT) * step as f64 / last as f64;
    let y = |loss: f64| TOP + (HEIGHT - TOP - BOTTOM) * (high - loss) / (high - low).max(1e-9);
    let mut out =
        format!(r#"<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="training and validation loss by step">"#);
    for tick in &ticks {
        let at = y(*tick);
        let shown = fixed(*tick, digits);
        add(
            &mut out,
            &format!(
                r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{shown}</text>"#,
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0
            ),
        );
    }
    let (steps, _) = self::ticks(0.0, last as f64);
    for step in steps.into_iter().filter(|step| step.fract() == 0.0 && *step <= last as f64) {
        add(
            &mut out,
            &format!(
                r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">{step}</text>"#,
                x(step as usize),
                HEIGHT - BOTTOM + 18.0
            ),
        );
    }
    add(&mut out, &format!(r#"<text class="tick" x="{:.1}" y="{:.1}">step</text>"#, WIDTH - RIGHT + 8.0, HEIGHT - BOTTOM + 18.0));
    let line = |points: &[Point]| {
        let finite = points.iter().filter(|point| point.loss.is_finite());
        finite.map(|point| format!("{:.1},{:.1}", x(point.step), y(point.loss))).collect::<Vec<_>>().join(" ")
    };
    for (class, points) in [("raw", &curve.training), ("training", &curve.smoothed), ("validation", &curve.validation)] {
        add(&mut out, &format!(r#"<polyline class="{class}" points="{}"/>"#, line(points)));
    }
    for point in curve.validation.iter().filter(|point| point.loss.is_finite()) {
        let at = format!("{}: {}", point.step, fixed(point.loss, 3));
        add(
            &mut out,
            &format!(
                r#"<circle class="validation" cx="{:.1}" cy="{:.1}" r="3.5"><title>step {at}</title></circle>"#,
                x(point.step),
                y(point.loss)
            ),
        );
    }
    if let Some(best) = curve.best.filter(|best| best.loss.is_finite()) {
        let (at, up) = (x(best.step), y(best.loss));
        add(&mut out, &format!(r#"<circle class="best" cx="{at:.1}" cy="{up:.1}" r="7.5"/>"#));
    }
    let end = |points: &[Point]| points.iter().rev().find(|point| point.loss.is_finite()).copied();
    let mut names: Vec<(f64, &str, String)> = vec![];
    names.extend(end(&curve.smoothed).map(|point| (y(point.loss), "training", "training, smoothed".to_owned())));
    names.extend(end(&curve.validation).map(|point| (y(point.loss), "validation", "validation".to_owned())));
    for (at, class, name) in apart(names) {
        add(&mut out, &format!(r#"<text class="name {class}" x="{:.1}" y="{:.1}">{name}</text>"#, WIDTH - RIGHT + 12.0, at + 4.0));
    }
    out.push_str("</svg>");
    Some(out)
}

/// Where names stand at the lines' ends: from above, pushed apart where they are close, and inside the picture.
fn apart<N, C>(mut names: Vec<(f64, C, N)>) -> Vec<(f64, C, N)> {
    const LINE: f64 = 15.0;
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut above = f64::MIN;
    for name in &mut names {
        name.0 = name.0.max(above + LINE);
        above = name.0;
    }
    let mut below = HEIGHT - BOTTOM + LINE;
    for name in names.iter_mut().rev() {
        name.0 = name.0.min(below - LINE);
        below = name.0;
    }
    names
}

/// The course of a statistic: the writer's mean as a line in a band of her spread, and the arms' lines.
#[derive(Debug)]
pub struct Course {
    /// What it shows, for those who do not see it.
    pub label: String,
    /// The places along the x axis, each with what stands below it; empty for nothing.
    pub places: Vec<String>,
    /// What the places count.
    pub unit: &'static str,
    /// Her mean and spread at each place.
    pub hers: Vec<(f64, f64)>,
    /// The arms' names, and their values where they have one.
    pub arms: Vec<(String, Vec<Option<f64>>)>,
    /// Whether the values are shares.
    pub is_share: bool,
}

/// `None` where there is nothing to draw.
pub fn course(course: &Course) -> Option<String> {
    let last = course.places.len().checked_sub(1).filter(|last| *last > 0)?;
    let bounds = course.hers.iter().flat_map(|(mean, spread)| [(mean - spread).max(0.0), mean + spread]);
    let all: Vec<f64> = bounds.chain(course.arms.iter().flat_map(|(_, values)| values.iter().flatten().copied())).collect();
    let high = all.iter().copied().fold(f64::MIN, f64::max);
    let (ticks, digits) = ticks(0.0, high);
    let x = |at: usize| LEFT + (WIDTH - LEFT - RIGHT) * at as f64 / last as f64;
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / high.max(1e-9));
    let label = super::shown::escape_html(&course.label);
    let mut out = format!(r#"<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">"#);
    for tick in &ticks {
        let at = y(*tick);
        let shown = if course.is_share { format!("{} %", fixed(100.0 * tick, 0)) } else { fixed(*tick, digits) };
        add(
            &mut out,
            &format!(
                r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{shown}</text>"#,
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0
            ),
        );
    }
    for (at, place) in course.places.iter().enumerate().filter(|(_, place)| !place.is_empty()) {
        let below = HEIGHT - BOTTOM + 18.0;
        add(&mut out, &format!(r#"<text class="tick" x="{:.1}" y="{below:.1}" text-anchor="middle">{place}</text>"#, x(at)));
    }
    add(
        &mut out,
        &format!(r#"<text class="tick" x="{:.1}" y="{:.1}">{}</text>"#, WIDTH - RIGHT + 22.0, HEIGHT - BOTTOM + 18.0, course.unit),
    );
    let hers = || course.hers.iter().enumerate();
    let upper = hers().map(|(at, (mean, spread))| (x(at), y(mean + spread)));
    let lower = hers().rev().map(|(at, (mean, spread))| (x(at), y((mean - spread).max(0.0))));
    let points = |points: Vec<(f64, f64)>| points.into_iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ");
    add(&mut out, &format!(r#"<polygon class="band" points="{}"/>"#, points(upper.chain(lower).collect())));
    let mut lines = vec![("hers".to_owned(), "she".to_owned(), hers().map(|(at, (mean, _))| (x(at), y(*mean))).collect::<Vec<_>>())];
    for (number, (name, values)) in course.arms.iter().enumerate() {
        let drawn = values.iter().enumerate().filter_map(|(at, value)| Some((x(at), y((*value)?)))).collect();
        lines.push((format!("arm{}", number % ARMS), short(name), drawn));
    }
    let mut names = vec![];
    for (class, name, drawn) in lines.into_iter().filter(|(.., drawn)| !drawn.is_empty()) {
        names.push((drawn[drawn.len() - 1].1, class.clone(), name));
        add(&mut out, &format!(r#"<polyline class="{class}" points="{}"/>"#, points(drawn)));
    }
    for (at, class, name) in apart(names) {
        let (from, to) = (WIDTH - RIGHT + 4.0, WIDTH - RIGHT + 20.0);
        // A piece of the line stands before its name: a line may end long before the right edge.
        add(&mut out, &format!(r#"<polyline class="{class}" points="{from:.1},{at:.1} {to:.1},{at:.1}"/>"#));
        add(&mut out, &format!(r#"<text class="name {class}" x="{:.1}" y="{:.1}">{}</text>"#, to + 4.0, at + 4.0, name));
    }
    out.push_str("</svg>");
    Some(out)
}

/// As many lines as the style sheet tells apart.
const ARMS: usize = 6;

/// A name as there is room for at the right, escaped.
fn short(name: &str) -> String {
    const ROOM: usize = 17;
    let shown = super::shown::visible(name);
    let cut: String = if shown.chars().count() > ROOM { shown.chars().take(ROOM - 1).chain(['…']).collect() } else { shown };
    super::shown::escape_html(&cut)
}

/// A number on a scale from `from` to `to`, with its interval as a line; a tick stands at 0 where it lies inside.
pub fn whisker(value: f64, interval: Option<(f64, f64)>, from: f64, to: f64) -> String {
    let x = |value: f64| 4.0 + 112.0 * ((value - from) / (to - from)).clamp(0.0, 1.0);
    let mut out =
        r#"<svg class="whisker" viewBox="0 0 120 14" aria-hidden="true"><line class="grid" x1="4" x2="116" y1="7" y2="7"/>"#.to_owned();
    if from < 0.0 && to > 0.0 {
        add(&mut out, &format!(r#"<line class="zero" x1="{0:.1}" x2="{0:.1}" y1="1" y2="13"/>"#, x(0.0)));
    }
    if let Some((low, high)) = interval {
        add(&mut out, &format!(r#"<line class="interval" x1="{:.1}" x2="{:.1}" y1="7" y2="7"/>"#, x(low), x(high)));
    }
    add(&mut out, &format!(r#"<circle cx="{:.1}" cy="7" r="4"/></svg>"#, x(value)));
    out
}

/// Four to eight round numbers that lie between two, and their decimals; the ends of an empty range.
fn ticks(low: f64, high: f64) -> (Vec<f64>, usize) {
    let range = high - low;
    if range <= 0.0 || !range.is_finite() {
        return (vec![low], 2);
    }
    let rough = range / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    let digits = (-step.log10().floor()).max(0.0) as usize;
    ((first..=last).map(|times| times as f64 * step).collect(), digits)
}

fn add(out: &mut String, element: &str) {
    // Writing to a string does not fail.
    _ = out.write_str(element);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let check = |low: f64, high: f64, expected: &[f64], digits: usize| {
            let (found, shown) = ticks(low, high);
            assert_eq!(shown, digits, "{low} {high}");
            assert!(found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        };
        check(2.1, 4.4, &[2.5, 3.0, 3.5, 4.0], 1);
        check(0.0, 66.0, &[0.0, 20.0, 40.0, 60.0], 0);
        check(2.81, 2.85, &[2.81, 2.82, 2.83, 2.84, 2.85], 2);
        check(3.0, 3.0, &[3.0], 2);
    }

    #[test]
    fn a_course_is_drawn_with_gaps_and_without_arms() {
        let arms = vec![("llama <b>".to_owned(), vec![Some(1.0), None, Some(f64::from(u8::MAX))]), ("gpt2".into(), vec![None; 3])];
        let places = ["25", "", "75"].map(str::to_owned).to_vec();
        let of = |places, hers, arms| Course { label: "types".into(), places, unit: "words", hers, arms, is_share: false };
        let drawn = course(&of(places.clone(), vec![(20.0, 2.0), (35.0, 40.0), (50.0, 3.0)], arms)).unwrap();
        assert!(drawn.contains("class=\"band\"") && drawn.contains("llama &lt;b&gt;") && !drawn.contains("gpt2"), "{drawn}");
        assert!(!drawn.contains("NaN"));
        assert!(course(&of(places, vec![(0.0, 0.0); 3], vec![])).is_some());
        assert_eq!(course(&of(vec!["25".into()], vec![(20.0, 2.0)], vec![])), None);
    }

    #[test]
    fn names_are_pushed_apart_inside_the_picture() {
        let places: Vec<f64> =
            apart(vec![(300.0, (), ()), (20.0, (), ()), (224.0, (), ()), (226.0, (), ())]).into_iter().map(|name| name.0).collect();
        assert_eq!(places, [20.0, 196.0, 211.0, 226.0]);
    }

    #[test]
    fn a_run_in_progress_is_drawn_as_far_as_it_went() {
        let point = |step, loss| Point { step, loss };
        assert_eq!(losses(&Curve::default()), None);
        let one = Curve { validation: vec![point(0, 4.0)], ..Curve::default() };
        assert!(losses(&one).unwrap().contains("<circle class=\"validation\""));
        let training = vec![point(1, 4.0), point(2, f64::NAN), point(3, 3.0)];
        let drawn = losses(&Curve { smoothed: training.clone(), training, validation: vec![], best: None }).unwrap();
        assert!(!drawn.contains("NaN") && !drawn.contains("class=\"best\""), "{drawn}");
    }
}
