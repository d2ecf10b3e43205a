//! What the screen shows, on a terminal that is a buffer.

use std::time::{Duration, SystemTime};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use slipring::{Group, Monitor, OpenOptions, Queue};

use super::screen;
use super::state::{Asked, State, View};
use crate::args::Sort;

/// A queue that goes when this is dropped.
struct Temporary(String);

impl Temporary {
    fn new(what: &str) -> Temporary {
        Temporary(format!("test-top-{what}-{}", std::process::id()))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = slipring::force_remove(&self.0);
    }
}

fn state(sort: Sort) -> State {
    State::new(Duration::from_secs(1), sort, "", "host".to_owned())
}

fn monitor(name: &Temporary) -> Monitor {
    Monitor::open(&name.0, &OpenOptions::new()).unwrap()
}

fn look(state: &mut State, monitors: &mut [&mut Monitor]) {
    let stats = monitors.iter_mut().map(|monitor| {
        monitor.look().unwrap();
        monitor.stats(Duration::from_secs(60))
    });
    let stats = stats.collect();
    state.update(SystemTime::now(), stats, Vec::new());
}

/// The screen's lines.
fn drawn(state: &State, columns: u16, lines: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    terminal.draw(|frame| screen::draw(frame, state)).unwrap();
    let buffer = terminal.backend().buffer();
    let rows = buffer.content.chunks(usize::from(columns));
    rows.map(|cells| {
        cells.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()
    })
    .collect()
}

fn press(state: &mut State, code: KeyCode) -> Asked {
    state.key(KeyEvent::new(code, KeyModifiers::NONE))
}

#[track_caller]
fn has(lines: &[String], words: &[&str]) {
    for word in words {
        assert!(lines.iter().any(|line| line.contains(word)), "{word:?} is not in {lines:#?}");
    }
}

/// Two queues: one that is full for a group without a consumer, and one in which nothing is wrong.
fn two(what: &str) -> (Temporary, Temporary) {
    let (bad, good) = (Temporary::new(&format!("z-{what}")), Temporary::new(&format!("a-{what}")));
    let queue = Queue::builder(&bad.0).capacity(8).group("audit").create().unwrap();
    queue.producer().unwrap().send_batch(["0"; 8]).unwrap();
    Queue::builder(&good.0).capacity(8).group(Group::named("work").shared()).create().unwrap();
    (bad, good)
}

#[test]
fn the_screen_says_what_is_wrong_and_what_mends_it_at_any_size() {
    let (bad, good) = two("sizes");
    let mut state = state(Sort::Trouble);
    look(&mut state, &mut [&mut monitor(&bad), &mut monitor(&good)]);
    for (columns, lines) in [(80, 24), (120, 40), (200, 60), (70, 20)] {
        let screen = drawn(&state, columns, lines);
        has(&screen, &["2 queues, 1 error, 0 warnings", "ERROR", "100%", "audit", "q quit"]);
        let text = screen.join(" ");
        let text: Vec<&str> = text.split_whitespace().collect();
        assert!(text.join(" ").contains("keep 8 of 8 slots: the ring is full"), "{screen:#?}");
        has(&screen, &[&format!("  do: slipring recv {} --group audit", bad.0)]);
        // Trouble comes first, though its name is last.
        let row = |name: &str| screen.iter().position(|line| line.contains(&name[..9])).unwrap();
        assert!(screen[2].starts_with("!!"), "{screen:#?}");
        assert!(row("test-top-") >= 2);
    }
    // A command is cut nowhere: it is broken between its words.
    let command = format!("slipring group rm {} audit --force", bad.0);
    let narrow = drawn(&state, 50, 24).join(" ");
    let narrow: Vec<&str> = narrow.split_whitespace().filter(|word| *word != "\\").collect();
    assert!(narrow.join(" ").contains(&command), "{narrow:?}");
    // Too small for a table: it says so, and what there is.
    let small = drawn(&state, 30, 6).join(" ");
    assert!(small.contains("2 queues, 1 error") && small.contains("too small"), "{small}");
    for columns in 1..130 {
        for lines in [1, 2, 5, 8, 9, 10, 15, 24, 45] {
            drawn(&state, columns, lines);
        }
    }
}

