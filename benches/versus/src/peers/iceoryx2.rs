//! iceoryx2: publish and subscribe, in shared memory, one message at a time, written in place.

use std::sync::Arc;

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use crate::leftovers::TempFile;
use crate::message::{CAPACITY, InOrder, Msg};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

pub(crate) struct Iceoryx2;

type Payload = [u64; 6];

struct Sender {
    publisher: Publisher<ipc::Service, Payload, ()>,
    _node: Node<ipc::Service>,
    _place: Arc<TempFile>,
}

struct Receiver {
    subscriber: Subscriber<ipc::Service, Payload, ()>,
    spin: Spin,
    _node: Node<ipc::Service>,
    _place: Arc<TempFile>,
}

impl Transport for Iceoryx2 {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        set_log_level(LogLevel::Fatal);
        let place = Arc::new(TempFile::new());
        let other = place.clone();
        Ok((move || sender(place), move || receiver(other, spin)))
    }
}

type Factory =
    iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, Payload, ()>;

/// Its handles stay in the thread that makes them, and so does the node.
fn service(place: &TempFile) -> (Node<ipc::Service>, Factory) {
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
    let service = service.publish_subscribe::<Payload>().history_size(0);
    let service = service.subscriber_max_buffer_size(CAPACITY).enable_safe_overflow(false);
    let service = service.max_publishers(1).max_subscribers(1).max_nodes(2);
    let service = service.open_or_create().expect("a service");
    (node, service)
}

fn sender(place: Arc<TempFile>) -> Sender {
    let (node, service) = service(&place);
    let builder = service.publisher_builder();
    let builder = builder.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
    let publisher = builder.create().expect("a publisher");
    Sender { publisher, _node: node, _place: place }
}

fn receiver(place: Arc<TempFile>, spin: Spin) -> Receiver {
    let (node, service) = service(&place);
    let subscriber = service.subscriber_builder().create().expect("a subscriber");
    Receiver { subscriber, spin, _node: node, _place: place }
}

impl Put for Sender {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            let sample = self.publisher.loan_uninit().expect("a free chunk");
            let sample = sample.write_payload(Msg::new(i).word);
            sample.send().expect("the subscriber is there");
        }
    }
}

impl Take for Receiver {
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
