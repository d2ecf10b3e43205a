//! Waiting without blocking a thread: futures, a stream, and a descriptor that becomes readable. One thread of the
//! process, the reactor's, sleeps for all of them.

mod consumer;
mod messages;
mod producer;
mod reactor;
mod readiness;
mod waiting;
mod worker;

pub use consumer::AsyncConsumer;
pub use messages::AsyncMessages;
pub use producer::AsyncProducer;
pub use readiness::Readiness;
pub use worker::AsyncWorker;