#[test]
fn keys_select_sort_filter_and_open() {
    let (bad, good) = two("keys");
    let mut state = state(Sort::Trouble);
    let (mut one, mut other) = (monitor(&bad), monitor(&good));
    look(&mut state, &mut [&mut one, &mut other]);
    let selected = |state: &State| state.selected().unwrap().0.snapshot.name.clone();
    assert_eq!(selected(&state), bad.0);
    press(&mut state, KeyCode::Char('s'));
    assert_eq!((state.sort, selected(&state)), (Sort::Name, good.0.clone()));
    press(&mut state, KeyCode::Down);
    assert_eq!(selected(&state), bad.0);
    // The same row stays selected when others move.
    press(&mut state, KeyCode::Char('S'));
    look(&mut state, &mut [&mut one, &mut other]);
    assert_eq!(selected(&state), bad.0);
    press(&mut state, KeyCode::End);
    press(&mut state, KeyCode::Enter);
    assert_eq!(state.view, View::Detail);
    has(
        &drawn(&state, 80, 24),
        &["exclusive", "no consumer", "depth 8 = 8 ready", "esc back", "ERROR"],
    );
    press(&mut state, KeyCode::Esc);
    press(&mut state, KeyCode::Char('?'));
    // All of it, on a screen of 80 columns by 24 lines.
    let help = drawn(&state, 80, 24);
    has(&help, &["select a row", "not known", "RENEWED"]);
    assert!(!help.iter().any(|line| line.contains('…')), "{help:#?}");
    press(&mut state, KeyCode::Esc);
    assert_eq!(state.view, View::Overview);
    press(&mut state, KeyCode::Char('/'));
    for c in "work".chars() {
        press(&mut state, KeyCode::Char(c));
    }
    has(&drawn(&state, 80, 24), &["filter: work_"]);
    press(&mut state, KeyCode::Enter);
    let rows: Vec<_> = state.rows.iter().map(|row| state.name_of(*row)).collect();
    assert_eq!(rows, [format!("{}/work", good.0)]);
    press(&mut state, KeyCode::Esc);
    assert_eq!(state.rows.len(), 2);
    assert_eq!(press(&mut state, KeyCode::Char('+')), Asked::Pace);
    assert_eq!(state.every, Duration::from_millis(500));
    press(&mut state, KeyCode::Char('p'));
    has(&drawn(&state, 80, 24), &["PAUSED", "every 0.5 s"]);
    assert_eq!(press(&mut state, KeyCode::Char('q')), Asked::Quit);
    let stop = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(state.key(stop), Asked::Quit);
}

#[test]
fn events_are_what_changed_between_looks() {
    let name = Temporary::new("events");
    let queue = Queue::builder(&name.0).capacity(8).group("g").create().unwrap();
    let mut state = state(Sort::Name);
    let mut monitor = monitor(&name);
    look(&mut state, &mut [&mut monitor]);
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    producer.send("0").unwrap();
    drop(consumer.recv().unwrap());
    drop(consumer.recv().unwrap());
    queue.add_group("late").unwrap();
    look(&mut state, &mut [&mut monitor]);
    drop(consumer);
    queue.force_remove_group("late").unwrap();
    producer.close().unwrap();
    look(&mut state, &mut [&mut monitor]);
    state.update(SystemTime::now(), Vec::new(), vec![format!("queue {} is gone", name.0)]);
    press(&mut state, KeyCode::Char('e'));
    let pid = std::process::id();
    let screen = drawn(&state, 120, 40);
    has(
        &screen,
        &[
            &format!("process {pid} is the producer"),
            &format!("/g: process {pid} joined"),
            "/g: 1 redelivered",
            "/late: the group was made, at message 0",
            &format!("/g: process {pid} left"),
            "/late: the group was removed",
            "closed at message 1",
            "the queue is gone",
            "!! queue",
        ],
    );
}

#[test]
fn rows_that_do_not_fit_are_counted() {
    let name = Temporary::new("many");
    let groups = (0..40).map(|n| format!("group-{n:02}"));
    let builder = Queue::builder(&name.0).capacity(8).max_groups(63);
    groups.fold(builder, |builder, group| builder.group(&*group)).create().unwrap();
    let mut state = state(Sort::Name);
    look(&mut state, &mut [&mut monitor(&name)]);
    let screen = drawn(&state, 80, 24);
    has(&screen, &["group-00", "more rows", "nothing is wrong"]);
    press(&mut state, KeyCode::End);
    let screen = drawn(&state, 80, 24);
    has(&screen, &["group-39", "more rows"]);
    assert!(!screen.iter().any(|line| line.contains("group-00")), "{screen:#?}");
}

