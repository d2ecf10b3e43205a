//! The screen, drawn from the state.

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use slipring::Severity;

use super::columns::Shown;
use super::detail;
use super::state::{Row, State, View};
use super::text::{clip, wrap};
use crate::table::duration;

/// Below this a screen shows its counts only.
const NARROW: u16 = 40;
const LOW: u16 = 8;

const KEYS: [(&str, &str); 22] = [
    ("up down k j", "select a row (also PgUp, PgDn, Home, End)"),
    ("enter", "the selected group: its figures, consumers and past"),
    ("esc", "back; without anything open, drops the filter and d"),
    ("/", "only rows with this in QUEUE/GROUP; enter keeps it, esc drops it"),
    ("s S", "sort by the next column; in reverse"),
    ("d", "only queues of dead letters and of retries; again: all"),
    ("e", "what has happened since the start"),
    ("p", "pause: the screen stands still, and nothing is looked at"),
    ("+ -", "look twice, or half, as often"),
    ("q", "quit"),
    ("!! !", "an error: something stands still; a warning"),
    ("≥ -", "at least so much; not known"),
    ("USED", "slots in use, of the capacity: the producer waits at 100%"),
    ("BLOCKED", "share of the time in which the producer waited for room"),
    ("CONS", "consumers that run, of all: 1/2 says that one is stopped or dead"),
    ("READY", "messages that wait for a consumer; UNACKED: that consumers have"),
    ("AGE", "of the oldest message that is not acked"),
    ("UTIL", "what is sent, of what the consumers could ack"),
    ("DELAY", "mean time from sending to the ack; backlog: to ack all that waits"),
    ("MESSAGES", "what a consumer has: \"5 and 2 more\" is 5 and two later ones"),
    ("FOR DUE", "how long it has had the oldest; when others may take the first"),
    ("RENEWED", "its consumer asked for more time, or it was delivered again"),
];

fn error() -> Style {
    Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
}

fn warning() -> Style {
    Style::new().fg(Color::Yellow)
}

fn heading() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn faint() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn of(severity: Option<Severity>) -> Style {
    match severity {
        Some(Severity::Error) => error(),
        Some(_) => warning(),
        None => Style::new(),
    }
}

/// Lines that are still to be drawn, from the top.
struct Lines<'f, 'a> {
    frame: &'f mut Frame<'a>,
    left: Rect,
}

impl Lines<'_, '_> {
    fn width(&self) -> usize {
        usize::from(self.left.width)
    }

    fn height(&self) -> usize {
        usize::from(self.left.height)
    }

    fn put(&mut self, text: impl Into<String>, style: Style) {
        if self.left.height == 0 {
            return;
        }
        let area = Rect { height: 1, ..self.left };
        self.frame.render_widget(Paragraph::new(Line::styled(text.into(), style)), area);
        self.left = Rect { y: area.y + 1, height: self.left.height - 1, ..self.left };
    }

    fn rule(&mut self) {
        self.put("─".repeat(self.width()), faint());
    }

    /// Draws all lines, or as many as fit and how many are missing.
    fn put_all(&mut self, lines: &[(String, Style)], most: usize) {
        let most = most.min(self.height());
        let fits = if lines.len() <= most { lines.len() } else { most.saturating_sub(1) };
        for (line, style) in lines.iter().take(fits) {
            self.put(line.clone(), *style);
        }
        if fits < lines.len() && most > 0 {
            self.put(format!("  … {} more lines", lines.len() - fits), faint());
        }
    }
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    if area.width < NARROW || area.height < LOW {
        let text =
            format!("{}. This screen is too small for more: 80x24 shows all.", counts(state));
        let mut lines = Lines { frame, left: area };
        let wrapped = wrap(&text, usize::from(area.width));
        wrapped.into_iter().for_each(|line| lines.put(line, Style::new()));
        return;
    }
    let mut lines = Lines { frame, left: Rect { height: area.height - 1, ..area } };
    lines.put(top_line(state, lines.width()), heading());
    match state.view {
        View::Overview => {
            // At most half, as there may be something to say below.
            let below = if what_is_wrong(state, lines.width(), 1).is_empty() {
                3
            } else {
                lines.height() / 2
            };
            table(&mut lines, state, below);
            lines.rule();
            overview(&mut lines, state);
        }
        View::Detail => selected(&mut lines, state, usize::MAX),
        View::Events => {
            let below = lines.height() * 2 / 3;
            table(&mut lines, state, below);
            lines.rule();
            events(&mut lines, state, usize::MAX);
        }
        View::Help => {
            for (key, does) in KEYS {
                lines.put(clip(&format!("  {key:<12} {does}"), lines.width()), Style::new());
            }
        }
    }
    let last = Rect { y: area.y + area.height - 1, height: 1, ..area };
    Lines { frame, left: last }.put(bottom_line(state, usize::from(area.width)), heading());
}

