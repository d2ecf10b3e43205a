//! Consumer records: which group they belong to, how they are taken and given back. Everything but reading happens
//! under the control lease (invariant control-lease).

use std::io;

use super::cells::Table;
use super::notify;
use super::settle::settle_former;
use crate::layout::{FLAG_JOINED, PUTS_LETTERS, Totals, View, lease_byte};
use crate::packed::{Attempts, NO_GROUP, Start, State};
use crate::sync::lease::{Leases, give_back, try_take};
use crate::sync::{Ordering, Unmodelled, WordExt, mutant, order, step};

/// What a member of a group is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Receive,
    /// To put dead letters into cells of the group, or to do something about a certain message, as an operator. The group
    /// neither begins nor ends with such a member. One that goes with its last member stays for as long as such a member is
    /// there, and then until the ring is full, as after a death; but it gets no letter meanwhile.
    PutLetters,
}

/// Indexes of consumer records that are tagged with `group`.
pub(crate) fn records_of(view: &View, group: u8) -> impl Iterator<Item = u8> {
    // Acquire. pair record-used: a record below the mark was in use.
    let mark = view.control().marks.records.load(Ordering::Acquire) as usize;
    let mark = mark.min(view.records().len()) as u8;
    (0..mark).filter(move |&record| start_of(view, record).group == group)
}

pub(crate) fn start_of(view: &View, record: u8) -> Start {
    // Acquire: everything that the record's last owner did.
    Start::unpack(view.record(record).claim.start.load(Ordering::Acquire))
}

/// The record of a live member of `group`, if there is one.
pub(crate) fn live_member(view: &View, leases: &impl Leases, group: u8) -> io::Result<Option<u8>> {
    live_one(leases, records_of(view, group))
}

/// The same of a member that receives. The caller is another one, with record `own`.
pub(crate) fn live_receiver(
    view: &View,
    leases: &impl Leases,
    group: u8,
    own: u8,
) -> io::Result<Option<u8>> {
    let receives = |record: &u8| {
        // Relaxed: stored under the control lease, which the caller holds (pair lease).
        let holds = view.record(*record).counters.holds.load(Ordering::Relaxed);
        *record != own && mutant!(holds != PUTS_LETTERS, "putter-keeps-the-group", true)
    };
    live_one(leases, records_of(view, group).filter(receives))
}

fn live_one(leases: &impl Leases, records: impl Iterator<Item = u8>) -> io::Result<Option<u8>> {
    for record in records {
        let byte = lease_byte::consumer(record);
        if !try_take(leases, byte)? {
            mutant!(return Ok(Some(record)), "live-member-not-seen", continue);
        }
        give_back(leases, byte);
    }
    Ok(None)
}

/// Takes a consumer record for `group`: one whose owner is gone and which holds nothing, or else one that holds a
/// range of this group. Its lease is held then. `None`: all records are in use.
pub(crate) fn take_record(
    view: &View,
    leases: &impl Leases,
    group: u8,
    pid: u32,
    purpose: Purpose,
) -> io::Result<Option<u8>> {
    let occupant = Occupant { group, pid, purpose };
    match take_record_if(view, leases, occupant, is_idle)? {
        None => take_record_if(view, leases, occupant, |start| {
            // In a group with cells, a range is settled and not worked off.
            start.group == group || matches!(Table::of(view, start.group), Ok(Some(_)))
        }),
        taken => Ok(taken),
    }
}

/// The same, but only a record that holds nothing.
pub(crate) fn take_idle_record(
    view: &View,
    leases: &impl Leases,
    group: u8,
    pid: u32,
) -> io::Result<Option<u8>> {
    take_record_if(view, leases, Occupant { group, pid, purpose: Purpose::Receive }, is_idle)
}

fn is_idle(start: Start) -> bool {
    start.state == State::Idle
}

/// Who takes a record.
#[derive(Clone, Copy)]
struct Occupant {
    group: u8,
    pid: u32,
    purpose: Purpose,
}

