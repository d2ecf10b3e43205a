//! RabbitMQ, by AMQP 0-9-1. Each connection has a thread with a runtime of its own; the rest of the program knows neither.
//! A connection that fails is not recovered: the engine makes another one.

mod build;
mod in_;
mod out;
mod probe;
mod properties;
mod server;
mod session;
mod tags;

pub(crate) use build::{sink, source};
pub(crate) use probe::probe;
