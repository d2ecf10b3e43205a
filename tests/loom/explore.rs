//! Runs a model through all its executions, once for each store at which its mortals can die.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::heap::Process;
use crate::sync::{Died, die_at, live};

/// Most threads that die in one model.
const MORTALS: usize = 2;
/// Searches in a row that were cut and saw no death, after which there is none to be expected.
const SILENT: u32 = 4;

/// A model, before it is run.
pub(super) struct Model {
    name: &'static str,
    mortals: usize,
    preemptions: usize,
    reaches: &'static [&'static str],
    /// Longest search for one place to die.
    seconds: Option<f64>,
}

/// One execution's view of its run: which thread dies where, and a place to note what happened.
#[derive(Clone)]
pub(super) struct Run {
    deaths: [u32; MORTALS],
    notes: Arc<Mutex<Notes>>,
}

#[derive(Default)]
struct Notes {
    executions: u64,
    reached: BTreeSet<&'static str>,
    died: [bool; MORTALS],
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

impl Model {
    /// Searched with 2 preemptions unless the model or `SLIPRING_LOOM_PREEMPTIONS` says otherwise.
    pub(super) fn named(name: &'static str) -> Model {
        Model { name, mortals: 0, preemptions: 2, reaches: &[], seconds: None }
    }

    /// It has so many threads that die, at every store they make.
    pub(super) fn mortals(self, mortals: usize) -> Model {
        Model { mortals, ..self }
    }

    pub(super) fn preemptions(self, preemptions: usize) -> Model {
        Model { preemptions, ..self }
    }

    /// What must have happened in some execution: without it the model proves nothing.
    pub(super) fn reaches(self, reaches: &'static [&'static str]) -> Model {
        Model { reaches, ..self }
    }

    /// It is too large to be run to the end every time: each place to die is searched so long only, and
    /// it says so. `SLIPRING_LOOM_SHARE` makes it so many times longer; with `SLIPRING_LOOM_SECONDS` that
    /// alone counts.
    pub(super) fn seconds(self, seconds: f64) -> Model {
        Model { seconds: Some(seconds), ..self }
    }

    /// Runs it to the end, or as long as `SLIPRING_LOOM_SECONDS` allows; it says so then, and asks for
    /// nothing to have been reached.
    pub(super) fn check(self, body: impl Fn(&Run) + Send + Sync + 'static) {
        let preemptions =
            setting("SLIPRING_LOOM_PREEMPTIONS").map_or(self.preemptions, |n| n as usize);
        let begin = Instant::now();
        let end = setting("SLIPRING_LOOM_SECONDS").map(|s| begin + Duration::from_secs(s));
        let share = setting("SLIPRING_LOOM_SHARE").unwrap_or(1) as f64;
        let body = Arc::new(body);
        let mut total = Notes::default();
        let (mut deaths, mut searches, mut cut) = ([0; MORTALS], 0, false);
        let mut silent = 0;
        'first: loop {
            let (mut first_died, mut part) = (false, false);
            loop {
                let until = match (end, self.seconds) {
                    (None, Some(each)) => {
                        Some(Instant::now() + Duration::from_secs_f64(each * share))
                    }
                    (end, _) => end,
                };
                let searched = self.search(deaths, preemptions, until, &body);
                searches += 1;
                total.executions += searched.executions;
                total.reached.extend(&searched.reached);
                first_died |= searched.died[0];
                part |= until.is_some_and(|until| Instant::now() >= until);
                cut |= part;
                if end.is_some() && cut {
                    break 'first;
                }
                if self.mortals < 2 || !searched.died[1] {
                    break;
                }
                deaths[1] += 1;
            }
            // A part of a search may have missed the death.
            silent = if first_died { 0 } else { silent + 1 };
            if self.mortals == 0 || silent > if part { SILENT } else { 0 } {
                break;
            }
            deaths = [deaths[0] + 1, 0];
        }
        println!(
            "model {} | {} executions | {:.1} s | {searches} searches | {preemptions} preemptions | {}",
            self.name,
            total.executions,
            begin.elapsed().as_secs_f64(),
            if cut { "CUT, not exhausted" } else { "exhausted" },
        );
        let missing: Vec<_> =
            self.reaches.iter().filter(|what| !total.reached.contains(*what)).collect();
        assert!(cut || missing.is_empty(), "{}: never reached {missing:?}", self.name);
    }

    fn search<F>(
        &self,
        deaths: [u32; MORTALS],
        preemptions: usize,
        end: Option<Instant>,
        body: &Arc<F>,
    ) -> Notes
    where
        F: Fn(&Run) + Send + Sync + 'static,
    {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.max_branches = 20_000;
        builder.max_duration = end.map(|end| end.saturating_duration_since(Instant::now()));
        // How often loom reads the clock.
        builder.checkpoint_interval = 200;
        let run = Run { deaths, notes: Arc::default() };
        let (inner, body) = (run.clone(), Arc::clone(body));
        let searched = catch_unwind(AssertUnwindSafe(|| {
            builder.check(move || {
                inner.notes().executions += 1;
                body(&inner);
            });
        }));
        if let Err(fault) = searched {
            let executions = run.notes().executions;
            eprintln!("model {} failed in execution {executions}, deaths {deaths:?}", self.name);
            resume_unwind(fault);
        }
        std::mem::take(&mut *run.notes())
    }
}

impl Run {
    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().expect("models run on one system thread")
    }

    /// Notes that something happened that the model is about.
    pub(super) fn reach(&self, what: &'static str) {
        self.notes().reached.insert(what);
    }

    /// Lives `life` as the model's mortal number `who`, which dies at one of its stores, or at none. The
    /// kernel frees what it held, after all its stores.
    pub(super) fn mortal<T>(
        &self,
        who: usize,
        process: &Process,
        life: impl FnOnce() -> T,
    ) -> Option<T> {
        die_at(self.deaths[who]);
        let end = catch_unwind(AssertUnwindSafe(life));
        live();
        match end {
            Ok(value) => Some(value),
            Err(cause) if cause.is::<Died>() => {
                self.notes().died[who] = true;
                process.torn_down();
                None
            }
            Err(fault) => resume_unwind(fault),
        }
    }
}
