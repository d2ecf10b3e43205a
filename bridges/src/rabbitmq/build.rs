//! From options to a RabbitMQ.

use super::in_::{Intake, RabbitSource};
use super::out::RabbitSink;
use super::server::{Route, Server};
use crate::failure::Failure;
use crate::identity::header;
use crate::options::{InOptions, OutOptions};
use crate::sink::Sink;
use crate::source::Source;
use crate::values::Format;

/// Content type of messages that say nothing of themselves.
const CONTENT_TYPE: &str = "application/octet-stream";

/// A sink, and what people are told of it.
pub(crate) fn sink(options: &OutOptions, url: &str) -> Result<(Box<dyn Sink>, String), Failure> {
    let name = format!("{}/{}", options.queue, options.group);
    let server = Server::new(url, options.access(), &name)?;
    let exchange = options.exchange.clone().unwrap_or_default();
    if !exchange.is_empty() && options.declare.is_some() {
        return Err(Failure::usage(
            "--declare makes a queue, which --exchange does not send to by itself: leave one of them out",
        ));
    }
    let routing_key = options.routing_key().to_owned();
    let what = match exchange.is_empty() {
        true => format!("{}, queue {routing_key:?}", server.place()),
        false => format!("{}, exchange {exchange:?}", server.place()),
    };
    let route = Route {
        // With the default exchange a routing key is a queue.
        keep_routing_key: !exchange.is_empty() && options.routing_key.is_none(),
        exchange,
        routing_key,
        declare: options.declare,
        content_type: options.content_type.clone().unwrap_or_else(|| CONTENT_TYPE.to_owned()),
    };
    Ok((Box::new(RabbitSink::new(server, route)), what))
}

/// A source, and what people are told of it.
pub(crate) fn source(options: &InOptions, url: &str) -> Result<(Box<dyn Source>, String), Failure> {
    let Some(queue) = options.from.clone() else {
        return Err(Failure::usage("--from names the broker's queue, and is missing"));
    };
    let server = Server::new(url, options.access(), &options.to)?;
    let what = format!("{}, queue {queue:?}", server.place());
    let intake = Intake {
        queue,
        declare: options.declare,
        prefetch: options.prefetch(),
        kind_header: options.kind_header.clone().unwrap_or_else(|| header::KIND.to_owned()),
        make_envelopes: options.format == Format::Envelope,
    };
    Ok((Box::new(RabbitSource::new(server, intake)), what))
}
