//! iceoryx2: publish and subscribe, in shared memory, one message at a time, written in place.
//!
//! On a busy machine it happens, in about one of some hundred slices with larger messages, that all are sent, each to one
//! recipient, but do not all arrive. Why is not known. Such a slice is run again, and the report says how many were.

#![allow(unsafe_code)]

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use iceoryx2::port::SendError;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use crate::leftovers::TempFile;
use crate::message::{CAPACITY, InOrder, Large, LargeInOrder, Msg};
use crate::pair::Steps;
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

pub(crate) struct Iceoryx2;

/// Messages of more than a line, read in place, too.
pub(crate) struct LargeLoans<L>(PhantomData<L>);

type Small = [u64; 6];

/// Slices in which messages did not arrive.
static LOST: AtomicUsize = AtomicUsize::new(0);

/// Looks that find nothing, after which the receiver asks whether there is anything to wait for.
const PATIENCE: u64 = 1 << 22;

/// What both ends have in common.
struct Place {
    file: TempFile,
    /// The ends open one after the other.
    opening: Mutex<()>,
    /// All messages below were sent.
    sent: AtomicU64,
    /// The receiver has given up; neither end does anything more.
    lost: AtomicBool,
}

struct Sender<P: Debug + ZeroCopySend + 'static> {
    publisher: Publisher<ipc::Service, P, ()>,
    _node: Node<ipc::Service>,
    place: Arc<Place>,
}

struct Receiver<P: Debug + ZeroCopySend + 'static> {
    subscriber: Subscriber<ipc::Service, P, ()>,
    spin: Spin,
    _node: Node<ipc::Service>,
    place: Arc<Place>,
}

impl Transport for Iceoryx2 {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        Ok(ends::<Small>(CAPACITY, spin))
    }
}

impl<L: Large> Transport for LargeLoans<L> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        Ok(ends::<L>(L::CAPACITY, spin))
    }
}

fn ends<P: Debug + ZeroCopySend + 'static>(
    capacity: usize,
    spin: Spin,
) -> (impl FnOnce() -> Sender<P> + Send, impl FnOnce() -> Receiver<P> + Send) {
    set_log_level(LogLevel::Fatal);
    let place = Arc::new(Place {
        file: TempFile::new(),
        opening: Mutex::new(()),
        sent: AtomicU64::new(0),
        lost: AtomicBool::new(false),
    });
    let other = place.clone();
    (move || sender(place, capacity), move || receiver(other, capacity, spin))
}

type Factory<P> =
    iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, P, ()>;

/// Its handles stay in the thread that makes them, and so does the node.
fn service<P: Debug + ZeroCopySend>(
    place: &Place,
    capacity: usize,
) -> (Node<ipc::Service>, Factory<P>) {
    let mut config = Config::default();
    // Its files in a folder of their own, and what it has in shared memory under names of ours.
    let folder = place.file.path().to_str().expect("ASCII only");
    let folder = Path::new(folder.as_bytes()).expect("a path that is not too long");
    config.global.set_root_path(&folder);
    let prefix = FileName::new(place.file.name().as_bytes());
    config.global.prefix = prefix.expect("a name that is not too long");
    let node = NodeBuilder::new().config(&config);
    let node = node.signal_handling_mode(SignalHandlingMode::Disabled);
    let node = node.create::<ipc::Service>().expect("a node");
    let service = node.service_builder(&ServiceName::new("versus").expect("a good name"));
    let service = service.publish_subscribe::<P>().history_size(0);
    let service = service.subscriber_max_buffer_size(capacity).enable_safe_overflow(false);
    let service = service.max_publishers(1).max_subscribers(1).max_nodes(2);
    let service = service.open_or_create().expect("a service");
    (node, service)
}

fn sender<P: Debug + ZeroCopySend>(place: Arc<Place>, capacity: usize) -> Sender<P> {
    let opening = place.opening.lock().expect("nobody panicked");
    let (node, service) = service(&place, capacity);
    let builder = service.publisher_builder();
    let builder = builder.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
    let publisher = builder.create().expect("a publisher");
    drop(opening);
    Sender { publisher, _node: node, place }
}

