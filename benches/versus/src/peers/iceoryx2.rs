//! iceoryx2: publish and subscribe, in shared memory, one message at a time, written in place.

#![allow(unsafe_code)]

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use crate::leftovers::TempFile;
use crate::message::{CAPACITY, InOrder, Large, LargeInOrder, Msg};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

pub(crate) struct Iceoryx2;

/// Messages of more than a line, read in place, too.
pub(crate) struct LargeLoans<L>(PhantomData<L>);

type Small = [u64; 6];

struct Sender<P: Debug + ZeroCopySend + 'static> {
    publisher: Publisher<ipc::Service, P, ()>,
    _node: Node<ipc::Service>,
    _place: Arc<TempFile>,
}

struct Receiver<P: Debug + ZeroCopySend + 'static> {
    subscriber: Subscriber<ipc::Service, P, ()>,
    spin: Spin,
    _node: Node<ipc::Service>,
    _place: Arc<TempFile>,
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
    let place = Arc::new(TempFile::new());
    let other = place.clone();
    (move || sender(place, capacity), move || receiver(other, capacity, spin))
}

type Factory<P> =
    iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, P, ()>;

/// Its handles stay in the thread that makes them, and so does the node.
fn service<P: Debug + ZeroCopySend>(
    place: &TempFile,
    capacity: usize,
) -> (Node<ipc::Service>, Factory<P>) {
    let mut config = Config::default();
    // Its files in a folder of their own, and what it has in shared memory under names of ours.
    let folder = place.path().to_str().expect("ASCII only");
    let folder = Path::new(folder.as_bytes()).expect("a path that is not too long");
    config.global.set_root_path(&folder);
    let prefix = FileName::new(place.name().as_bytes());
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

fn sender<P: Debug + ZeroCopySend>(place: Arc<TempFile>, capacity: usize) -> Sender<P> {
    let (node, service) = service(&place, capacity);
    let builder = service.publisher_builder();
    let builder = builder.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
    let publisher = builder.create().expect("a publisher");
    Sender { publisher, _node: node, _place: place }
}

fn receiver<P: Debug + ZeroCopySend>(
    place: Arc<TempFile>,
    capacity: usize,
    spin: Spin,
) -> Receiver<P> {
    let (node, service) = service(&place, capacity);
    let subscriber = service.subscriber_builder().create().expect("a subscriber");
    Receiver { subscriber, spin, _node: node, _place: place }
}

impl Put for Sender<Small> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            let sample = self.publisher.loan_uninit().expect("a free chunk");
            let sample = sample.write_payload(Msg::new(i).word);
            sample.send().expect("the subscriber is there");
        }
    }
}

impl Take for Receiver<Small> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            match self.subscriber.receive().expect("the service is whole") {
                Some(sample) => expected.see(&Msg { word: *sample }),
                None => self.spin.again(),
            }
        }
    }
}

impl<L: Large> Put for Sender<L> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            let mut sample = self.publisher.loan_uninit().expect("a free chunk");
            L::write(sample.payload_mut(), i);
            // SAFETY: it is written whole.
            let sample = unsafe { sample.assume_init() };
            sample.send().expect("the subscriber is there");
        }
    }
}

impl<L: Large> Take for Receiver<L> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = LargeInOrder::expect(from, n);
        while expected.batch() > 0 {
            match self.subscriber.receive().expect("the service is whole") {
                Some(sample) => expected.see(&*sample),
                None => self.spin.again(),
            }
        }
    }
}
