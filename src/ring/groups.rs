//! Groups: how they are made, removed and freed. All of it happens under the control lease (invariant control-lease).
//! Two parties never take that lease: the producer's scan, and death. The orders here are for these two.

use std::io;

use super::notify;
use super::records::{self, Purpose, live_receiver, records_of, start_of};
use crate::layout::{FLAG_JOINED, GroupState, Totals, View, lease_byte};
use crate::packed::{Attempts, Head, NO_GROUP, NOBODY, Start};
use crate::sync::lease::{Leases, give_back, try_take};
use crate::sync::{Ordering, WordExt, fence, mutant, order, step};

/// Where a new group starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    Oldest,
    Newest,
    Sequence(u64),
}

/// A group's state.
pub(crate) fn state(view: &View, group: u8) -> GroupState {
    // Acquire. pair group-made: what the group's maker stored before.
    GroupState::unpack(view.group(group).identity.state.load(Ordering::Acquire))
}

/// The sequence at which a group began. The caller has seen the group's state ACTIVE.
pub(crate) fn began(view: &View, group: u8) -> u64 {
    // Relaxed: carried by the state. pair group-made.
    view.group(group).identity.began.load(Ordering::Relaxed)
}

/// Indexes of groups that are not free.
pub(crate) fn in_use(view: &View) -> impl Iterator<Item = u8> {
    // Acquire. pair group-made: a group below the mark has its words.
    let mark = view.control().marks.groups.load(Ordering::Acquire) as usize;
    let mark = mark.min(view.groups().len()) as u8;
    (0..mark).filter(|&group| state(view, group) != GroupState::Free)
}

/// An index for a new group, if there is one.
pub(crate) fn free_group(view: &View) -> Option<u8> {
    (0..view.groups().len() as u8).find(|&group| state(view, group) == GroupState::Free)
}

/// Makes group `index`, which is free and has its identity, and returns the sequence at which it starts.
///
/// The producer may overwrite the ring at the same time. The group stores head and state before its fence and reads
/// the limit after it; the producer announces its limit before its fence and scans after it (pair join). If the scan
/// misses this group, the limit read here is the announced one, and the head moves above everything that may be
/// overwritten under it.
///
/// `retries`: there are letters that were sent again to a group of this name.
pub(crate) fn make_group(view: &View, index: u8, position: Position, retries: bool) -> u64 {
    let words = view.control();
    let group = view.group(index);
    let geo = view.geo();
    // Relaxed: only the holder of the control lease stores marks.
    let mark = words.marks.groups.load_own(Ordering::Relaxed);
    // Release. pair group-made: a producer that finds the group below the mark finds its record made.
    let raised = mark.max(u64::from(index) + 1);
    step!(words.marks.groups.store(raised, Ordering::Release), "mark-never-raised");
    // Relaxed: a first guess, corrected below.
    let oldest = || words.limit.load(Ordering::Relaxed).saturating_sub(geo.capacity).max(geo.base);
    let guess = match position {
        Position::Oldest => oldest(),
        // Acquire. pair tail: the slots below it are published.
        Position::Newest => words.tail.load(Ordering::Acquire),
        Position::Sequence(seq) => seq.max(geo.base),
    };
    let delivery = &group.delivery;
    // Relaxed, all of them: carried by the state. Nothing was delivered or counted yet.
    step!(delivery.attempts.store(Attempts::NONE, Ordering::Relaxed), "old-attempts-count");
    step!(delivery.up_to.store(0, Ordering::Relaxed), "old-deliveries-count");
    let Totals { acked, redelivered, dead_lettered } = &group.cold.totals;
    for total in [acked, redelivered, dead_lettered] {
        total.store(0, Ordering::Relaxed);
    }
    step!(group.identity.flags.store(0, Ordering::Relaxed), "old-flags-stay");
    step!(group.identity.retries.store(retries.into(), Ordering::Relaxed), "old-retries-stay");
    group.head.store(Head { seq: guess, claimer: NOBODY }.pack(), Ordering::Relaxed);
    // Release. pair group-made: a producer that sees the state sees the head.
    let joining = mutant!(GroupState::Joining, "no-joining-state", GroupState::Active);
    group.identity.state.store(joining as u64, Ordering::Release);
    // SeqCst fence. pair join: head and state above, limit below.
    step!(fence(Ordering::SeqCst), "no-joiner-fence");
    // Relaxed: the fence orders it.
    let start = mutant!(guess.max(oldest()), "limit-read-once", guess);
    if start != guess {
        // Release. pair head, as every head: a producer that sees it may overwrite what lies below. No model needs
        // it, because the group has read nothing yet.
        group.head.store(Head { seq: start, claimer: NOBODY }.pack(), Ordering::Release);
    }
    // Relaxed: carried by the state below. Every head of the group is at least this.
    let began = mutant!(start, "began-at-the-guess", guess);
    group.identity.began.store(began, Ordering::Relaxed);
    // Release. pair group-made: as above.
    group.identity.state.store(GroupState::Active as u64, Ordering::Release);
    if start != guess {
        // The guess held the producer.
        step!(notify::room(view), "raised-head-wakes-nobody");
    }
    start
}

/// Frees groups whose maker or remover died half-way: they are JOINING although this process holds the control lease.
pub(crate) fn free_half_made(view: &View) -> bool {
    let half_made = in_use(view).filter(|&group| state(view, group) == GroupState::Joining);
    half_made.fold(false, |_, group| {
        free(view, group);
        true
    })
}