#[test]
fn of_many_things_that_are_wrong_the_selected_one_comes_first() {
    let names: Vec<_> = (0..5).map(|n| Temporary::new(&format!("wrong-{n}"))).collect();
    let mut monitors: Vec<_> = names
        .iter()
        .map(|name| {
            let queue = Queue::builder(&name.0).capacity(8).group("g").create().unwrap();
            queue.producer().unwrap().send_batch(["0"; 8]).unwrap();
            monitor(name)
        })
        .collect();
    let mut state = state(Sort::Name);
    look(&mut state, &mut monitors.iter_mut().collect::<Vec<_>>());
    // Each is told with its gentlest command where there is no room for all.
    let screen = drawn(&state, 100, 24);
    for name in &names {
        has(&screen, &[&format!("do: slipring recv {} --group g", name.0)]);
    }
    press(&mut state, KeyCode::End);
    let screen = drawn(&state, 100, 24);
    let first = screen.iter().find(|line| line.contains("ERROR")).unwrap();
    assert!(first.contains(&names[4].0), "{screen:#?}");
}

#[test]
fn the_detail_of_a_group_lists_its_messages_in_flight() {
    let name = Temporary::new("in-flight");
    let group = Group::named("work").shared().in_flight(4).ack_timeout(Duration::from_secs(30));
    let queue = Queue::builder(&name.0).capacity(8).group(group).create().unwrap();
    queue.producer().unwrap().send_batch(["0", "1", "2"]).unwrap();
    let mut worker = queue.worker("work").unwrap();
    let mut jobs = worker.recv_batch(3).unwrap();
    jobs.remove(1).retry_after(Duration::from_secs(600)).unwrap();
    let mut state = state(Sort::Name);
    look(&mut state, &mut [&mut monitor(&name)]);
    press(&mut state, KeyCode::Enter);
    for (columns, lines) in [(80, 24), (120, 40)] {
        let screen = drawn(&state, columns, lines);
        has(
            &screen,
            &[
                "in flight 3 of 4, 1 delayed, 0 overdue",
                "ack timeout 30s",
                "0 and 1 more",
                "MESSAGE",
            ],
        );
        let row = |sequence: &str| {
            let start = screen.iter().position(|line| line.contains("RENEWED")).unwrap();
            let cells = |line: &String| -> Vec<String> {
                line.split_whitespace().map(str::to_owned).collect()
            };
            screen[start..].iter().map(cells).find(|cells| cells[0] == sequence).unwrap()
        };
        let pid = std::process::id().to_string();
        assert_eq!(row("0")[2..4], [pid, "1".to_owned()]);
        // As it was received: nobody has asked for more time.
        assert_eq!(row("0")[6..], ["-", "in", "30s"]);
        // Nobody has it, and it is due in ten minutes.
        assert_eq!(row("1")[1..4], ["-", "-", "1"]);
        assert_eq!(row("1").last().unwrap(), "10min");
    }
    drop(jobs);
}

#[test]
fn a_key_leaves_queues_of_dead_letters_only() {
    let name = Temporary::new("letters");
    let letters = Temporary(format!("{}.dead", name.0));
    let queue = Queue::builder(&name.0).capacity(8).group("g").create().unwrap();
    queue.producer().unwrap().send("bad").unwrap();
    queue.consumer("g").unwrap().recv().unwrap().reject().unwrap();
    let mut state = state(Sort::Name);
    look(&mut state, &mut [&mut monitor(&name), &mut monitor(&letters)]);
    assert_eq!(state.rows.len(), 2);
    press(&mut state, KeyCode::Char('d'));
    let names: Vec<_> = state.rows.iter().map(|row| state.name_of(*row)).collect();
    assert_eq!(names, [format!("{}/dead", letters.0)]);
    has(&drawn(&state, 100, 24), &["dead letters only", "slipring dead ls"]);
    press(&mut state, KeyCode::Char('d'));
    assert_eq!(state.rows.len(), 2);
    // Its row comes first, as something is wrong with it. What was named is selected all the same.
    let mut state = self::state(Sort::Trouble);
    state.named = true;
    look(&mut state, &mut [&mut monitor(&name), &mut monitor(&letters)]);
    assert_eq!(state.name_of(state.rows[0]), format!("{}/dead", letters.0));
    assert_eq!(state.selected().unwrap().0.snapshot.name, name.0);
    press(&mut state, KeyCode::Home);
    assert_eq!(state.selected().unwrap().0.snapshot.name, letters.0);
}
