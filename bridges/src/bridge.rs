//! A bridge from its options: which queue, which broker, which engine.

use std::path::PathBuf;
use std::sync::Arc;

use slipring::{OpenError, OpenOptions, OpenOrCreateError, Queue};

use crate::engine::in_::In;
use crate::engine::out::Out;
use crate::failure::Failure;
use crate::fault::{Fault, Kind};
use crate::file::{FileSink, FileSource};
use crate::metrics::Metrics;
use crate::options::{Access, Destination, InOptions, OutOptions};
use crate::rabbitmq;
use crate::sink::Sink;
use crate::source::Source;
use crate::stop::Stop;
use crate::values::{Format, Size};

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
        Place::RabbitMq(url) => rabbitmq::sink(options, url),
    }
}

/// A source, and what people are told of it.
pub(crate) fn source(options: &InOptions) -> Result<(Box<dyn Source>, String), Failure> {
    match Place::of(&options.url)? {
        Place::File(path) => {
            let what = format!("file:{}", path.display());
            let source = FileSource::new(path, options.format == Format::Envelope);
            Ok((Box::new(source), what))
        }
        Place::RabbitMq(url) => rabbitmq::source(options, url),
    }
}

/// Connects as an `out` would, and looks for the destination; makes and sends nothing.
pub(crate) fn probe_out(options: &OutOptions, stop: &Stop) -> Result<(), Fault> {
    let name = format!("{}/{} check", options.queue, options.group);
    probe(&options.to, options.access(), &name, options.destination(), stop)
}

/// Connects as an `in` would, and looks for the queue; consumes nothing.
pub(crate) fn probe_in(options: &InOptions, stop: &Stop) -> Result<(), Fault> {
    let destination = options.destination();
    let name = format!("{} check", options.to);
    probe(&options.url, options.access(), &name, destination, stop)
}

fn probe(
    url: &str,
    access: Access<'_>,
    name: &str,
    destination: Destination,
    stop: &Stop,
) -> Result<(), Fault> {
    let refused = |failure: Failure| Fault::new(Kind::Refused, failure.text);
    match Place::of(url).map_err(refused)? {
        // An `out` makes it; an `in` opens it.
        Place::File(_) => Ok(()),
        Place::RabbitMq(url) => rabbitmq::probe(url, access, name, destination, stop),
    }
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
