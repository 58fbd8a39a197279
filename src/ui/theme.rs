//! Colours and styles. Every meaning has a modifier or a sign beside its colour, so that nothing is lost without colours.

use std::env;

use ratatui::style::{Color, Modifier, Style};

use super::settings::ThemeChoice;
use crate::review::surprisal::Shade;

/// How many colours the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    None,
    Sixteen,
    Indexed,
    True,
}

/// The styles of all that is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    pub choice: ThemeChoice,
    depth: Depth,
    pub text: Style,
    /// What matters less: labels, hints, units.
    pub faint: Style,
    pub title: Style,
    /// Keys in the footer, the open tab.
    pub accent: Style,
    pub border: Style,
    pub border_focused: Style,
    /// The row under the cursor, in the pane that has the focus and in the others.
    pub cursor: Style,
    pub cursor_elsewhere: Style,
    pub selection: Style,
    /// Matches of a search or filter.
    pub hit: Style,
    pub good: Style,
    pub warning: Style,
    pub error: Style,
    /// The kinds of a diff.
    pub cut: Style,
    pub new: Style,
    pub moved: Style,
    pub reworded: Style,
    /// Text that training does not see, or that fell off.
    pub context: Style,
    pub cut_off: Style,
    /// Text that stands in a training pair word for word.
    pub verbatim: Style,
    /// A fact that the model seems to have invented.
    pub invented: Style,
    /// Steps of surprise, from none to the greatest.
    pub surprise: [Style; 8],
    /// Steps by which the fine-tuned arm is less surprised than the base, and more.
    pub less: [Style; 3],
    pub more: [Style; 3],
    /// Curves, in the order in which they are told apart.
    pub curves: [Style; 6],
}

/// The colours of a palette.
struct Inks {
    faint: Color,
    accent: Color,
    border: Color,
    cursor: Color,
    cursor_elsewhere: Color,
    selection: Color,
    red: Color,
    green: Color,
    yellow: Color,
    blue: Color,
    magenta: Color,
    cyan: Color,
    /// Grounds of the heat map; the lowest steps have none.
    heat: [Color; 8],
    less: [Color; 3],
    more: [Color; 3],
}

const DARK: Inks = Inks {
    faint: Color::Rgb(138, 143, 152),
    accent: Color::Rgb(229, 181, 103),
    border: Color::Rgb(76, 82, 92),
    cursor: Color::Rgb(54, 62, 77),
    cursor_elsewhere: Color::Rgb(40, 44, 52),
    selection: Color::Rgb(66, 82, 110),
    red: Color::Rgb(224, 108, 117),
    green: Color::Rgb(152, 195, 121),
    yellow: Color::Rgb(229, 181, 103),
    blue: Color::Rgb(97, 175, 239),
    magenta: Color::Rgb(198, 140, 221),
    cyan: Color::Rgb(86, 182, 194),
    heat: [
        Color::Reset,
        Color::Rgb(44, 40, 34),
        Color::Rgb(62, 48, 30),
        Color::Rgb(86, 58, 26),
        Color::Rgb(112, 64, 26),
        Color::Rgb(136, 62, 34),
        Color::Rgb(156, 54, 44),
        Color::Rgb(178, 36, 60),
    ],
    less: [Color::Rgb(24, 52, 44), Color::Rgb(20, 84, 66), Color::Rgb(12, 118, 88)],
    more: [Color::Rgb(56, 34, 62), Color::Rgb(90, 42, 100), Color::Rgb(126, 46, 138)],
};

