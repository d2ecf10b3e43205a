//! Text in a given width.

/// A bar of `width` characters for a share of 1. Not full before it is, not empty once something is there.
pub(super) fn bar(share: f64, width: usize) -> String {
    let cells = (share.clamp(0.0, 1.0) * width as f64).floor() as usize;
    let cells = if share > 0.0 { cells.max(1) } else { cells };
    "█".repeat(cells) + &"░".repeat(width - cells.min(width))
}

/// The last `width` values as a line, the highest of them at full height. Unknown ones are left out as spaces.
pub(super) fn sparkline(
    values: impl DoubleEndedIterator<Item = Option<f64>>,
    width: usize,
) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let mut last: Vec<Option<f64>> = values.rev().take(width).collect();
    last.reverse();
    let most = last.iter().flatten().fold(0.0, |most: f64, value| most.max(*value));
    let height = |value: f64| {
        let step = if most > 0.0 { (value / most * 7.0).round() as usize } else { 0 };
        HEIGHTS.get(step).copied().unwrap_or('█')
    };
    last.into_iter().map(|value| value.map_or(' ', height)).collect()
}

/// Cuts a text that is longer than `width`, and shows that by a "…".
pub(super) fn clip(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    if width == 0 { String::new() } else { kept.chain(['…']).collect() }
}

/// A name that another process chose, without characters that a terminal would obey.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Breaks a text between words into lines of at most `width`, or inside a word that is longer.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word = word.to_owned();
        loop {
            let line = lines.last().map_or(0, |line| line.chars().count());
            let gap = usize::from(line > 0);
            let length = word.chars().count();
            if line + gap + length <= width {
                if let Some(last) = lines.last_mut() {
                    *last += if gap == 1 { " " } else { "" };
                    *last += &word;
                }
                break;
            }
            if line > 0 {
                lines.push(String::new());
                continue;
            }
            let head: String = word.chars().take(width).collect();
            word = word.chars().skip(width).collect();
            if let Some(last) = lines.last_mut() {
                *last = head;
            }
            lines.push(String::new());
        }
    }
    lines
}

/// Breaks a command into lines of at most `width`, which a shell takes for one: between its words, but not inside quotes. A word
/// that is longer has a line of its own.
pub(super) fn wrap_command(command: &str, width: usize) -> Vec<String> {
    let mut quoted = false;
    let words = command.split(|c: char| {
        quoted ^= c == '\'';
        c == ' ' && !quoted
    });
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            // Room for the mark at its end.
            Some(line) if line.chars().count() + word.chars().count() + 3 <= width => {
                *line += " ";
                *line += word;
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let last = lines.len().saturating_sub(1);
    lines.iter_mut().take(last).for_each(|line| *line += " \\");
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_only_when_all_is_used() {
        assert_eq!(bar(0.0, 4), "░░░░");
        assert_eq!(bar(0.001, 4), "█░░░");
        assert_eq!(bar(0.99, 4), "███░");
        assert_eq!([bar(1.0, 4), bar(7.0, 4)], ["████", "████"]);
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("kill 1234567890 now", 6), ["kill", "123456", "7890", "now"]);
        assert_eq!(wrap("", 5), [""]);
        let long = wrap(&"word ".repeat(100), 9);
        assert!(long.iter().all(|line| line.chars().count() <= 9));
    }

    #[test]
    fn a_command_on_several_lines_is_one_to_a_shell() {
        let command = "printf '%s,' one 'two  three; four' five six";
        for width in 1..60 {
            let lines = wrap_command(command, width);
            let fits = |line: &String| line.chars().count() <= width.max(20);
            assert!(lines.iter().all(fits), "{width}: {lines:?}");
            let ran = std::process::Command::new("sh").arg("-c").arg(lines.join("\n")).output();
            assert_eq!(ran.unwrap().stdout, b"one,two  three; four,five,six,", "{lines:?}");
        }
        assert_eq!(wrap_command("kill 1", 60), ["kill 1"]);
    }

    #[test]
    fn clipped_texts_say_so_and_control_characters_go() {
        assert_eq!([clip("queue", 5), clip("queues", 5), clip("x", 0)], ["queue", "queu…", ""]);
        assert_eq!(harmless("a\x1b[2Jb\n"), "a?[2Jb?");
    }

    #[test]
    fn a_sparkline_ends_with_the_newest() {
        let values = [Some(9.0), None, Some(0.0), Some(7.0)];
        assert_eq!(sparkline(values.into_iter(), 3), " ▁█");
        assert_eq!(sparkline(values.into_iter(), 9), "█ ▁▆");
    }
}