fn counts(state: &State) -> String {
    let severity = |which: Severity| {
        let findings = state.stats.iter().flat_map(slipring::Stats::findings);
        findings.filter(|finding| finding.severity == which).count()
    };
    let (errors, warnings) = (severity(Severity::Error), severity(Severity::Warning));
    let queues = state.stats.len();
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    format!(
        "{queues} queue{}, {errors} error{}, {warnings} warning{}",
        plural(queues),
        plural(errors),
        plural(warnings)
    )
}

/// The time of day in UTC.
fn clock(time: std::time::SystemTime) -> String {
    let time = Timestamp::try_from(time).map(|time| time.to_string()).unwrap_or_default();
    time.get(11..19).map_or_else(|| "--:--:--".to_owned(), |time| format!("{time}Z"))
}

fn top_line(state: &State, width: usize) -> String {
    let paused = if state.paused { "PAUSED at " } else { "" };
    let every = state.every.as_secs_f64();
    let text =
        format!("slipring top  {paused}{}  every {every} s  {}", clock(state.time), counts(state));
    let mut text = text;
    if !state.filter.is_empty() {
        text += &format!("  /{}", state.filter);
    }
    if state.only_dead {
        text += "  dead letters only";
    }
    let gap = width.saturating_sub(text.chars().count() + state.host.chars().count());
    if gap >= 2 { format!("{text}{}{}", " ".repeat(gap), state.host) } else { clip(&text, width) }
}

fn bottom_line(state: &State, width: usize) -> String {
    let text = match (state.typing, state.view) {
        (true, _) => format!("filter: {}_   enter keeps it, esc drops it", state.filter),
        (_, View::Overview) => format!(
            "q quit  ? help  / filter  s sort ({}{})  enter detail  d dead  e events",
            state.sort.name(),
            if state.reversed { ", reversed" } else { "" }
        ),
        _ => "esc back  q quit  up down select  p pause  e events  ? help".to_owned(),
    };
    clip(&text, width)
}

/// The table, with at least `below` lines left below it.
fn table(lines: &mut Lines<'_, '_>, state: &State, below: usize) {
    let shown = Shown::fit(lines.width());
    lines.put(shown.heading(), heading());
    for queue in state.closed.iter().take(3) {
        lines.put(clip(&format!("!! {queue}"), lines.width()), error());
    }
    if state.rows.is_empty() {
        let text = match (state.stats.is_empty(), state.filter.is_empty()) {
            (true, _) if !state.closed.is_empty() => "   no queue can be shown",
            (true, _) => "   there are no queues; slipring create NAME --group main makes one",
            (false, false) => "   no group's name contains the filter; esc drops it",
            (false, true) if state.only_dead => {
                "   no queue of dead letters is watched; d shows all"
            }
            (false, true) => "   nothing to show",
        };
        lines.put(clip(text, lines.width()), faint());
        return;
    }
    let room = lines.height().saturating_sub(below).max(1);
    let all = state.rows.len();
    // A line says how many are not shown, above and below.
    let fits = if all <= room { all } else { room.saturating_sub(1).max(1) };
    let start = (state.selected + 1).saturating_sub(fits).min(all.saturating_sub(fits));
    let mut queue = None;
    for (at, row) in state.rows.iter().enumerate().skip(start).take(fits) {
        let Some((stats, group)) = state.at(*row) else { continue };
        let text = shown.row(stats, group, queue != Some(row.queue), row.severity);
        queue = Some(row.queue);
        let style = of(row.severity);
        let picked = at == state.selected && lines.width() > 0;
        lines.put(text, if picked { style.add_modifier(Modifier::REVERSED) } else { style });
    }
    if fits < all {
        let hidden = all - fits;
        let worse = hidden_trouble(state, start, fits);
        lines.put(format!("   … {hidden} more rows{worse}"), faint());
    }
}

/// Whether something is wrong in rows that do not fit.
fn hidden_trouble(state: &State, start: usize, fits: usize) -> &'static str {
    let hidden =
        |at: usize, row: &Row| !(start..start + fits).contains(&at) && row.severity.is_some();
    let wrong = state.rows.iter().enumerate().any(|(at, row)| hidden(at, row));
    if wrong { ", something is wrong there" } else { "" }
}