const LIGHT: Inks = Inks {
    faint: Color::Rgb(110, 114, 122),
    accent: Color::Rgb(150, 85, 0),
    border: Color::Rgb(186, 190, 198),
    cursor: Color::Rgb(219, 228, 243),
    cursor_elsewhere: Color::Rgb(234, 236, 240),
    selection: Color::Rgb(190, 210, 240),
    red: Color::Rgb(178, 34, 52),
    green: Color::Rgb(34, 113, 44),
    yellow: Color::Rgb(138, 90, 0),
    blue: Color::Rgb(24, 86, 170),
    magenta: Color::Rgb(130, 46, 140),
    cyan: Color::Rgb(0, 105, 120),
    heat: [
        Color::Reset,
        Color::Rgb(255, 248, 226),
        Color::Rgb(255, 238, 196),
        Color::Rgb(255, 222, 160),
        Color::Rgb(255, 202, 126),
        Color::Rgb(252, 178, 104),
        Color::Rgb(246, 150, 96),
        Color::Rgb(238, 120, 100),
    ],
    less: [Color::Rgb(218, 242, 226), Color::Rgb(168, 222, 190), Color::Rgb(110, 198, 152)],
    more: [Color::Rgb(244, 226, 246), Color::Rgb(228, 186, 232), Color::Rgb(208, 142, 216)],
};

const SIXTEEN: Inks = Inks {
    faint: Color::DarkGray,
    accent: Color::Yellow,
    border: Color::DarkGray,
    cursor: Color::Reset,
    cursor_elsewhere: Color::Reset,
    selection: Color::Reset,
    red: Color::Red,
    green: Color::Green,
    yellow: Color::Yellow,
    blue: Color::Blue,
    magenta: Color::Magenta,
    cyan: Color::Cyan,
    heat: [Color::Reset; 8],
    less: [Color::Reset; 3],
    more: [Color::Reset; 3],
};

/// A ladder of weights, so that three steps are told apart without a colour.
const STEPS: [Modifier; 3] = [Modifier::empty(), Modifier::UNDERLINED, Modifier::UNDERLINED.union(Modifier::BOLD)];

/// Without a colour two steps look alike: four looks are as many as terminals tell apart.
const MONO_HEAT: [Modifier; 8] = [
    Modifier::DIM,
    Modifier::DIM,
    Modifier::empty(),
    Modifier::empty(),
    Modifier::UNDERLINED,
    Modifier::UNDERLINED,
    Modifier::UNDERLINED.union(Modifier::BOLD),
    Modifier::UNDERLINED.union(Modifier::BOLD),
];

/// Grounds of the sixteen colours would hide the text of one theme or another, so the letters are coloured.
const SIXTEEN_HEAT: [(Color, Modifier); 8] = [
    (Color::DarkGray, Modifier::empty()),
    (Color::DarkGray, Modifier::empty()),
    (Color::Reset, Modifier::empty()),
    (Color::Reset, Modifier::empty()),
    (Color::Yellow, Modifier::empty()),
    (Color::Yellow, Modifier::UNDERLINED),
    (Color::Red, Modifier::UNDERLINED),
    (Color::Red, Modifier::UNDERLINED.union(Modifier::BOLD)),
];

impl Depth {
    /// By `NO_COLOR`, `COLORTERM` and `TERM`, as other programs have it.
    pub fn detect() -> Depth {
        if env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            return Depth::None;
        }
        match supports_color::on(supports_color::Stream::Stdout) {
            Some(level) if level.has_16m => Depth::True,
            Some(level) if level.has_256 => Depth::Indexed,
            Some(_) => Depth::Sixteen,
            None => Depth::None,
        }
    }
}

impl Theme {
    pub fn new(choice: ThemeChoice, depth: Depth) -> Theme {
        let resolved = match (depth, choice) {
            (Depth::None, _) => ThemeChoice::Mono,
            (Depth::Sixteen, ThemeChoice::Auto | ThemeChoice::Dark | ThemeChoice::Light) => ThemeChoice::Sixteen,
            (_, ThemeChoice::Auto) if background_is_light() => ThemeChoice::Light,
            (_, ThemeChoice::Auto) => ThemeChoice::Dark,
            (_, choice) => choice,
        };
        let mut theme = match resolved {
            ThemeChoice::Light => Theme::inked(&LIGHT, depth),
            ThemeChoice::Sixteen => Theme::sixteen(depth),
            ThemeChoice::Mono => Theme::mono(),
            ThemeChoice::Dark | ThemeChoice::Auto => Theme::inked(&DARK, depth),
        };
        theme.choice = resolved;
        theme.depth = depth;
        theme
    }

