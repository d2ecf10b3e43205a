//! What is shown, and how the keys have changed that.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use slipring::{Figure, GroupStats, Severity, Stats};

use super::events::Events;
use crate::args::Sort;
use crate::dead_letters::purpose;
use crate::figures::used;

/// Looks that the lines of the past show at most.
const PAST: usize = 240;
const FASTEST: Duration = Duration::from_millis(100);
const SLOWEST: Duration = Duration::from_secs(60);

/// Which pane is open below the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// What is wrong, and the selected group.
    Overview,
    /// The selected group, in place of the table.
    Detail,
    /// What has happened.
    Events,
    /// The keys.
    Help,
}

/// A row of the table: indexes of a queue, and of its group if it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) queue: usize,
    pub(super) group: Option<usize>,
    /// Of what is wrong with it, or with its queue.
    pub(super) severity: Option<Severity>,
}

/// A group's past.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) acks: VecDeque<Option<f64>>,
    pub(super) depths: VecDeque<Option<f64>>,
}

/// All that the screen shows.
#[derive(Debug)]
pub(super) struct State {
    pub(super) stats: Vec<Stats>,
    pub(super) rows: Vec<Row>,
    /// Names of queues that cannot be opened, and why.
    pub(super) closed: Vec<String>,
    pub(super) selected: usize,
    pub(super) view: View,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    pub(super) filter: String,
    /// Queues were named, and are watched with their dead letters: those are not what is selected first.
    pub(super) named: bool,
    /// Only queues of dead letters are shown.
    pub(super) only_dead: bool,
    /// While a filter is typed.
    pub(super) typing: bool,
    pub(super) paused: bool,
    pub(super) every: Duration,
    pub(super) time: SystemTime,
    pub(super) since: SystemTime,
    pub(super) host: String,
    pub(super) events: Events,
    past: HashMap<(u128, u64), Past>,
    /// The selected row by its names, which stays selected when rows move.
    follows: Option<(String, Option<String>)>,
}

/// What a key asks the program to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    Quit,
    /// The time between two looks has changed.
    Pace,
}

impl State {
    pub(super) fn new(every: Duration, sort: Sort, filter: &str, host: String) -> State {
        let now = SystemTime::now();
        State {
            stats: Vec::new(),
            rows: Vec::new(),
            closed: Vec::new(),
            selected: 0,
            view: View::Overview,
            sort,
            reversed: false,
            filter: filter.to_owned(),
            named: false,
            only_dead: false,
            typing: false,
            paused: false,
            every,
            time: now,
            since: now,
            host,
            events: Events::default(),
            past: HashMap::new(),
            follows: None,
        }
    }

    /// Takes new figures.
    pub(super) fn update(&mut self, time: SystemTime, stats: Vec<Stats>, closed: Vec<String>) {
        self.events.note(time, &stats);
        let mut before = std::mem::take(&mut self.past);
        for queue in &stats {
            for group in &queue.groups {
                let key = (queue.snapshot.instance, group.info.instance);
                let mut past = before.remove(&key).unwrap_or_default();
                past.acks.push_back(group.throughput.value());
                past.depths.push_back(Some(group.info.depth as f64));
                if past.acks.len() > PAST {
                    past.acks.pop_front();
                    past.depths.pop_front();
                }
                self.past.insert(key, past);
            }
        }
        (self.time, self.stats, self.closed) = (time, stats, closed);
        self.arrange();
    }

    pub(super) fn past(&self, queue: &Stats, group: &GroupStats) -> Option<&Past> {
        self.past.get(&(queue.snapshot.instance, group.info.instance))
    }

    /// The queue and group of a row.
    pub(super) fn at(&self, row: Row) -> Option<(&Stats, Option<&GroupStats>)> {
        let queue = self.stats.get(row.queue)?;
        Some((queue, row.group.and_then(|group| queue.groups.get(group))))
    }

    pub(super) fn selected(&self) -> Option<(&Stats, Option<&GroupStats>)> {
        self.at(*self.rows.get(self.selected)?)
    }

    /// The queue and group that were selected by a key.
    pub(super) fn picked(&self) -> Option<(&str, Option<&str>)> {
        self.follows.as_ref().map(|(queue, group)| (queue.as_str(), group.as_deref()))
    }