/// What is wrong with all queues that are shown: with what was selected first, then the worst. Of each, `most`
/// commands that mend it.
fn what_is_wrong(state: &State, width: usize, most: usize) -> Vec<(String, Style)> {
    let of_queue = |stats: &slipring::Stats| {
        let name = stats.snapshot.name.clone();
        stats.findings().into_iter().map(move |finding| (name.clone(), finding))
    };
    let mut found: Vec<_> = state.stats.iter().flat_map(of_queue).collect();
    let picked = state.picked();
    found.sort_by_key(|(queue, finding)| {
        let is_picked = picked.is_some_and(|(of, group)| {
            of == queue && (finding.group.is_none() || finding.group.as_deref() == group)
        });
        (!is_picked, finding.severity)
    });
    let mut lines = Vec::new();
    for (queue, finding) in &found {
        let wrong = of(Some(finding.severity));
        let all = detail::finding(queue, finding, width, most).into_iter();
        // What to do stands out from what is wrong.
        lines.extend(all.map(|line| {
            let command = line.starts_with("  do:");
            let effect = line.starts_with(' ');
            let style = if command { heading() } else { Style::new() };
            (line, if effect { style } else { wrong })
        }));
    }
    lines
}

fn overview(lines: &mut Lines<'_, '_>, state: &State) {
    let (width, left) = (lines.width(), lines.height());
    let mut wrong = what_is_wrong(state, width, usize::MAX);
    if wrong.len() > left {
        // The gentlest command of each; `enter` shows the others.
        wrong = what_is_wrong(state, width, 1);
    }
    if wrong.is_empty() {
        match (state.closed.is_empty(), state.stats.is_empty()) {
            (true, _) => lines.put("nothing is wrong", faint()),
            (false, false) => lines.put("nothing is wrong with the queues that are shown", faint()),
            (false, true) => {}
        }
    } else {
        // The selected group gets what is left, if that is worth it.
        let enough = if left >= wrong.len() + 8 { wrong.len() } else { left };
        lines.put_all(&wrong, enough);
    }
    // A consumer that lives may keep a message for ever, which nobody but an operator can judge.
    let oldest = detail::oldest_of_all(state.stats.iter()).unwrap_or_default();
    if !oldest.is_empty() && lines.height() > 2 {
        wrap(&oldest, width).into_iter().for_each(|line| lines.put(line, faint()));
    }
    if lines.height() >= 7 {
        lines.rule();
        let events = if lines.height() >= 24 { 8 } else { 0 };
        let most = lines.height() - events;
        selected(lines, state, most);
        if lines.height() > 2 && !state.events.list.is_empty() {
            lines.rule();
            self::events(lines, state, usize::MAX);
        }
    }
}

/// The selected group.
fn selected(lines: &mut Lines<'_, '_>, state: &State, most: usize) {
    let width = lines.width();
    let Some((queue, group)) = state.selected() else {
        lines.put("no group is selected", faint());
        return;
    };
    let mut all: Vec<(String, Style)> = Vec::new();
    match group {
        None => {
            let name = &queue.snapshot.name;
            all.push((
                clip(&format!("{name}   has no groups: it keeps nothing"), width),
                heading(),
            ));
        }
        Some(group) => {
            let text = detail::group(state, queue, group, width);
            all.extend(
                text.into_iter()
                    .enumerate()
                    .map(|(n, line)| (line, if n == 0 { heading() } else { Style::new() })),
            );
            let members = detail::members(group, width).into_iter();
            all.extend(members.map(|line| {
                let style = if line.contains("STOPPED")
                    || line.contains("DEAD ") && !line.contains("RECORD")
                {
                    error()
                } else {
                    Style::new()
                };
                (line, style)
            }));
        }
    }
    if state.view == View::Detail {
        let name = &queue.snapshot.name;
        for finding in queue.findings() {
            let concerns =
                finding.group.is_none() || finding.group.as_ref() == group.map(|g| &g.info.name);
            if concerns {
                let style = of(Some(finding.severity));
                all.push((String::new(), Style::new()));
                all.extend(
                    detail::finding(name, &finding, width, usize::MAX)
                        .into_iter()
                        .map(|line| (line, style)),
                );
            }
        }
        let messages = group.map_or(Vec::new(), |group| detail::messages(group, width));
        if !messages.is_empty() {
            all.push((String::new(), Style::new()));
            all.extend(messages.into_iter().map(|line| (line, Style::new())));
        }
    }
    lines.put_all(&all, most);
}

/// The newest events that fit, the newest last.
fn events(lines: &mut Lines<'_, '_>, state: &State, most: usize) {
    let since = state.time.duration_since(state.since).unwrap_or_default().as_secs();
    let title = format!("EVENTS seen since {} ({})", clock(state.since), duration(since));
    lines.put(clip(&title, lines.width()), heading());
    let fits = lines.height().min(most);
    let skip = state.events.list.len().saturating_sub(fits);
    if state.events.list.is_empty() {
        lines.put("  nothing has happened", faint());
    }
    for event in state.events.list.iter().skip(skip) {
        let text = format!("{}  {}: {}", clock(event.at), event.place, event.text);
        lines.put(clip(&text, lines.width()), Style::new());
    }
}