    /// Whether texts carry signs such as `[-old-]` and `[=copied=]`: without colours, styles alone are easily missed.
    pub fn has_signs(&self) -> bool {
        self.choice == ThemeChoice::Mono
    }

    /// The next one that the terminal can show.
    pub fn next(&self) -> Theme {
        use ThemeChoice::{Auto, Dark, Light, Mono, Sixteen};
        let next = match (self.depth, self.choice) {
            (Depth::None, _) => Mono,
            (Depth::Sixteen, Sixteen) => Mono,
            (Depth::Sixteen, _) => Sixteen,
            (_, Dark | Auto) => Light,
            (_, Light) => Sixteen,
            (_, Sixteen) => Mono,
            (_, Mono) => Dark,
        };
        Theme::new(next, self.depth)
    }

    pub fn name(&self) -> &'static str {
        match self.choice {
            ThemeChoice::Auto | ThemeChoice::Dark => "dark",
            ThemeChoice::Light => "light",
            ThemeChoice::Sixteen => "sixteen colours",
            ThemeChoice::Mono => "no colour",
        }
    }

    /// How a step of a heat map is drawn.
    pub fn shade(&self, shade: Shade) -> Style {
        let of = |steps: &[Style], step: usize| steps.get(step).or(steps.last()).copied().unwrap_or_default();
        match shade {
            Shade::Surprise(step) => of(&self.surprise, step),
            Shade::Even => self.surprise[0],
            Shade::Less(step) => of(&self.less, step),
            Shade::More(step) => of(&self.more, step),
        }
    }

    fn inked(inks: &Inks, depth: Depth) -> Theme {
        let plain = Style::new();
        let fg = |color| plain.fg(shown(color, depth));
        let bg = |color| plain.bg(shown(color, depth));
        Theme {
            choice: ThemeChoice::Dark,
            depth,
            text: plain,
            faint: fg(inks.faint),
            title: plain.add_modifier(Modifier::BOLD),
            accent: fg(inks.accent),
            border: fg(inks.border),
            border_focused: fg(inks.accent),
            cursor: bg(inks.cursor).add_modifier(Modifier::BOLD),
            cursor_elsewhere: bg(inks.cursor_elsewhere),
            selection: bg(inks.selection),
            hit: fg(inks.yellow).add_modifier(Modifier::UNDERLINED | Modifier::BOLD),
            good: fg(inks.green),
            warning: fg(inks.yellow),
            error: fg(inks.red).add_modifier(Modifier::BOLD),
            cut: fg(inks.red).add_modifier(Modifier::CROSSED_OUT),
            new: fg(inks.green),
            moved: fg(inks.cyan),
            reworded: fg(inks.yellow),
            context: fg(inks.faint),
            cut_off: fg(inks.faint).add_modifier(Modifier::CROSSED_OUT),
            verbatim: plain.add_modifier(Modifier::UNDERLINED),
            invented: fg(inks.magenta).add_modifier(Modifier::ITALIC),
            surprise: inks.heat.map(bg),
            less: inks.less.map(bg),
            more: inks.more.map(bg),
            curves: [inks.blue, inks.yellow, inks.green, inks.magenta, inks.cyan, inks.red].map(fg),
        }
    }

    fn sixteen(depth: Depth) -> Theme {
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        Theme {
            cursor: reversed,
            cursor_elsewhere: Style::new().add_modifier(Modifier::UNDERLINED),
            selection: reversed,
            surprise: SIXTEEN_HEAT.map(|(color, modifiers)| Style::new().fg(color).add_modifier(modifiers)),
            less: STEPS.map(|modifiers| Style::new().fg(Color::Green).add_modifier(modifiers)),
            more: STEPS.map(|modifiers| Style::new().fg(Color::Magenta).add_modifier(modifiers)),
            ..Theme::inked(&SIXTEEN, depth)
        }
    }

    fn mono() -> Theme {
        let plain = Style::new();
        let with = |modifier| plain.add_modifier(modifier);
        Theme {
            choice: ThemeChoice::Mono,
            depth: Depth::None,
            text: plain,
            faint: with(Modifier::DIM),
            title: with(Modifier::BOLD),
            accent: with(Modifier::BOLD),
            border: with(Modifier::DIM),
            border_focused: with(Modifier::BOLD),
            cursor: with(Modifier::REVERSED),
            cursor_elsewhere: with(Modifier::UNDERLINED),
            selection: with(Modifier::REVERSED),
            hit: with(Modifier::UNDERLINED | Modifier::BOLD),
            good: plain,
            warning: with(Modifier::BOLD),
            error: with(Modifier::BOLD),
            cut: with(Modifier::CROSSED_OUT),
            new: with(Modifier::BOLD),
            moved: with(Modifier::ITALIC),
            reworded: plain,
            context: with(Modifier::DIM),
            cut_off: with(Modifier::DIM | Modifier::CROSSED_OUT),
            verbatim: with(Modifier::UNDERLINED),
            invented: with(Modifier::ITALIC),
            surprise: MONO_HEAT.map(with),
            less: STEPS.map(with),
            more: STEPS.map(|modifiers| with(modifiers.union(Modifier::ITALIC))),
            curves: [plain, with(Modifier::DIM), with(Modifier::BOLD), plain, with(Modifier::DIM), with(Modifier::BOLD)],
        }
    }
}