fn receiver<P: Debug + ZeroCopySend>(
    place: Arc<Place>,
    capacity: usize,
    spin: Spin,
) -> Receiver<P> {
    let opening = place.opening.lock().expect("nobody panicked");
    let (node, service) = service(&place, capacity);
    let subscriber = service.subscriber_builder().create().expect("a subscriber");
    drop(opening);
    Receiver { subscriber, spin, _node: node, place }
}

/// Else the receiver would wait for it for ever.
#[inline]
fn to_one(recipients: Result<usize, SendError>) {
    assert!(recipients.expect("the subscriber is there") == 1, "a message went to nobody");
}

/// Slices of these rows, run again where messages did not arrive.
pub(crate) fn complete(
    slice: impl Fn(Steps) -> Result<f64, NotRun>,
) -> impl Fn(Steps) -> Result<f64, NotRun> {
    move |steps| {
        for _ in 0..5 {
            let before = lost();
            let figure = slice(steps)?;
            if lost() == before {
                return Ok(figure);
            }
        }
        Err(NotRun::because("not all messages arrived, five times in a row"))
    }
}

/// How many slices were run again.
pub(crate) fn lost() -> usize {
    // Relaxed: the ends have been joined.
    LOST.load(Ordering::Relaxed)
}

impl Place {
    /// Sends the messages `from..from + n`, unless the receiver has given up.
    #[inline]
    fn put(&self, from: u64, n: u64, send: impl FnMut(u64)) {
        // Relaxed: it is set between two parts of a slice, which the ends begin together.
        if self.lost.load(Ordering::Relaxed) {
            return;
        }
        (from..from + n).for_each(send);
        // Release: who sees this finds the messages.
        self.sent.store(from + n, Ordering::Release);
    }

    /// Looks, and returns whether there was a message, until `n` were there from `from` on, or until it is known that
    /// they do not come.
    #[inline]
    fn take(&self, from: u64, n: u64, spin: Spin, mut look: impl FnMut() -> bool) {
        // Relaxed: this end alone sets it.
        let (mut left, mut vain) = (if self.lost.load(Ordering::Relaxed) { 0 } else { n }, 0);
        let mut all_sent = false;
        while left > 0 {
            if look() {
                (left, vain) = (left - 1, 0);
                continue;
            }
            spin.again();
            vain += 1;
            if vain < PATIENCE {
                continue;
            }
            if all_sent {
                // Relaxed: see above and `lost`.
                self.lost.store(true, Ordering::Relaxed);
                LOST.fetch_add(1, Ordering::Relaxed);
                return;
            }
            // Acquire: what was sent is there from now on, see the sender's store.
            all_sent = self.sent.load(Ordering::Acquire) >= from + n;
            vain = 0;
        }
    }
}

impl Put for Sender<Small> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        self.place.put(from, n, |i| {
            let sample = self.publisher.loan_uninit().expect("a free chunk");
            to_one(sample.write_payload(Msg::new(i).word).send());
        });
    }
}

impl Take for Receiver<Small> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        self.place.take(from, n, self.spin, || {
            let sample = self.subscriber.receive().expect("the service is whole");
            sample.inspect(|it| expected.see(&Msg { word: **it })).is_some()
        });
    }
}

impl<L: Large> Put for Sender<L> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        self.place.put(from, n, |i| {
            let mut sample = self.publisher.loan_uninit().expect("a free chunk");
            L::write(sample.payload_mut(), i);
            // SAFETY: it is written whole.
            let sample = unsafe { sample.assume_init() };
            to_one(sample.send());
        });
    }
}

impl<L: Large> Take for Receiver<L> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = LargeInOrder::expect(from, n);
        self.place.take(from, n, self.spin, || {
            let sample = self.subscriber.receive().expect("the service is whole");
            sample.inspect(|it| expected.see(&**it)).is_some()
        });
    }
}
