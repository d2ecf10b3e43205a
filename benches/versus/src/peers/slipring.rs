//! Ours, always with acks. Queues are typed unless the row says bytes.

mod drain;
mod large;
mod polled;
mod slices;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use slipring::{
    Consumer, Content, Group, Message, OpenOptions, Producer, Queue, RecvError, WaitStrategy,
    WakeMode,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::leftovers::{self, TempQueue};
use crate::message::{BATCH, CAPACITY, Filled, InOrder, Msg};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

pub(crate) use large::{LargeCopied, LargeInPlace};
pub(crate) use slices::{PreparedBatches, PreparedSlices, Slices, streaming};
pub(crate) use waiting::{
    WaitingBatches, WaitingInPlace, WaitingSlices, receiving_batches, sending_slices,
};

/// `try_send`, `try_recv`, `ack`.
pub(crate) struct Single<const SHARED: bool>;

/// The same with bytes instead of a type.
pub(crate) struct Bytes;

/// `send`, `recv`, `ack`: these wait by themselves.
pub(crate) struct Waiting<const SHARED: bool>;

/// The same, asleep whenever there is nothing.
pub(crate) struct Asleep<const FENCE: bool>;

/// `try_send_batch` and `try_recv_batch` of 32.
pub(crate) struct Batches<const SHARED: bool>;

/// 32 messages written in place.
pub(crate) struct InPlace<const SHARED: bool>;

/// A queue that goes away with this value.
pub(crate) struct Temp {
    queue: TempQueue,
    shared: bool,
}

const GROUP: &str = "versus";

impl Temp {
    pub(crate) fn new(shared: bool) -> Arc<Temp> {
        Temp::waking(shared, WakeMode::default())
    }

    pub(crate) fn waking(shared: bool, mode: WakeMode) -> Arc<Temp> {
        Temp::of::<Msg>(CAPACITY, shared, mode)
    }

    fn of<M: Message>(capacity: usize, shared: bool, mode: WakeMode) -> Arc<Temp> {
        let queue = TempQueue(leftovers::name());
        let builder = Queue::builder(queue.name()).capacity(capacity as u64).message::<M>();
        let builder = builder.prefault(true).wake_mode(mode).group(group(shared));
        builder.create().expect("a queue");
        Arc::new(Temp { queue, shared })
    }

    pub(crate) fn name(&self) -> &str {
        self.queue.name()
    }

    pub(crate) fn producer<M: Content + ?Sized>(&self) -> Producer<M> {
        producer(self.name())
    }

    pub(crate) fn consumer<M: Content + ?Sized>(&self) -> Consumer<M> {
        consumer(self.name(), self.shared)
    }
}

fn group(shared: bool) -> Group {
    let group = Group::named(GROUP);
    if shared { group.shared() } else { group }
}

fn open<M: Content + ?Sized>(name: &str) -> Queue<M> {
    OpenOptions::new().prefault(true).open_typed(name).expect("the queue is there")
}

pub(crate) fn producer<M: Content + ?Sized>(name: &str) -> Producer<M> {
    open(name).producer().expect("the role is free")
}

pub(crate) fn consumer<M: Content + ?Sized>(name: &str, shared: bool) -> Consumer<M> {
    open(name).consumer(group(shared)).expect("the role is free")
}

/// An end and its queue, which lives as long as one of its ends.
pub(crate) struct One<E> {
    end: E,
    spin: Spin,
    _queue: Option<Arc<Temp>>,
}

impl<E> One<E> {
    /// Of a queue that somebody else removes.
    pub(crate) fn borrowed(end: E, spin: Spin) -> One<E> {
        One { end, spin, _queue: None }
    }
}

pub(crate) struct Batch<E>(pub(crate) One<E>);
struct Reserved(One<Producer<Msg>>);
pub(crate) struct Blocking<E>(pub(crate) E);

impl Blocking<One<Producer<Msg>>> {
    /// Sleeps without staying awake first.
    pub(crate) fn asleep(mut self) -> Self {
        self.0.end.set_wait_strategy(asleep());
        self
    }
}

impl Blocking<One<Consumer<Msg>>> {
    /// The same.
    pub(crate) fn asleep(mut self) -> Self {
        self.0.end.set_wait_strategy(asleep());
        self
    }
}

fn asleep() -> WaitStrategy {
    WaitStrategy::spin_then_sleep().spins(0).yields(Duration::ZERO)
}

fn ends<M: Content + ?Sized>(
    shared: bool,
    spin: Spin,
) -> (impl FnOnce() -> One<Producer<M>> + Send, impl FnOnce() -> One<Consumer<M>> + Send) {
    ends_of(Temp::new(shared), spin)
}

fn ends_of<M: Content + ?Sized>(
    queue: Arc<Temp>,
    spin: Spin,
) -> (impl FnOnce() -> One<Producer<M>> + Send, impl FnOnce() -> One<Consumer<M>> + Send) {
    let other = queue.clone();
    (
        move || One { end: queue.producer(), spin, _queue: Some(queue) },
        move || One { end: other.consumer(), spin, _queue: Some(other) },
    )
}

impl<const SHARED: bool> Transport for Single<SHARED> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        Ok(ends::<Msg>(SHARED, spin))
    }
}