/// Frees a group that is JOINING. No live consumer reads for it, so its records change without their leases.
fn free(view: &View, group: u8) {
    for record in records_of(view, group) {
        let none = Start::idle(start_of(view, record).seq, NO_GROUP);
        // Release. pair start: as in `leave`. Before the group is free: the next group of this index must not find
        // records of the old one.
        let word = &view.record(record).claim.start;
        let release = order!(Release, "removed-record-relaxed");
        step!(word.store(none.pack(), release), "removed-groups-records-stay");
    }
    // Release. pair group-freed: the group's last reads come before the producer's next writes.
    let state = &view.group(group).identity.state;
    state.store(GroupState::Free as u64, order!(Release, "group-freed-relaxed"));
    step!(notify::room(view), "freed-group-wakes-nobody");
}

/// Frees `group` unless a member lives. Returns the record of the live member then, and has changed nothing.
pub(crate) fn remove_group(view: &View, leases: &impl Leases, group: u8) -> io::Result<Option<u8>> {
    let mut taken = [false; u8::MAX as usize];
    let mut live = Ok(None);
    for record in records_of(view, group) {
        match try_take(leases, lease_byte::consumer(record)) {
            Ok(true) => taken[usize::from(record)] = true,
            Ok(false) => live = mutant!(Ok(Some(record)), "removal-ignores-members", Ok(None)),
            Err(fault) => live = Err(fault),
        }
        if !matches!(live, Ok(None)) {
            break;
        }
    }
    if matches!(live, Ok(None)) {
        // Release. pair group-made. If this process dies after it, the next holder of the control lease frees the
        // group. Without it the group would live on without what its records lose. A JOINING group holds the
        // producer.
        let state = &view.group(group).identity.state;
        step!(state.store(GroupState::Joining as u64, Ordering::Release), "removal-in-place");
        free(view, group);
    }
    for (record, _) in (0..u8::MAX).zip(&taken).filter(|(_, taken)| **taken) {
        let byte = lease_byte::consumer(record);
        mutant!(
            give_back(leases, byte),
            "refused-removal-keeps-leases",
            if matches!(live, Ok(None)) {
                give_back(leases, byte);
            }
        );
    }
    live
}

/// A member of `group` leaves it, with `record` and the record that it adopted. The group goes with the last one, if it is of
/// that kind. The leases of both and the control lease are held; those of both are given back, after an error as well.
pub(crate) fn leave_group(
    view: &View,
    leases: &impl Leases,
    group: u8,
    (record, adopted): (u8, Option<u8>),
    purpose: Purpose,
) -> io::Result<()> {
    records::leave(view, leases, record, adopted);
    // Letters must not go with the one that has just put them.
    let receives = mutant!(purpose == Purpose::Receive, "putter-ends-the-group", true);
    if receives && goes_with_last_member(view, group) {
        remove_group(view, leases, group)?;
    }
    Ok(())
}

/// Whether `group` is removed with its last member, and has had one: a group that was only declared stays.
pub(crate) fn goes_with_last_member(view: &View, group: u8) -> bool {
    was_joined(view, group) && is_released(view, group)
}

/// Whether `group` is removed with its last member, once it has had one.
pub(crate) fn is_released(view: &View, group: u8) -> bool {
    // Relaxed: stored before the group's state, which the caller has seen (pair group-made).
    let traits = view.group(group).identity.traits.load(Ordering::Relaxed);
    traits >> 8 & 0xff == RETENTION_RELEASE
}

/// Whether `group` may go at any time, and all that is in its cells with it: it is removed with its last member, and those
/// that received are gone. The control lease is held; the caller is a member that puts letters, with record `own`.
pub(crate) fn is_abandoned(
    view: &View,
    leases: &impl Leases,
    group: u8,
    own: u8,
) -> io::Result<bool> {
    Ok(goes_with_last_member(view, group) && live_receiver(view, leases, group, own)?.is_none())
}

/// Whether a consumer has joined `group` since it was made: a member that receives.
pub(crate) fn was_joined(view: &View, group: u8) -> bool {
    // Relaxed: stored under the control lease, which the caller holds (pair lease).
    view.group(group).identity.flags.load(Ordering::Relaxed) & FLAG_JOINED != 0
}

/// Value of the retention byte of a group that is removed with its last member; 0: the group stays.
pub(crate) const RETENTION_RELEASE: u64 = 1;

/// Frees groups that nobody will ever ack for: those that were left half-made, and those without a live member that
/// are removed with their last one. A full producer calls it. It only *tries* the control lease. Returns whether it
/// freed a group.
pub(crate) fn reap(view: &View, leases: &impl Leases) -> io::Result<bool> {
    if !mutant!(try_take(leases, lease_byte::CONTROL)?, "reap-without-the-control-lease", true) {
        return Ok(false);
    }
    let holder = &view.control().holder;
    // Relaxed: for people to read.
    holder.store(u64::from(std::process::id()), Ordering::Relaxed);
    let mut freed = mutant!(free_half_made(view), "half-made-groups-stay", false);
    let mut fault = None;
    for group in in_use(view).filter(|&group| goes_with_last_member(view, group)) {
        match remove_group(view, leases, group) {
            Ok(None) => freed = true,
            Ok(Some(_)) => {}
            Err(error) => fault = Some(error),
        }
    }
    // Relaxed: for people to read.
    holder.store(0, Ordering::Relaxed);
    step!(give_back(leases, lease_byte::CONTROL), "reap-without-the-control-lease");
    fault.map_or(Ok(freed), Err)
}
