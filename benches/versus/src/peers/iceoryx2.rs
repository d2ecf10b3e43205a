//! iceoryx2: publish and subscribe, in shared memory, one message at a time, written in place.
//!
//! On a busy machine it happens, in about one of some hundred slices with larger messages, that a message goes to no
//! recipient, though the subscriber is there. Such a slice is run again, and the report says how many were.

#![allow(unsafe_code)]

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// Slices in which a message went to nobody.
static LOST: AtomicUsize = AtomicUsize::new(0);

/// What both ends have in common.
struct Place {
    file: TempFile,
    /// The ends open one after the other.
    opening: Mutex<()>,
    /// A message went to nobody; neither end does anything more.
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

/// Slices of these rows, run again where a message went to nobody.
pub(crate) fn complete(
    slice: impl Fn(Steps) -> Result<f64, NotRun>,
) -> impl Fn(Steps) -> Result<f64, NotRun> {
    move |steps| {
        for _ in 0..20 {
            let before = lost();
            let figure = slice(steps)?;
            if lost() == before {
                return Ok(figure);
            }
        }
        Err(NotRun::because("a message went to nobody, 20 times in a row"))
    }
}

/// How many slices were run again.
pub(crate) fn lost() -> usize {
    // Relaxed: the ends have been joined.
    LOST.load(Ordering::Relaxed)
}

impl Place {
    /// Sends the messages `from..from + n`; ends when one went to nobody. `send` returns the number of recipients.
    #[inline]
    fn put(&self, from: u64, n: u64, mut send: impl FnMut(u64) -> Result<usize, SendError>) {
        for i in from..from + n {
            // Relaxed: this end alone sets it, and it brings nothing.
            if self.lost.load(Ordering::Relaxed) {
                return;
            }
            if send(i).expect("the service is whole") == 0 {
                // Relaxed: as above.
                self.lost.store(true, Ordering::Relaxed);
                LOST.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Looks until there were `n` messages, or one went to nobody. `look` returns whether there was one.
    #[inline]
    fn take(&self, n: u64, spin: Spin, mut look: impl FnMut() -> bool) {
        let mut left = n;
        // Relaxed: it brings nothing.
        while left > 0 && !self.lost.load(Ordering::Relaxed) {
            if look() {
                left -= 1;
            } else {
                spin.again();
            }
        }
    }
}

impl Put for Sender<Small> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        self.place.put(from, n, |i| {
            let sample = self.publisher.loan_uninit().expect("a free chunk");
            sample.write_payload(Msg::new(i).word).send()
        });
    }
}

impl Take for Receiver<Small> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        self.place.take(n, self.spin, || {
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
            sample.send()
        });
    }
}

impl<L: Large> Take for Receiver<L> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = LargeInOrder::expect(from, n);
        self.place.take(n, self.spin, || {
            let sample = self.subscriber.receive().expect("the service is whole");
            sample.inspect(|it| expected.see(&**it)).is_some()
        });
    }
}
