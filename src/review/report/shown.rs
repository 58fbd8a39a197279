//! How a report shows text that nobody vouches for, and numbers: visible marks, escapes, figures.

use unicode_segmentation::UnicodeSegmentation;

use crate::review::hidden::{is_hidden, push_mark};

/// The text with every control, bidirectional and invisible character as a visible mark. Line feeds and tabs stay.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for cluster in text.graphemes(true) {
        for c in cluster.chars() {
            match c {
                '\n' | '\t' => out.push(c),
                '\r' if cluster == "\r\n" => {}
                c if is_hidden(c, cluster) => push_mark(&mut out, c),
                c => out.push(c),
            }
        }
    }
    out
}

/// Text for HTML, in an element or an attribute.
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Text for a line of Markdown, or a cell of a table: no character of it is markup. Line feeds become blanks.
pub fn escape_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '|' | '~' | '$' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    // A bare address would become a link.
    out.replace("://", "&#58;//")
}

/// A text as a block quote of Markdown, line by line.
pub fn quote_markdown(text: &str) -> String {
    let line = |line: &str| {
        let line = line.trim_start();
        let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let escaped = escape_markdown(line);
        // What would begin a heading, a list, a rule or a title's underline.
        match line.chars().nth(digits) {
            Some('#' | '-' | '+' | '=') if digits == 0 => format!("> \\{escaped}"),
            Some('.' | ')') if digits > 0 => format!("> {}\\{}", &escaped[..digits], &escaped[digits..]),
            _ => format!("> {escaped}"),
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// `1.25`, `−0.50`; with a true minus sign, which is no markup.
pub fn fixed(value: f64, digits: usize) -> String {
    let rounded = format!("{value:.digits$}");
    match rounded.strip_prefix('-') {
        Some(zero) if zero.chars().all(|c| matches!(c, '0' | '.')) => zero.to_owned(),
        Some(positive) => format!("−{positive}"),
        None => rounded,
    }
}

/// The same with a plus where it is above 0.
pub fn signed(value: f64, digits: usize) -> String {
    let shown = fixed(value, digits);
    let above = value > 0.0 && shown.contains(|c: char| matches!(c, '1'..='9'));
    if above { format!("+{shown}") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_the_reader() {
        let check = |text: &str, expected: &str| assert_eq!(visible(text), expected, "{text:?}");
        check("a\r\nb\tc\n", "a\nb\tc\n");
        check("a\rb\0\x1b\x7f", "a␍b␀␛␡");
        check("\u{202e}abc\u{2066}", "⟨U+202E⟩abc⟨U+2066⟩");
        check("👨\u{200d}👩\u{200d}👧 e\u{301} 駅", "👨\u{200d}👩\u{200d}👧 e\u{301} 駅");
        check("🏴\u{e0067}\u{e007f} a\u{e0067}", "🏴\u{e0067}\u{e007f} a⟨U+E0067⟩");
    }

    #[test]
    fn nothing_is_markup() {
        assert_eq!(escape_html(r#"<b a="1" c='2'>&amp;"#), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;");
        let check = |text: &str, expected: &str| assert_eq!(escape_markdown(text), expected, "{text:?}");
        check("*a* _b_ `c` [d](e) <f> | g\\", "\\*a\\* \\_b\\_ \\`c\\` \\[d\\](e) \\<f\\> \\| g\\\\");
        check("One:\nhttps://x.y and two: three:", "One: https&#58;//x.y and two: three:");
        let check = |text: &str, expected: &str| assert_eq!(quote_markdown(text), expected, "{text:?}");
        check("# One\n\n    - two\n1. three\n1984 was\n***", "> \\# One\n> \n> \\- two\n> 1\\. three\n> 1984 was\n> \\*\\*\\*");
        check("===\n+ a\n10) b", "> \\===\n> \\+ a\n> 10\\) b");
    }

    #[test]
    fn figures() {
        assert_eq!([fixed(1.254, 2), fixed(-0.5, 2), fixed(-0.001, 2), fixed(0.0, 0)], ["1.25", "−0.50", "0.00", "0"]);
        assert_eq!([signed(1.254, 2), signed(-0.5, 2), signed(0.001, 2), signed(0.0, 1)], ["+1.25", "−0.50", "0.00", "0.0"]);
    }
}
