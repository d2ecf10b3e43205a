//! A bridge from its options: which queue, which broker, which engine.

use std::path::PathBuf;
use std::sync::Arc;

use slipring::{OpenError, OpenOptions, OpenOrCreateError, Queue};

use crate::engine::in_::In;
use crate::engine::out::Out;
use crate::failure::Failure;
use crate::file::{FileSink, FileSource};
use crate::identity::header;
use crate::metrics::Metrics;
use crate::options::{InOptions, OutOptions};
#[cfg(feature = "rabbitmq")]
use crate::rabbitmq::{Intake, RabbitSink, RabbitSource, Route, Server};
use crate::sink::Sink;
use crate::source::Source;
use crate::stop::Stop;
use crate::values::{Format, Size};

/// Content type of messages that say nothing of themselves.
const CONTENT_TYPE: &str = "application/octet-stream";

/// What a URL names.
#[derive(Debug)]
enum Place<'a> {
    File(PathBuf),
    RabbitMq(&'a str),
}

impl Place<'_> {
    fn of(url: &str) -> Result<Place<'_>, Failure> {
        let (scheme, rest) = url.split_once(':').unwrap_or_default();
        match scheme {
            "file" if !rest.is_empty() => Ok(Place::File(rest.into())),
            "amqp" | "amqps" => {
                let authority = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
                if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
                    return Err(Failure::usage(
                        "a URL must not have a password: every process of this machine can read it",
                    )
                    .hint("--user NAME with --password-env NAME or --password-file FILE"));
                }
                Ok(Place::RabbitMq(url))
            }
            _ => Err(Failure::usage(format!("{url:?} names no place that this program knows"))
                .hint("amqp://HOST:PORT/VHOST, amqps://HOST:PORT/VHOST, or file:PATH")),
        }
    }
}

/// A sink, and what people are told of it.
pub(crate) fn sink(options: &OutOptions) -> Result<(Box<dyn Sink>, String), Failure> {
    match Place::of(&options.to)? {
        Place::File(path) => {
            let what = format!("file:{}", path.display());
            Ok((Box::new(FileSink::new(path)), what))
        }
        Place::RabbitMq(url) => rabbit_sink(options, url),
    }
}

#[cfg(feature = "rabbitmq")]
fn rabbit_sink(options: &OutOptions, url: &str) -> Result<(Box<dyn Sink>, String), Failure> {
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
pub(crate) fn source(options: &InOptions) -> Result<(Box<dyn Source>, String), Failure> {
    match Place::of(&options.url)? {
        Place::File(path) => {
            let what = format!("file:{}", path.display());
            let source = FileSource::new(path, options.format == Format::Envelope);
            Ok((Box::new(source), what))
        }
        Place::RabbitMq(url) => rabbit_source(options, url),
    }
}

#[cfg(feature = "rabbitmq")]
fn rabbit_source(options: &InOptions, url: &str) -> Result<(Box<dyn Source>, String), Failure> {
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

#[cfg(not(feature = "rabbitmq"))]
fn rabbit_sink(_: &OutOptions, _: &str) -> Result<(Box<dyn Sink>, String), Failure> {
    Err(without_rabbitmq())
}

#[cfg(not(feature = "rabbitmq"))]
fn rabbit_source(_: &InOptions, _: &str) -> Result<(Box<dyn Source>, String), Failure> {
    Err(without_rabbitmq())
}

#[cfg(not(feature = "rabbitmq"))]
fn without_rabbitmq() -> Failure {
    Failure::usage("this program was built without RabbitMQ")
        .hint("cargo install --path bridges --features rabbitmq")
}

/// Opens a queue that must be there.
pub(crate) fn open(name: &str, allowed: &[u32]) -> Result<Queue, Failure> {
    let options = allowed.iter().fold(OpenOptions::new(), |options, uid| options.allow_owner(*uid));
    options.open(name).map_err(|fault| {
        let missing = matches!(fault, OpenError::NotFound { .. });
        let failure = Failure::from(fault);
        match missing {
            true => failure.hint(format!("slipring create {name} --group main")),
            false => failure,
        }
    })
}

fn open_or_create(options: &InOptions, allowed: &[u32]) -> Result<Queue, Failure> {
    if !options.create {
        return open(&options.to, allowed);
    }
    let mut builder = Queue::builder(&options.to);
    if let Some(capacity) = options.capacity {
        builder = builder.capacity(capacity);
    }
    if let Some(Size(payload)) = options.payload {
        builder = builder.payload_size(payload);
    }
    if let Some(sources) = options.sources {
        builder = builder.sources(sources);
    }
    builder = options.group.iter().fold(builder, |builder, group| builder.group(group));
    builder = allowed.iter().fold(builder, |builder, uid| builder.allow_owner(*uid));
    builder.open_or_create().map_err(|fault| match fault {
        OpenOrCreateError::Open(fault) => fault.into(),
        fault => fault.into(),
    })
}

/// Runs an `out` to its end.
pub(crate) fn run_out(
    options: &OutOptions,
    allowed: &[u32],
    stop: Stop,
    metrics: Arc<Metrics>,
) -> Result<(), Failure> {
    let (sink, what) = sink(options)?;
    let queue = open(&options.queue, allowed)?;
    Out::new(options, what, sink, stop, metrics).run(queue)
}

/// Runs an `in` to its end.
pub(crate) fn run_in(
    options: &InOptions,
    allowed: &[u32],
    stop: Stop,
    metrics: Arc<Metrics>,
) -> Result<(), Failure> {
    let (source, what) = source(options)?;
    let queue = open_or_create(options, allowed)?;
    In::new(options, what, source, stop, metrics).run(queue)
}

impl OutOptions {
    /// What people and metrics call it.
    pub(crate) fn name(&self) -> String {
        format!("{}/{} -> {}", self.queue, self.group, self.to)
    }
}

impl InOptions {
    /// What people and metrics call it.
    pub(crate) fn name(&self) -> String {
        let from = self.from.as_ref().map_or(String::new(), |from| format!(" {from}"));
        format!("{}{from} -> {}", self.url, self.to)
    }
}
