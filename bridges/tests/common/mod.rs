//! What the tests with a broker share: a private RabbitMQ, a link that fails on demand, a judge, and a view of the broker's queues
//! that owes nothing to the bridge.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod amqp;
pub(crate) mod broker;
pub(crate) mod judge;
pub(crate) mod link;
pub(crate) mod programs;
