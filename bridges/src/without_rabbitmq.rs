//! In place of RabbitMQ, where this program is built without it.

use crate::failure::Failure;
use crate::fault::{Fault, Kind};
use crate::options::{Access, Destination, InOptions, OutOptions};
use crate::sink::Sink;
use crate::source::Source;
use crate::stop::Stop;

const WHAT: &str = "this program was built without RabbitMQ";

fn missing() -> Failure {
    Failure::usage(WHAT).hint("cargo install --path bridges --features rabbitmq")
}

pub(crate) fn sink(_: &OutOptions, _: &str) -> Result<(Box<dyn Sink>, String), Failure> {
    Err(missing())
}

pub(crate) fn source(_: &InOptions, _: &str) -> Result<(Box<dyn Source>, String), Failure> {
    Err(missing())
}

pub(crate) fn probe(
    _: &str,
    _: Access<'_>,
    _: &str,
    _: Destination,
    _: &Stop,
) -> Result<(), Fault> {
    Err(Fault::new(Kind::Refused, WHAT))
}
