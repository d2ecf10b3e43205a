//! One operation: stepped through once, then run again for each state and killed there.

use std::sync::atomic::Ordering::SeqCst;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{Pid, alarm};

use super::book::{self, Book};
use super::bystanders::Bystander;
use super::judge::{Order, Scene, remove_all};
use super::operations::Operation;
use super::party::{Outcome, Party, alone};
use super::stage::Stage;
use super::trace::{self, Change, Walk};
use super::{Tally, Wish, clock, shm};

/// A run that takes this many seconds counts as blocked.
const SAFETY: u32 = 120;
/// After this many violations, an operation is not tried further.
const ENOUGH: u64 = 10;

#[derive(Clone, Copy)]
pub(crate) struct Trial<'a> {
    wish: &'a Wish,
    operation: &'a Operation,
    tally: &'a Tally,
    stage: Stage,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(
        wish: &'a Wish,
        operation: &'a Operation,
        tally: &'a Tally,
    ) -> Result<Trial<'a>, String> {
        let book: &'static Book =
            book::shared().map_err(|e| format!("cannot share memory: {e}"))?;
        Ok(Trial { wish, operation, tally, stage: Stage { queue: "steps", book } })
    }

    /// Runs all kills that were asked for, counts them in the tally, and prints each violation.
    pub(crate) fn run(self) -> Outcome {
        let walk = self.survey();
        clean()?;
        let walk = walk?;
        if let (false, Some(Change { at, what, .. })) = (self.operation.shows, walk.changes.first())
        {
            return Err(format!("it changes something, {}: {what:?}", trace::name_of(*at)));
        }
        self.tally.steps.store(walk.steps, SeqCst);
        self.tally.states.store(walk.changes.len() as u64 + 1, SeqCst);
        // Once more in the last state, after the operation has returned: then more is promised.
        for state in 0..=walk.changes.len() + 1 {
            for order in self.operation.orders {
                if !self.is_asked(state, *order) {
                    continue;
                }
                let changes = &walk.changes[..state.min(walk.changes.len())];
                self.tally.kills.fetch_add(1, SeqCst);
                let found = self.kill(changes, state, *order);
                clean()?;
                if let Err(fault) = found {
                    self.tell(changes, state, *order, &fault);
                    if self.tally.violations.fetch_add(1, SeqCst) + 1 == ENOUGH {
                        println!("{}: that is enough", self.operation.name);
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn is_asked(&self, state: usize, order: Order) -> bool {
        self.wish.change.is_none_or(|only| only == state)
            && self.wish.order.is_none_or(|only| only == order)
    }

    /// Steps through the whole operation.
    fn survey(&self) -> Result<Walk, String> {
        let (victim, _bystanders) = self.set_up()?;
        trace::walk(&victim, usize::MAX)
    }

    /// Makes everything anew: the queue, the bystanders, and the victim at its first mark.
    fn set_up(&self) -> Result<(Party, Vec<(Bystander, Party)>), String> {
        watch_the_clock()?;
        self.stage.book.clear();
        let (stage, operation) = (self.stage, self.operation);
        alone("who prepares", || (operation.prepare)(stage))?;
        let with = operation.with.iter();
        let bystanders: Result<Vec<_>, String> =
            with.map(|bystander| Ok((*bystander, bystander.start(stage)?))).collect();
        let bystanders = bystanders?;
        let victim = Party::start("the victim", |_| {
            clock::count_looks();
            trace::let_be_traced()?;
            (operation.victim)(stage)
        })?;
        trace::to_mark(&victim)?;
        Ok((victim, bystanders))
    }

    /// Kills the victim after the last of `changes`, or after its return if `state` is beyond them. Judges the result.
    fn kill(&self, changes: &[Change], state: usize, order: Order) -> Outcome {
        let (mut victim, mut bystanders) = self.set_up()?;
        if !trace::arrive(&victim, changes)? {
            // It took another path, because of the clock or other processes. Stepping reaches a state of that number.
            self.tally.strays.fetch_add(1, SeqCst);
            drop((victim, bystanders));
            clean()?;
            (victim, bystanders) = self.set_up()?;
            trace::walk(&victim, changes.len())?;
        }
        if state > changes.len() {
            trace::to_end(&victim)?;
        }
        victim.kill()?;
        if let Some(sabotage) = self.wish.sabotage {
            sabotage.commit(self.stage)?;
        }
        let mut scene = Scene { stage: self.stage, order, bystanders };
        (self.operation.judge)(&mut scene)?;
        remove_all()
    }

    fn tell(&self, changes: &[Change], state: usize, order: Order, fault: &str) {
        let (name, order) = (self.operation.name, order.name());
        println!(
            "VIOLATION in {name:?}, killed in state {state}, survivors: {order} first: {fault}"
        );
        if let Some(change) = changes.last() {
            let Change { step, at, what, .. } = change;
            println!("  behind instruction {step}, {}: {what:?}", trace::name_of(*at));
        }
        println!(
            "  again: cargo run --release --manifest-path tests/steps/Cargo.toml -- \
             --operation {name:?} --change {state} --order {order}"
        );
    }
}

/// Removes what the last run has left.
fn clean() -> Outcome {
    for name in shm::names()? {
        std::fs::remove_file(format!("{}/{name}", shm::SHM)).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Interrupts a blocked system call of this process after `SAFETY` seconds.
fn watch_the_clock() -> Outcome {
    extern "C" fn nothing(_: libc::c_int) {}
    let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
    #[allow(unsafe_code)]
    // SAFETY: the handler does nothing, so it may run at any time.
    let set = unsafe { sigaction(Signal::SIGALRM, &action) };
    set.map_err(|e| format!("cannot set a handler: {e}"))?;
    alarm::set(SAFETY);
    Ok(())
}

/// Keeps the processes of a job on one processor: they take turns, and no step needs a wake-up on another processor.
pub(crate) fn stay_on_processor(job: usize) -> Outcome {
    let pin = || -> Result<(), Errno> {
        let this = Pid::from_raw(0);
        let all = sched_getaffinity(this)?;
        let allowed: Vec<usize> =
            (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu) == Ok(true)).collect();
        let mut one = CpuSet::new();
        one.set(*allowed.get(job % allowed.len().max(1)).unwrap_or(&0))?;
        sched_setaffinity(this, &one)
    };
    pin().map_err(|e| format!("cannot stay on a processor: {e}"))
}