    /// Orders and filters the rows anew. Groups of a queue stay together.
    fn arrange(&mut self) {
        let mut queues: Vec<Vec<Row>> = Vec::new();
        for (at, queue) in self.stats.iter().enumerate() {
            if self.only_dead && purpose(&queue.snapshot).is_none() {
                continue;
            }
            let findings = queue.findings();
            let worst = |group: Option<&str>| {
                let of =
                    findings.iter().filter(|f| f.group.is_none() || f.group.as_deref() == group);
                of.map(|finding| finding.severity).min()
            };
            let mut rows: Vec<Row> = match queue.groups.is_empty() {
                true => vec![Row { queue: at, group: None, severity: worst(None) }],
                false => (0..queue.groups.len())
                    .map(|group| {
                        let name = queue.groups.get(group).map(|group| group.info.name.as_str());
                        Row { queue: at, group: Some(group), severity: worst(name) }
                    })
                    .collect(),
            };
            rows.retain(|row| self.name_of(*row).contains(&self.filter));
            rows.sort_by(|a, b| self.order(*a, *b));
            if !rows.is_empty() {
                queues.push(rows);
            }
        }
        queues.sort_by(|a, b| match (a.first(), b.first()) {
            (Some(a), Some(b)) => self.order(*a, *b),
            _ => std::cmp::Ordering::Equal,
        });
        self.rows = queues.into_iter().flatten().collect();
        let followed = self.follows.as_ref().and_then(|follows| {
            self.rows.iter().position(|row| self.key_of(*row).as_ref() == Some(follows))
        });
        let is_named =
            |row: &Row| self.at(*row).is_some_and(|(queue, _)| purpose(&queue.snapshot).is_none());
        let first = match self.follows {
            None if self.named => self.rows.iter().position(is_named),
            _ => None,
        };
        let selected = followed.or(first).unwrap_or(self.selected);
        self.selected = selected.min(self.rows.len().saturating_sub(1));
    }

    /// QUEUE/GROUP.
    pub(super) fn name_of(&self, row: Row) -> String {
        match self.at(row) {
            Some((queue, Some(group))) => format!("{}/{}", queue.snapshot.name, group.info.name),
            Some((queue, None)) => queue.snapshot.name.clone(),
            None => String::new(),
        }
    }

    fn key_of(&self, row: Row) -> Option<(String, Option<String>)> {
        let (queue, group) = self.at(row)?;
        Some((queue.snapshot.name.clone(), group.map(|group| group.info.name.clone())))
    }

    fn order(&self, a: Row, b: Row) -> std::cmp::Ordering {
        let by = |of: &dyn Fn(&Stats, Option<&GroupStats>) -> f64| {
            let value = |row: Row| self.at(row).map_or(0.0, |(queue, group)| of(queue, group));
            value(b).total_cmp(&value(a))
        };
        let figure = |figure: Option<Figure>| figure.and_then(Figure::value).unwrap_or(-1.0);
        let first = match self.sort {
            Sort::Name => std::cmp::Ordering::Equal,
            // None is last.
            Sort::Trouble => {
                a.severity.map_or(2, |s| s as u8).cmp(&b.severity.map_or(2, |s| s as u8))
            }
            Sort::Used => by(&|queue, _| used(queue)),
            Sort::Pub => by(&|queue, _| figure(Some(queue.publish_rate))),
            Sort::Ack => by(&|_, group| figure(group.map(|group| group.throughput))),
            Sort::Ready => by(&|_, group| group.map_or(0.0, |group| group.ready as f64)),
            Sort::Unacked => by(&|_, group| group.map_or(0.0, |group| group.unacked as f64)),
            Sort::Age => by(&|_, group| {
                let age = group.and_then(|group| group.oldest_age.value());
                age.map_or(-1.0, |age| age.as_secs_f64())
            }),
        };
        let first = if self.reversed { first.reverse() } else { first };
        first.then_with(|| self.name_of(a).cmp(&self.name_of(b)))
    }

    fn select(&mut self, to: usize) {
        self.selected = to.min(self.rows.len().saturating_sub(1));
        self.follows = self.rows.get(self.selected).and_then(|row| self.key_of(*row));
    }

    /// Obeys a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Asked {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Asked::Quit;
        }
        if self.typing {
            self.type_filter(key.code);
            return Asked::Nothing;
        }
        match key.code {
            KeyCode::Char('q') => return Asked::Quit,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                self.reversed = false;
                self.arrange();
            }
            KeyCode::Char('S') => {
                self.reversed = !self.reversed;
                self.arrange();
            }
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('e') => self.toggle(View::Events),
            KeyCode::Char('?' | 'h') => self.toggle(View::Help),
            KeyCode::Enter => self.toggle(View::Detail),
            KeyCode::Esc if self.view != View::Overview => self.view = View::Overview,
            KeyCode::Esc => {
                self.filter.clear();
                self.only_dead = false;
                self.arrange();
            }
            KeyCode::Char('d') => {
                self.only_dead = !self.only_dead;
                self.arrange();
            }
            KeyCode::Up | KeyCode::Char('k') => self.select(self.selected.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.select(self.selected + 1),
            KeyCode::PageUp => self.select(self.selected.saturating_sub(10)),
            KeyCode::PageDown => self.select(self.selected + 10),
            KeyCode::Home => self.select(0),
            KeyCode::End => self.select(usize::MAX),
            KeyCode::Char('+') => return self.pace(self.every / 2),
            KeyCode::Char('-') => return self.pace(self.every * 2),
            _ => {}
        }
        Asked::Nothing
    }

    fn toggle(&mut self, view: View) {
        self.view = if self.view == view { View::Overview } else { view };
    }

    fn pace(&mut self, every: Duration) -> Asked {
        self.every = every.clamp(FASTEST, SLOWEST);
        Asked::Pace
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(c) => self.filter.push(c),
            _ => {}
        }
        self.arrange();
    }
}
