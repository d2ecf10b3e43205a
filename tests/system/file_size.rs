//! The limit on the size of files (RLIMIT_FSIZE). In forked children: a limit is the whole process's.

use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use slipring::{CreateError, DeadLetterSendError, Group, OpenOrCreateError, Queue, RejectError};

use crate::common::TempName;
use crate::common::fork::{first_failure, fork};

const LIMIT: u64 = 65536;

fn limit_files() {
    // Rust's start does not touch SIGXFSZ: its default ends the process.
    setrlimit(Resource::RLIMIT_FSIZE, LIMIT, RLIM_INFINITY).unwrap();
}

#[test]
fn a_queue_larger_than_a_file_may_be_is_an_error_and_no_signal() {
    let name = TempName::new("fsize");
    let status = fork(|| {
        limit_files();
        let refused = Queue::builder(&name).create();
        let told = match &refused {
            Err(CreateError::FileSize { need, limit, .. }) => *need > LIMIT && *limit == LIMIT,
            _ => false,
        };
        let text = refused.map_or_else(|fault| fault.to_string(), |_| String::new());
        let small = Queue::builder(&name).capacity(64).create();
        first_failure(&[told, text.contains("RLIMIT_FSIZE"), small.is_ok()])
    });
    assert_eq!(status, 0);
}

#[test]
fn a_letter_that_needs_such_a_queue_leaves_its_message_where_it_is() {
    let name = TempName::new("fsize-letter");
    let letters = TempName::exactly(format!("{}.dead", &*name));
    let queue = Queue::builder(&name).group(Group::named("g").shared()).create().unwrap();
    queue.producer().unwrap().send("bad").unwrap();
    let group = || Group::named("g").shared();
    let status = fork(|| {
        limit_files();
        let queue = Queue::open(&name).unwrap();
        let mut member = queue.consumer(group()).unwrap();
        let refused = member.recv().unwrap().reject();
        let Err(RejectError::DeadLetter(fault)) = refused else { return 1 };
        let open = matches!(
            fault.reason(),
            DeadLetterSendError::Open(OpenOrCreateError::Create(CreateError::FileSize { .. }))
        );
        first_failure(&[true, open])
    });
    assert_eq!(status, 0);
    assert!(!letters.path().exists());
    let mut member = queue.consumer(group()).unwrap();
    assert_eq!(&*member.recv().unwrap(), b"bad");
}
