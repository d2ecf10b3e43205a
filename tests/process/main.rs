//! Real processes: many wraps, SIGKILL at any point, SIGSTOP, pid namespaces.
//!
//! Each test starts this binary again in roles; see `roles`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[path = "../common/mod.rs"]
mod common;
mod control;
mod crash;
mod creation;
mod gone;
mod jobs;
mod stream;
mod survivors;
mod torture;
mod waking;

use common::child::role;

/// Not a test: what the processes that the tests start do.
#[test]
fn roles() {
    let Some(role) = role() else { return };
    let arg = |i: usize| role[i].as_str();
    match arg(0) {
        "send" => stream::send(arg(1), arg(2).parse().unwrap()),
        "receive" => stream::receive(arg(1), arg(2), arg(3).parse().unwrap()),
        "send-told" => crash::send_told(arg(1), arg(2).parse().unwrap()),
        "receive-told" => crash::receive_told(arg(1), arg(2).parse().unwrap()),
        "hold" => control::hold(arg(1), arg(2).parse().unwrap()),
        "member" => control::member(arg(1), arg(2)),
        "create" => creation::create_again_and_again(arg(1)),
        "send-jobs" => jobs::send_jobs(arg(1)),
        "work-jobs" => jobs::work_jobs(arg(1), arg(2).parse().unwrap()),
        "shifted" => jobs::shifted(arg(1)),
        "send-for-ever" => torture::send_for_ever(arg(1)),
        "produce" => gone::produce(arg(1)),
        "keep" => survivors::keep(arg(1)),
        "compete" => torture::compete(arg(1), arg(2).parse().unwrap()),
        "come-and-go" => torture::come_and_go(arg(1)),
        "make-and-remove" => torture::make_and_remove(arg(1)),
        "without-membarrier" => waking::without_membarrier(arg(1)),
        "take" => waking::take(arg(1), arg(2).parse().unwrap()),
        "take-slowly" => waking::take_slowly(arg(1), arg(2).parse().unwrap()),
        "give" => waking::give(arg(1), arg(2).parse().unwrap()),
        "give-silently" => waking::give_silently(arg(1), arg(2).parse().unwrap()),
        unknown => panic!("no role {unknown}"),
    }
}
