//! Whether the processes with a role run, as far as /proc tells.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::layout::lease_byte;
use crate::snapshot::Snapshot;
use crate::sys::{holder, process};

/// What is known of a process that has a role, or had one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessState {
    /// It has its role, and is not stopped.
    Alive,
    /// It has its role, and is stopped by a signal or a debugger: it keeps what it holds until it is continued or
    /// killed.
    Stopped,
    /// It has its role. Whether it is stopped is not known: /proc does not show here which process it is, because it is
    /// of another pid namespace or of another user.
    Unseen,
    /// It died: its role is free, but was not given back.
    Dead,
    /// No process has the role: none had it yet, or the last one has given it back.
    Absent,
}

impl ProcessState {
    /// As a word for programs. It never changes.
    pub fn name(self) -> &'static str {
        match self {
            ProcessState::Alive => "alive",
            ProcessState::Stopped => "stopped",
            ProcessState::Unseen => "unseen",
            ProcessState::Dead => "dead",
            ProcessState::Absent => "absent",
        }
    }
}

/// A process that has a role, or had one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// Whether it runs.
    pub state: ProcessState,
    /// Its pid in this process's pid namespace, where /proc proves it: only this one is safe to signal.
    pub pid_here: Option<u32>,
    /// The name of its program, 15 bytes at most, where /proc proves which process it is.
    pub command: Option<String>,
}

impl ProcessInfo {
    /// One that /proc does not show.
    pub(super) fn unproved(state: ProcessState) -> ProcessInfo {
        ProcessInfo { state, pid_here: None, command: None }
    }
}

/// For so long, a process that was found to hold a lease is not asked about again while that lease stays taken.
const PROOF_HOLDS: Duration = Duration::from_secs(5);

/// A role as it was taken once: byte of the lease, pid, how often the role was taken.
type Role = (u64, u32, u64);

/// Which processes were found to have their roles.
#[derive(Debug, Default)]
pub(super) struct Processes {
    proofs: HashMap<Role, Proof>,
    infos: HashMap<u64, ProcessInfo>,
}

#[derive(Clone, Copy, Debug)]
struct Proof {
    at: Instant,
    holds: bool,
}

impl Processes {
    /// Looks at all processes of a snapshot of the file with this device and inode.
    pub(super) fn look(&mut self, now: Instant, id: (u64, u64), snapshot: &Snapshot) {
        let producer = &snapshot.producer;
        let producer = (lease_byte::PRODUCER, producer.live, producer.pid, producer.epoch);
        let members = snapshot.groups.iter().flat_map(|group| &group.members).map(|member| {
            (lease_byte::consumer(member.record), member.live, member.pid, member.epoch)
        });
        let mut before = std::mem::take(&mut self.proofs);
        self.infos.clear();
        for (byte, lives, pid, epoch) in members.chain([producer]) {
            if !lives {
                let state = pid.map_or(ProcessState::Absent, |_| ProcessState::Dead);
                self.infos.insert(byte, ProcessInfo::unproved(state));
                continue;
            }
            let info = pid.and_then(|pid| {
                let role = (byte, pid, epoch);
                let known = before.remove(&role);
                let fresh = |proof: &Proof| now.duration_since(proof.at) < PROOF_HOLDS;
                let proof = known
                    .filter(fresh)
                    .unwrap_or_else(|| Proof { at: now, holds: holder::holds(pid, id, byte) });
                self.proofs.insert(role, proof);
                let seen = proof.holds.then(|| process::look(pid)).flatten()?;
                let stopped = ProcessState::Stopped;
                let state = if seen.stopped { stopped } else { ProcessState::Alive };
                Some(ProcessInfo { state, pid_here: Some(pid), command: Some(seen.command) })
            });
            self.infos.insert(byte, info.unwrap_or(ProcessInfo::unproved(ProcessState::Unseen)));
        }
    }

    pub(super) fn producer(&self) -> Option<&ProcessInfo> {
        self.infos.get(&lease_byte::PRODUCER)
    }

    pub(super) fn consumer(&self, record: u8) -> Option<&ProcessInfo> {
        self.infos.get(&lease_byte::consumer(record))
    }
}
