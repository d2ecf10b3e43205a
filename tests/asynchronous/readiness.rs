//! The readiness handles, with tokio's AsyncFd and with epoll(7) itself.

#![allow(unsafe_code)]

use std::os::fd::AsFd;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use slipring::{Consumer, Producer, Queue, Readiness, RecvError, SendError};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::common::{TempName, there};

const COUNT: u64 = 5000;

async fn receive(consumer: Readiness<Consumer>) {
    // SAFETY: a handle keeps its one descriptor.
    let mut consumer =
        unsafe { AsyncFd::register_with_interest(consumer, Interest::READABLE) }.unwrap();
    let mut next = 0;
    loop {
        let mut ready = consumer.readable_mut().await.unwrap();
        match ready.get_inner_mut().try_recv() {
            Ok(message) => {
                assert_eq!((message.sequence(), message.attempts()), (next, 1));
                next += 1;
                message.ack().unwrap();
            }
            Err(RecvError::Empty) => ready.clear_ready(),
            Err(RecvError::Closed { .. }) => break assert_eq!(next, COUNT),
            Err(fault) => panic!("{fault}"),
        }
    }
}

async fn send(producer: Readiness<Producer>) {
    // SAFETY: a handle keeps its one descriptor.
    let mut producer =
        unsafe { AsyncFd::register_with_interest(producer, Interest::READABLE) }.unwrap();
    let mut next = 0u64;
    while next < COUNT {
        let mut ready = producer.readable_mut().await.unwrap();
        let producer = ready.get_inner_mut();
        let sent = match next % 2 {
            0 => producer.try_send(&next.to_le_bytes()),
            _ => producer.try_reserve(1).map(|slots| slots.publish()),
        };
        match sent {
            Ok(sequence) => {
                assert_eq!(sequence, next);
                next += 1;
            }
            Err(SendError::Full(full)) => {
                assert_eq!((full.group(), full.sequence()), ("g", next - 8));
                ready.clear_ready();
            }
            Err(fault) => panic!("{fault}"),
        }
    }
    producer.into_inner().into_inner().close().unwrap();
}

#[test]
fn tokio_waits_for_both_descriptors() {
    let name = TempName::new("async-fd");
    let queue: Queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_io().build().unwrap();
    let consumer = queue.consumer("g").unwrap().with_readiness().unwrap();
    let producer = queue.producer().unwrap().with_readiness().unwrap();
    runtime.block_on(async {
        let receives = tokio::spawn(receive(consumer));
        tokio::spawn(send(producer)).await.unwrap();
        receives.await.unwrap();
    });
}

/// Two queues, one epoll, edge-triggered or not.
#[test]
fn epoll_waits_for_several() {
    for edge in [EpollFlags::empty(), EpollFlags::EPOLLET] {
        let names = [(); 2].map(|()| TempName::new("epoll"));
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let (mut consumers, mut senders) = (Vec::new(), Vec::new());
        for (at, name) in names.iter().enumerate() {
            let queue: Queue = Queue::builder(name).capacity(8).group("g").create().unwrap();
            let consumer = queue.consumer("g").unwrap().with_readiness().unwrap();
            let event = EpollEvent::new(EpollFlags::EPOLLIN | edge, at as u64);
            epoll.add(consumer.as_fd(), event).unwrap();
            consumers.push(consumer);
            let mut producer = queue.producer().unwrap();
            senders.push(std::thread::spawn(move || {
                for n in 0..COUNT {
                    producer.send(&n.to_le_bytes()).unwrap();
                }
                producer.close().unwrap();
            }));
        }
        let mut counts = [0; 2];
        let mut open = names.len();
        while open > 0 {
            let mut events = [EpollEvent::empty(); 2];
            let ready = epoll.wait(&mut events, EpollTimeout::NONE).unwrap();
            for event in &events[..ready] {
                let at = event.data() as usize;
                loop {
                    match consumers[at].try_recv_batch(4) {
                        Ok(batch) => {
                            counts[at] += batch.len() as u64;
                            batch.ack().unwrap();
                        }
                        Err(RecvError::Empty) => break,
                        Err(RecvError::Closed { .. }) => {
                            epoll.delete(consumers[at].as_fd()).unwrap();
                            open -= 1;
                            break;
                        }
                        Err(fault) => panic!("{fault}"),
                    }
                }
            }
        }
        assert_eq!(counts, [COUNT; 2]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    }
}

#[test]
fn the_descriptor_is_readable_until_a_try_finds_nothing() {
    let name = TempName::new("level");
    let queue: Queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap().with_readiness().unwrap();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(consumer.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, 0)).unwrap();
    let mut events = [EpollEvent::empty()];
    let mut wait = |timeout| epoll.wait(&mut events, timeout).unwrap();
    assert_eq!(wait(EpollTimeout::NONE), 1);
    assert!(there(consumer.try_recv()).is_none());
    producer.send_batch(["a", "b"]).unwrap();
    for _ in 0..2 {
        assert_eq!(wait(EpollTimeout::NONE), 1);
        consumer.try_recv().unwrap().ack().unwrap();
    }
    assert_eq!(wait(EpollTimeout::ZERO), 1);
    assert!(there(consumer.try_recv()).is_none());
    assert_eq!(consumer.into_inner().position(), 2);
}
