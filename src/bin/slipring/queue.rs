//! Whose queues this process opens beside its user's. Asked once, and the same for every queue that a command
//! comes to: its own, those of dead letters, those of retries.

use std::sync::OnceLock;

use slipring::{Builder, OpenOptions, Queue};

static ALLOWED: OnceLock<Vec<u32>> = OnceLock::new();

/// Takes what the command line says. What comes later changes nothing.
pub(crate) fn allow(uids: Vec<u32>) {
    ALLOWED.get_or_init(|| uids);
}

fn allowed() -> impl Iterator<Item = u32> {
    ALLOWED.get().into_iter().flatten().copied()
}

/// How to open a queue.
pub(crate) fn options() -> OpenOptions {
    allowed().fold(OpenOptions::new(), OpenOptions::allow_owner)
}

/// How to make a queue.
pub(crate) fn builder(name: &str) -> Builder {
    allowed().fold(Queue::builder(name), Builder::allow_owner)
}