/// Some terminals say their colours in `COLORFGBG`, as `15;0`: the last number is the background's.
fn background_is_light() -> bool {
    let Ok(value) = env::var("COLORFGBG") else { return false };
    matches!(value.rsplit(';').next().and_then(|n| n.parse::<u8>().ok()), Some(7 | 9..=15))
}

/// The colour as this terminal can show it: the nearest of the 6 x 6 x 6 cube and the 24 greys where there are 256.
fn shown(color: Color, depth: Depth) -> Color {
    let Color::Rgb(r, g, b) = color else { return color };
    if depth == Depth::True {
        return color;
    }
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |value: u8| (0..6).min_by_key(|&i| LEVELS[i as usize].abs_diff(value)).unwrap_or(0);
    let distance = |r2: u8, g2: u8, b2: u8| {
        let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
        square(r, r2) + square(g, g2) + square(b, b2)
    };
    let cube = [nearest(r), nearest(g), nearest(b)];
    let [r2, g2, b2] = cube.map(|i| LEVELS[i as usize]);
    let grey = (0..24_u8).min_by_key(|&i| distance(8 + 10 * i, 8 + 10 * i, 8 + 10 * i)).unwrap_or(0);
    let grey_value = 8 + 10 * grey;
    match distance(grey_value, grey_value, grey_value) < distance(r2, g2, b2) {
        true => Color::Indexed(232 + grey),
        false => Color::Indexed(16 + 36 * cube[0] + 6 * cube[1] + cube[2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_come_down_to_256() {
        let check = |color, expected| assert_eq!(shown(color, Depth::Indexed), expected);
        check(Color::Rgb(255, 0, 0), Color::Indexed(196));
        check(Color::Rgb(95, 135, 175), Color::Indexed(67));
        check(Color::Rgb(128, 128, 128), Color::Indexed(244));
        check(Color::Red, Color::Red);
    }

    #[test]
    fn without_colour_no_style_has_one() {
        let theme = Theme::new(ThemeChoice::Dark, Depth::None);
        assert_eq!(theme.choice, ThemeChoice::Mono);
        let styles = [theme.faint, theme.cursor, theme.selection, theme.cut, theme.new, theme.moved, theme.reworded, theme.curves[0]];
        assert!(styles.iter().all(|style| style.fg.is_none() && style.bg.is_none()));
        assert_eq!(theme.next().choice, ThemeChoice::Mono);
    }
}
