use ratatui::style::Modifier;

use super::*;
use crate::ui::settings::ThemeChoice;
use crate::ui::theme::Depth;

fn drawn(width: u16, height: u16, chart: impl Fn(&Theme, &mut Buffer)) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    chart(&Theme::new(ThemeChoice::Dark, Depth::None), &mut buffer);
    buffer
}

fn text(buffer: &Buffer) -> String {
    let row = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
    (0..buffer.area.height).map(|y| row(y).trim_end().to_owned() + "\n").collect()
}

fn falling(label: &str, from: f64, count: usize) -> Series {
    let points = (0..=count).map(|i| (i as f64, from * (-(i as f64) / 40.0).exp() + 1.0)).collect();
    Series { label: label.into(), points, ..Series::default() }
}

#[test]
fn lines_have_names_scales_rules_and_marks() {
    let buffer = drawn(60, 12, |theme, buffer| {
        let raw = (1..=70).map(|i| (i as f64, 2.5 + f64::from(i * 37 % 11 - 5) / 10.0 - f64::from(i) / 80.0)).collect();
        let raw = Series { points: raw, style: theme.faint, look: Look::Dots, ..Series::default() };
        let validation = Series { points: vec![(0.0, 2.9), (35.0, 2.2), (70.0, 2.3)], sign: Some('o'), ..falling("validation", 0.0, 0) };
        let smooth = Series { points: smoothed(&raw.points, 10), label: "training".into(), ..Series::default() };
        let rules = [(35.0, "epoch 2".to_owned()), (70.0, "epoch 3".to_owned())];
        let marks = [Mark { at: (35.0, 2.2), sign: '*', style: theme.title }];
        let series = [raw, smooth, validation];
        Chart { series: &series, steps: 105, end: None, y: None, rules: &rules, marks: &marks, has_axes: true, theme }
            .render(buffer.area, buffer);
    });
    insta::assert_snapshot!(text(&buffer));
}

#[test]
fn overlaid_lines_are_told_apart_without_colour() {
    let buffer = drawn(50, 8, |theme, buffer| {
        let series: Vec<Series> = [("a first-run", 'a', 2.0), ("b second", 'b', 2.2), ("c third", 'c', 2.1)]
            .into_iter()
            .map(|(label, sign, from)| Series { sign: Some(sign), style: theme.curves[0], ..falling(label, from, 100) })
            .collect();
        Chart { series: &series, steps: 100, end: None, y: Some([0.0, 3.0]), rules: &[], marks: &[], has_axes: true, theme }
            .render(buffer.area, buffer);
    });
    insta::assert_snapshot!(text(&buffer));
}

#[test]
fn any_numbers_in_any_size_are_drawn() {
    let odd = [vec![], vec![(0.0, f64::NAN)], vec![(3.0, f64::INFINITY), (4.0, 1e300)], vec![(0.0, -1e-300)], vec![(9.0, 1.0), (2.0, 5.0)]];
    for points in odd {
        for (width, height) in [(1, 1), (4, 2), (9, 3), (30, 5), (200, 60)] {
            for has_axes in [false, true] {
                drawn(width, height, |theme, buffer| {
                    let series = [Series { points: points.clone(), label: "line".into(), sign: Some('x'), ..Series::default() }];
                    let rules = [(2.0, "epoch 2".to_owned())];
                    Chart { series: &series, steps: 0, end: None, y: None, rules: &rules, marks: &[], has_axes, theme }
                        .render(buffer.area, buffer);
                });
            }
        }
    }
}

#[test]
fn a_line_hides_the_rule_below_it_and_its_style() {
    let buffer = drawn(10, 1, |theme, buffer| {
        let line = Series { points: vec![(0.0, 1.0), (10.0, 1.0)], ..Series::default() };
        let rules = [(5.0, String::new())];
        Chart { series: &[line], steps: 10, end: None, y: None, rules: &rules, marks: &[], has_axes: false, theme }
            .render(buffer.area, buffer);
    });
    assert!(buffer.content.iter().all(|cell| cell.symbol() != "┊" && !cell.modifier.contains(Modifier::DIM)), "{}", text(&buffer));
}

#[test]
fn smoothing_takes_means_and_leaves_the_past_alone() {
    let points: Vec<(f64, f64)> = (0..50).map(|i| (i as f64, f64::from(i % 2))).collect();
    let all = smoothed(&points, 9);
    assert!((all[49].1 - 0.5).abs() < 0.1 && all[0].1 == 0.0);
    assert_eq!(smoothed(&points[..20], 9), all[..20]);
    assert_eq!(smoothed(&[(0.0, 1.0), (1.0, f64::NAN), (2.0, 1.0)], 5), [(0.0, 1.0), (2.0, 1.0)]);
}

#[test]
fn rules_of_many_epochs_leave_room_for_the_lines() {
    let buffer = drawn(60, 6, |theme, buffer| {
        let rules: Vec<(f64, String)> = (1..200).map(|epoch| (f64::from(epoch * 3), format!("epoch {}", epoch + 1))).collect();
        let line = falling("", 2.0, 600);
        Chart { series: &[line], steps: 600, end: None, y: None, rules: &rules, marks: &[], has_axes: true, theme }
            .render(buffer.area, buffer);
    });
    let rules = (0..60).filter(|&x| buffer[(x, 0)].symbol() == "┊").count();
    assert!((2..=6).contains(&rules), "{}", text(&buffer));
}