fn take_record_if(
    view: &View,
    leases: &impl Leases,
    occupant: Occupant,
    fits: impl Fn(Start) -> bool,
) -> io::Result<Option<u8>> {
    for record in 0..view.records().len() as u8 {
        let byte = lease_byte::consumer(record);
        if !fits(start_of(view, record)) || !try_take(leases, byte)? {
            continue;
        }
        // Its last owner's cells would be taken for those of the next one.
        if mutant!(settle_former(view, record).is_err(), "joiner-settles-nothing", false) {
            give_back(leases, byte);
            continue;
        }
        // Read again under the lease: its last owner stores no more.
        if mutant!(fits(start_of(view, record)), "record-not-read-again", true) {
            occupy(view, record, occupant);
            return Ok(Some(record));
        }
        step!(give_back(leases, byte), "unfit-record-kept");
    }
    Ok(None)
}

fn occupy(view: &View, record: u8, Occupant { group, pid, purpose }: Occupant) {
    step!(fold_counters(view, record), "counts-of-the-dead-lost");
    let words = &view.record(record).claim;
    // Relaxed, all of them: for people to read, or ordered by the control lease.
    words.pid.store(u64::from(pid), Ordering::Relaxed);
    // Of a member whose group went before anybody settled it, perhaps.
    words.claimed_at.store(0, Ordering::Relaxed);
    let holds = &view.record(record).counters.holds;
    holds.store(0, Ordering::Relaxed);
    words.epoch.store(words.epoch.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    if mutant!(purpose == Purpose::Receive, "putter-joins-the-group", true) {
        view.group(group).identity.flags.store(FLAG_JOINED, Ordering::Relaxed);
    }
    if purpose == Purpose::PutLetters {
        // Relaxed: as above.
        step!(holds.store(PUTS_LETTERS, Ordering::Relaxed), "putter-not-announced");
    }
    let mark = view.control().marks.records.load_own(Ordering::Relaxed);
    // Release. pair record-used: raised before the record's first use.
    let raised = mark.max(u64::from(record) + 1);
    step!(
        view.control().marks.records.store(raised, Ordering::Release),
        "record-mark-never-raised"
    );
    if start_of(view, record).state == State::Idle {
        // Relaxed: carried by the start word. A count of another group would be taken for this group's.
        step!(
            words.attempts.store(Attempts::NONE, Ordering::Relaxed),
            "counts-move-with-the-record"
        );
        // Release. pair start: the record is the group's from here on.
        let idle = Start::idle(0, group).pack();
        let release = order!(Release, "record-taken-relaxed");
        step!(words.start.store(idle, release), "record-not-tagged");
    }
}

/// Adds the counters of a record's last owner to the totals of its group, and sets them to 0.
fn fold_counters(view: &View, record: u8) {
    let counted = &view.record(record).counters;
    let group = view.groups().get(usize::from(start_of(view, record).group));
    // Relaxed, all of them: figures. Their owner is gone, or is the caller.
    let take = |counter: &Unmodelled| {
        let count = counter.load(Ordering::Relaxed);
        counter.store(0, Ordering::Relaxed);
        count
    };
    let counts = [take(&counted.acked), take(&counted.redelivered), take(&counted.dead_lettered)];
    if let Some(group) = group {
        let Totals { acked, redelivered, dead_lettered } = &group.cold.totals;
        for (total, count) in [acked, redelivered, dead_lettered].into_iter().zip(counts) {
            total.store(total.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
        }
    }
}

/// Gives back the record of a consumer that leaves, and the record that it adopted. Their leases are held, and given
/// back here.
pub(crate) fn leave(view: &View, leases: &impl Leases, record: u8, adopted: Option<u8>) {
    let claim = &view.record(record).claim;
    fold_counters(view, record);
    let start = start_of(view, record);
    // A range that is not acked stays for the other members, as after a death. Release. pair start: the member that
    // takes the record sees what its owner did.
    if start.state == State::Idle {
        let none = Start::idle(start.seq, NO_GROUP).pack();
        claim.start.store(none, order!(Release, "record-left-relaxed"));
    }
    give_back(leases, lease_byte::consumer(record));
    if let Some(adopted) = adopted {
        // A kept lease would look like a live member of the group.
        step!(give_back(leases, lease_byte::consumer(adopted)), "leaver-keeps-the-adopted");
    }
    if start.state != State::Idle || mutant!(adopted.is_some(), "adopter-leaves-in-silence", false)
    {
        // A lease that is given back wakes nobody.
        step!(notify::group(view, start.group), "leaver-wakes-nobody");
    }
}
