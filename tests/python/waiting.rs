//! Sleepers of one language that the other wakes, and ends of waits.

use serde_json::json;
use slipring::{Queue, RecvError, WakeMode};

use crate::common::child::Child;
use crate::common::{TempName, words};
use crate::{LONGEST, MODES, Python, has_python, nothing_is_left, send};

/// Where docs/layout.md has the lease of control operations.
const CONTROL_LEASE: u64 = 513;

/// A producer that has said that it sleeps, and is stopped then, so that it cannot find the room by itself.
#[test]
fn an_ack_by_python_takes_the_producers_bit_and_counts_a_wake_up() {
    if !has_python() {
        return;
    }
    for mode in [WakeMode::Membarrier, WakeMode::Fence] {
        let name = TempName::new("python-room");
        let shape = Queue::builder(&name).capacity(8).payload_size(LONGEST).wake_mode(mode);
        let queue = shape.group("g").create().unwrap();
        let file = words::open(&name.path());
        let mut producer = Child::start(&format!("send-and-close {} 20", &*name));
        producer.expect("attached");
        let asleep = || words::get32(&file, words::ROOM) & 1 == 1;
        loop {
            while !asleep() {
                std::thread::yield_now();
            }
            producer.stop();
            // Nor in the midst of a look for groups without members, which holds the control lease.
            if asleep() && !words::lease_is_held(&file, CONTROL_LEASE) {
                break;
            }
            producer.go_on();
        }
        let before = words::get32(&file, words::ROOM);
        // A quarter of the ring is worth a wake-up: the second ack makes it.
        assert_eq!(words::get(&file, words::THRESHOLD), 2);
        let mut python = Python::consumer(&name, "g", &["--paced"]);
        for sequence in 0..20 {
            // Then it has acked what comes before this one.
            python.expect_sent(0, sequence, Some(1));
            let word = words::get32(&file, words::ROOM);
            match sequence {
                0 | 1 => assert_eq!(word, before),
                2..7 => assert_eq!(word, (before & !1) + 4),
                7 => producer.go_on(),
                _ => {}
            }
            python.say("");
        }
        assert_eq!(python.line(), Some(json!({ "closed": 20 })));
        python.finish();
        producer.finish();
        drop(queue);
        nothing_is_left(name);
    }
}

/// Who sleeps where the producer does, without an end of its own: only a wake-up ends it.
#[test]
#[allow(unsafe_code)]
fn an_ack_by_python_wakes_who_sleeps_at_the_room_word() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-wakes");
    let shape = Queue::builder(&name).capacity(4).payload_size(LONGEST).wake_mode(WakeMode::Fence);
    let queue = shape.group("g").create().unwrap();
    (0..4).for_each(|n| send(&mut queue.producer().unwrap(), n));
    let file = words::open(&name.path());
    let len = 4096;
    // SAFETY: a mapping of its own, of a file that is longer, and that nobody cuts.
    let at = unsafe {
        let (all, fd) =
            (libc::PROT_READ | libc::PROT_WRITE, std::os::fd::AsRawFd::as_raw_fd(&file));
        libc::mmap(std::ptr::null_mut(), len, all, libc::MAP_SHARED, fd, 0)
    };
    assert_ne!(at, libc::MAP_FAILED);
    // The gate that is wanted, then the bit, as the producer does it.
    words::set(&file, words::THRESHOLD, 4);
    std::os::unix::fs::FileExt::write_all_at(&file, &1u32.to_le_bytes(), words::ROOM).unwrap();
    let address = at as usize + words::ROOM as usize;
    let sleeper = std::thread::spawn(move || {
        let limit = libc::timespec { tv_sec: 600, tv_nsec: 0 };
        // SAFETY: the word is mapped until this thread has ended.
        let woken = unsafe { libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAIT, 1, &limit) };
        (woken, std::io::Error::last_os_error().raw_os_error())
    });
    let mut python = Python::consumer(&name, "g", &[]);
    for sequence in 0..4 {
        python.expect_sent(0, sequence, Some(1));
    }
    let (woken, error) = sleeper.join().unwrap();
    // Or the word was another before it slept.
    assert!(woken == 0 || error == Some(libc::EAGAIN), "{error:?}");
    assert_eq!(words::get32(&file, words::ROOM), 4);
    // SAFETY: mapped above, and nobody uses it any more.
    assert_eq!(unsafe { libc::munmap(at, len) }, 0);
    queue.producer().unwrap().close().unwrap();
    assert_eq!(python.line(), Some(json!({ "closed": 4 })));
    python.finish();
    drop(queue);
    nothing_is_left(name);
}

/// It sleeps then, and finds the end by a wake-up or at the bound of its sleep.
#[test]
fn python_ends_when_a_queue_is_closed_or_removed_while_it_waits() {
    if !has_python() {
        return;
    }
    for mode in MODES {
        for removed in [false, true] {
            let name = TempName::new("python-ends");
            let shape = Queue::builder(&name).capacity(4).payload_size(LONGEST).wake_mode(mode);
            let queue = shape.group("g").create().unwrap();
            let mut python = Python::consumer(&name, "g", &[]);
            let mut observer = Python::start(&["observe", &name]);
            assert_eq!(observer.line(), Some(json!({ "from": 0 })));
            if queue.wake_mode() != WakeMode::None {
                let file = words::open(&name.path());
                while words::get32(&file, words::GROUPS + 664) & 1 == 0 {
                    std::thread::yield_now();
                }
                assert_eq!(words::get32(&file, words::DATA) & 1, 1);
            }
            if removed {
                std::fs::remove_file(name.path()).unwrap();
                python.fail("was removed");
                observer.fail("was removed");
            } else {
                queue.producer().unwrap().close().unwrap();
                assert_eq!(python.line(), Some(json!({ "closed": 0 })));
                python.finish();
                assert_eq!(observer.line(), Some(json!({ "closed": 0, "missed": 0 })));
                observer.finish();
                let end = queue.consumer("g").unwrap().try_recv().map(drop);
                assert!(matches!(end, Err(RecvError::Closed { .. })), "{end:?}");
            }
            drop(queue);
            nothing_is_left(name);
        }
    }
}
