//! `slipring top`: what the queues do, on a screen that is drawn anew at an interval.
//!
//! `state` holds what is shown and obeys the keys, `screen` draws it, from `columns` (the table) and `detail` (a group in
//! words); `events` are the differences between looks.

mod columns;
mod detail;
mod events;
mod screen;
mod state;
#[cfg(test)]
mod tests;
mod text;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant, SystemTime};

use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::{DefaultTerminal, Terminal};
use slipring::OpenError;

use crate::args::TopArgs;
use crate::failure::{Failure, io_failed};
use crate::json::{self, Time};
use crate::output::print;
use crate::stop::Stop;
use crate::watched::Watched;
use state::{Asked, State};

/// Longest wait for a key in one piece, so that a signal is noticed.
const LATEST: Duration = Duration::from_millis(100);
/// What one screen shows without a terminal that says how large it is.
const SIZE: (u16, u16) = (120, 40);
/// Least time that the figures with samples look back on: at a fast pace one interval has few of them.
const WINDOW: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &TopArgs) -> Result<(), Failure> {
    let stop = Stop::on_signals()?;
    let mut watched = Watched::open(&args.names)?.with_letters();
    let mut state = State::new(args.interval, args.sort, &args.filter, host());
    state.named = !args.names.is_empty();
    if args.json {
        return print_json(args, &mut watched, &stop);
    }
    if args.once {
        watched.wait(args.interval, &stop)?;
        update(&mut state, &watched);
        return print(&as_text(&state));
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let text = "top draws on a terminal, and standard input or output is none";
        return Err(Failure::usage(text)
            .hint("slipring top --once  (prints the screen once)")
            .hint("slipring top --json  (prints an object at each interval)"));
    }
    update(&mut state, &watched);
    let mut terminal =
        ratatui::try_init().map_err(|fault| io_failed("set up the terminal", &fault))?;
    let outcome = interact(&mut terminal, &mut state, &mut watched, &stop);
    let restored =
        ratatui::try_restore().map_err(|fault| io_failed("restore the terminal", &fault));
    outcome.and(restored)
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    text::harmless(name.trim())
}

fn update(state: &mut State, watched: &Watched) {
    let closed = watched.closed().iter().map(|(name, fault)| match fault {
        OpenError::NotFound { .. } => format!("queue {name} is gone; waiting for one of that name"),
        fault => fault.to_string(),
    });
    state.update(SystemTime::now(), watched.stats(WINDOW), closed.collect());
}

fn interact(
    terminal: &mut DefaultTerminal,
    state: &mut State,
    watched: &mut Watched,
    stop: &Stop,
) -> Result<(), Failure> {
    let failed = |fault: io::Error| io_failed("draw on the terminal", &fault);
    loop {
        terminal.draw(|frame| screen::draw(frame, state)).map_err(failed)?;
        let start = Instant::now();
        let mut moments = watched.moments(state.every).into_iter().peekable();
        // Until the next look is due, or a key asks for another interval.
        while start.elapsed() < state.every {
            stop.check()?;
            let next = moments.peek().copied().unwrap_or(state.every).min(state.every);
            if event::poll(next.saturating_sub(start.elapsed()).min(LATEST)).map_err(failed)? {
                match event::read().map_err(failed)? {
                    Event::Key(key) if key.kind != KeyEventKind::Release => match state.key(key) {
                        Asked::Quit => return Ok(()),
                        Asked::Pace => break,
                        Asked::Nothing => {}
                    },
                    Event::Resize(..) => {}
                    _ => continue,
                }
                terminal.draw(|frame| screen::draw(frame, state)).map_err(failed)?;
            } else if !state.paused
                && moments.next_if(|moment| start.elapsed() >= *moment).is_some()
            {
                watched.glance();
            }
        }
        if !state.paused {
            watched.look()?;
            update(state, watched);
        }
    }
}

fn print_json(args: &TopArgs, watched: &mut Watched, stop: &Stop) -> Result<(), Failure> {
    loop {
        watched.wait(args.interval, stop)?;
        let stats = watched.stats(Duration::ZERO);
        let queues = stats.iter().map(json::QueueStats::from).collect();
        print(&json::line(&json::Stats { time: Time::now(), queues }))?;
        if args.once {
            return Ok(());
        }
    }
}

/// The screen as lines of text, as large as the terminal, or as the variables COLUMNS and LINES say.
fn as_text(state: &State) -> String {
    let variable = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let size = ratatui::crossterm::terminal::size().ok().filter(|_| io::stdout().is_terminal());
    let (columns, lines) = size.unwrap_or(SIZE);
    let columns: u16 = variable("COLUMNS").unwrap_or(columns).clamp(20, 1000);
    let lines: u16 = variable("LINES").unwrap_or(lines).clamp(4, 1000);
    // This terminal cannot fail.
    let Ok(mut terminal) = Terminal::new(TestBackend::new(columns, lines));
    let Ok(_) = terminal.draw(|frame| screen::draw(frame, state));
    let buffer = terminal.backend().buffer();
    let rows = buffer.content.chunks(usize::from(columns)).map(|cells| {
        let row: String = cells.iter().map(|cell| cell.symbol()).collect();
        row.trim_end().to_owned() + "\n"
    });
    let text: String = rows.collect();
    text.trim_end().to_owned() + "\n"
}