impl Transport for Bytes {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        Ok(ends::<[u8]>(false, spin))
    }
}

impl<const SHARED: bool> Transport for Waiting<SHARED> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = ends::<Msg>(SHARED, spin);
        Ok((move || Blocking(p()), move || Blocking(c())))
    }
}

impl<const FENCE: bool> Transport for Asleep<FENCE> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let mode = if FENCE { WakeMode::Fence } else { WakeMode::Membarrier };
        let (p, c) = ends_of::<Msg>(Temp::waking(false, mode), spin);
        Ok((move || Blocking(p()).asleep(), move || Blocking(c()).asleep()))
    }
}

impl<const SHARED: bool> Transport for Batches<SHARED> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = ends::<Msg>(SHARED, spin);
        Ok((move || Batch(p()), move || Batch(c())))
    }
}

impl<const SHARED: bool> Transport for InPlace<SHARED> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = ends::<Msg>(SHARED, spin);
        Ok((move || Reserved(p()), move || Batch(c())))
    }
}

impl Put for One<Producer<Msg>> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            while self.end.try_send(&Msg::new(i)).is_err() {
                self.spin.again();
            }
        }
    }
}

impl Take for One<Consumer<Msg>> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            match self.end.try_recv() {
                Ok(msg) => {
                    expected.see(&msg);
                    msg.ack().expect("it is in its batch");
                }
                Err(RecvError::Empty) => self.spin.again(),
                Err(fault) => panic!("{fault}"),
            }
        }
    }
}

impl Put for One<Producer> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            let msg = Msg::new(i);
            while self.end.try_send(msg.as_bytes()).is_err() {
                self.spin.again();
            }
        }
    }
}

impl Take for One<Consumer> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            match self.end.try_recv() {
                Ok(msg) => {
                    expected.see(Msg::ref_from_bytes(&msg).expect("48 aligned bytes"));
                    msg.ack().expect("it is in its batch");
                }
                Err(RecvError::Empty) => self.spin.again(),
                Err(fault) => panic!("{fault}"),
            }
        }
    }
}

impl Put for Blocking<One<Producer<Msg>>> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            self.0.end.send(&Msg::new(i)).expect("the queue is whole");
        }
    }
}

impl Take for Blocking<One<Consumer<Msg>>> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            let msg = self.0.end.recv().expect("the queue is whole");
            expected.see(&msg);
            msg.ack().expect("it is in its batch");
        }
    }
}

impl Put for Batch<Producer<Msg>> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let Batch(One { end: producer, spin, .. }) = self;
        let (mut at, end) = (from, from + n);
        let mut filled = Filled::new();
        while at < end {
            let mut rest = filled.next(at, end).iter();
            at += rest.len() as u64;
            while rest.len() > 0 {
                if producer.try_send_batch(&mut rest).is_err() {
                    spin.again();
                }
            }
        }
    }
}

impl Take for Batch<Consumer<Msg>> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        self.expected(InOrder::expect(from, n));
    }
}

impl Batch<Consumer<Msg>> {
    #[inline]
    fn expected(&mut self, mut expected: InOrder) {
        let Batch(One { end: consumer, spin, .. }) = self;
        while expected.left() > 0 {
            let size = BATCH.min(expected.left() as usize);
            match consumer.try_recv_batch(size) {
                Ok(batch) => {
                    for msg in &batch {
                        expected.see(&msg);
                    }
                    batch.ack().expect("it is in its batch");
                }
                Err(RecvError::Empty) => spin.again(),
                Err(fault) => panic!("{fault}"),
            }
        }
    }
}

impl Put for Reserved {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let Reserved(One { end: producer, spin, .. }) = self;
        let (mut at, end) = (from, from + n);
        while at < end {
            let size = BATCH.min((end - at) as usize);
            let Ok(mut slots) = producer.try_reserve(size) else {
                spin.again();
                continue;
            };
            for (slot, i) in slots.iter_mut().zip(at..end) {
                *slot = Msg::new(i);
            }
            slots.publish();
            at += size as u64;
        }
    }
}
