//! A POSIX message queue. It holds as many messages as this user may ask for.

use std::fs;
use std::sync::Arc;

use nix::mqueue::{
    MQ_OFlag, MqAttr, MqdT, mq_attr_member_t, mq_close, mq_open, mq_receive, mq_send, mq_unlink,
};
use nix::sys::stat::Mode;
use zerocopy::IntoBytes;

use crate::leftovers;
use crate::message::{CAPACITY, InOrder, Msg};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

pub(crate) struct PosixMq;

/// An open queue. Dropping it closes it.
struct Queue(Option<MqdT>);

struct End(Arc<Queue>);

impl Queue {
    fn get(&self) -> &MqdT {
        self.0.as_ref().expect("it is open until it is dropped")
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let _ = self.0.take().map(mq_close);
    }
}

impl Transport for PosixMq {
    fn link(_: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let queue = create(CAPACITY as mq_attr_member_t).or_else(|_| create(allowed()));
        let queue = Arc::new(queue.map_err(NotRun::because)?);
        let other = queue.clone();
        Ok((move || End(queue), move || End(other)))
    }
}

/// The most messages that an unprivileged user may ask for.
fn allowed() -> mq_attr_member_t {
    let limit = fs::read_to_string("/proc/sys/fs/mqueue/msg_max").ok();
    limit.and_then(|limit| limit.trim().parse().ok()).unwrap_or(10)
}

fn create(messages: mq_attr_member_t) -> nix::Result<Queue> {
    let name = format!("/{}", leftovers::name());
    let attr = MqAttr::new(0, messages, size_of::<Msg>() as mq_attr_member_t, 0);
    let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDWR | MQ_OFlag::O_CLOEXEC;
    let queue = mq_open(&*name, flags, Mode::S_IRUSR | Mode::S_IWUSR, Some(&attr))?;
    let queue = Queue(Some(queue));
    // The queue exists as long as it is open.
    mq_unlink(&*name)?;
    Ok(queue)
}

impl Put for End {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            mq_send(self.0.get(), Msg::new(i).as_bytes(), 0).expect("the queue is there");
        }
    }
}

impl Take for End {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut msg = Msg::ZERO;
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            let got = mq_receive(self.0.get(), msg.as_mut_bytes(), &mut 0);
            assert_eq!(got, Ok(size_of::<Msg>()));
            expected.see(&msg);
        }
    }
}
