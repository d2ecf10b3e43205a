//! Queues and what empties them.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use slipring::{Consumer, Group, Producer, Queue, RecvError, Worker};

use crate::CAPACITY;

/// What a queue is filled through.
pub(crate) enum Sending {
    Queue(Box<Producer>),
    Channel(Sender<Vec<u8>>),
}

/// What empties it.
pub(crate) enum Receiving {
    Consumer(Box<Consumer>),
    Worker(Box<Worker>),
    Channel(Receiver<Vec<u8>>),
}

/// A queue with its ends, which goes away with them.
pub(crate) struct Ends {
    pub(crate) name: &'static str,
    queue: String,
    sending: Sending,
    pub(crate) members: Vec<Receiving>,
}

impl Ends {
    /// A queue with a shared group of so many members.
    pub(crate) fn queue(name: &'static str, payload: usize, group: Group, members: usize) -> Ends {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let queue = format!("bench-in-flight-{}-{count}", std::process::id());
        let builder = Queue::builder(&queue).capacity(CAPACITY as u64).payload_size(payload);
        let made = builder.prefault(true).group(&group).create().unwrap();
        let member = || match made.worker(&group) {
            Ok(worker) => Receiving::Worker(Box::new(worker)),
            Err(_) => Receiving::Consumer(Box::new(made.consumer(&group).unwrap())),
        };
        let members = (0..members).map(|_| member()).collect();
        Ends { name, queue, sending: Sending::Queue(Box::new(made.producer().unwrap())), members }
    }

    /// A bounded channel of crossbeam.
    pub(crate) fn channel(name: &'static str, members: usize) -> Ends {
        let (sender, receiver) = bounded(CAPACITY);
        let members = (0..members).map(|_| Receiving::Channel(receiver.clone())).collect();
        Ends { name, queue: String::new(), sending: Sending::Channel(sender), members }
    }

    /// Fills it with messages like this one.
    pub(crate) fn fill(&mut self, message: &[u8]) {
        match &mut self.sending {
            Sending::Queue(producer) => {
                assert_eq!(producer.send_batch(vec![message; CAPACITY]).unwrap(), CAPACITY);
            }
            Sending::Channel(sender) => {
                (0..CAPACITY).for_each(|_| sender.try_send(message.to_vec()).unwrap());
            }
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        if !self.queue.is_empty() {
            let _ = slipring::force_remove(&self.queue);
        }
    }
}

impl Receiving {
    /// Receives, reads and acks until there is nothing left, one by one or `batch` at a time. Returns how many there were.
    pub(crate) fn empty(&mut self, batch: usize) -> usize {
        let mut count = 0;
        match self {
            Receiving::Channel(receiver) => loop {
                match receiver.try_recv() {
                    Ok(message) => _ = black_box(sum(&message)),
                    Err(TryRecvError::Empty) => return count,
                    Err(error) => panic!("{error}"),
                }
                count += 1;
            },
            Receiving::Consumer(consumer) if batch == 1 => loop {
                match consumer.try_recv() {
                    Ok(message) => {
                        black_box(sum(&message));
                        message.ack().unwrap();
                    }
                    Err(RecvError::Empty) => return count,
                    Err(error) => panic!("{error}"),
                }
                count += 1;
            },
            Receiving::Consumer(consumer) => loop {
                match consumer.try_recv_batch(batch) {
                    Ok(messages) => {
                        count += messages.len();
                        messages.iter().for_each(|message| _ = black_box(sum(&message)));
                        messages.ack().unwrap();
                    }
                    Err(RecvError::Empty) => return count,
                    Err(error) => panic!("{error}"),
                }
            },
            Receiving::Worker(worker) if batch == 1 => loop {
                match worker.try_recv() {
                    Ok(job) => {
                        black_box(sum(&job));
                        job.ack().unwrap();
                    }
                    Err(RecvError::Empty) => return count,
                    Err(error) => panic!("{error}"),
                }
                count += 1;
            },
            Receiving::Worker(worker) => loop {
                match worker.try_recv_batch(batch) {
                    Ok(jobs) => {
                        count += jobs.len();
                        for job in jobs {
                            black_box(sum(&job));
                            job.ack().unwrap();
                        }
                    }
                    Err(RecvError::Empty) => return count,
                    Err(error) => panic!("{error}"),
                }
            },
        }
    }
}

/// Reads a payload whole.
fn sum(payload: &[u8]) -> u64 {
    let (words, _) = payload.as_chunks::<8>();
    words.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}
