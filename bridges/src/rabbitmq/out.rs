//! Publishing to RabbitMQ, with confirms.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use futures_core::Stream;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Event, PublisherConfirm};
use tokio::sync::mpsc::UnboundedReceiver;

use super::properties;
use super::server::{Route, Server, find_exchange, find_queue, sorted, too_large};
use super::session::{Session, Shared};
use crate::fault::{Fault, Kind};
use crate::mutants::mutant;
use crate::sink::{Health, Outcome, Record, Sink};
use crate::stop::Stop;

/// A queue or exchange of a RabbitMQ.
#[derive(Debug)]
pub(crate) struct RabbitSink {
    server: Server,
    route: Route,
    /// The longest body that the broker takes, once it has said so.
    longest: Arc<AtomicUsize>,
    session: Option<Session<Vec<Record>, Outcome>>,
}

impl RabbitSink {
    pub(crate) fn new(server: Server, route: Route) -> RabbitSink {
        let longest = Arc::new(AtomicUsize::new(usize::MAX));
        RabbitSink { server, route, longest, session: None }
    }
}

impl Sink for RabbitSink {
    fn open(&mut self, stop: &Stop) -> Result<(), Fault> {
        self.session = None;
        let (server, route, longest) =
            (self.server.clone(), self.route.clone(), Arc::clone(&self.longest));
        let session = Session::open(stop, move |commands, shared| {
            publish_all(server, route, longest, commands, shared)
        })?;
        self.session = Some(session);
        Ok(())
    }

    fn misfit(&self, record: &Record) -> Option<String> {
        let (length, longest) = (record.body.len(), self.longest.load(Ordering::Relaxed));
        if length > longest {
            return Some(too_long(length, longest));
        }
        // What an envelope says may be no property or header of AMQP.
        record.envelope.as_ref()?;
        properties::of_record(record, &self.route).err().map(|fault| fault.text)
    }

    fn publish(&mut self, records: Vec<Record>) -> Result<(), Fault> {
        let closed = || Fault::rebuild("there is no connection");
        self.session.as_ref().ok_or_else(closed)?.send(records)
    }

    fn poll(&mut self, until: Instant, outcomes: &mut Vec<Outcome>) -> Result<Health, Fault> {
        let closed = || Fault::rebuild("there is no connection");
        let session = self.session.as_ref().ok_or_else(closed)?;
        let (health, outcome) = session.wait(until, |state| {
            outcomes.append(&mut state.news);
            state.blocked.clone().map_or(Health::Ready, Health::Blocked)
        });
        outcome.map(|()| health)
    }

    fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close();
        }
    }
}

type Publishing = Pin<Box<dyn Future<Output = lapin::Result<PublisherConfirm>>>>;

/// A record that is handed to the client, and waits to be written.
struct Handed {
    id: u64,
    length: usize,
    publishing: Publishing,
}

/// A record that is written, and waits for its confirm.
struct Written {
    id: u64,
    length: usize,
    confirm: PublisherConfirm,
}

/// What a channel has in work.
struct Flight {
    channel: Channel,
    route: Route,
    longest: Arc<AtomicUsize>,
    handed: VecDeque<Handed>,
    written: VecDeque<Written>,
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").finish_non_exhaustive()
    }
}

async fn publish_all(
    server: Server,
    route: Route,
    longest: Arc<AtomicUsize>,
    mut commands: UnboundedReceiver<Vec<Record>>,
    shared: Arc<Shared<Outcome>>,
) -> Result<(), Fault> {
    let connection = server.connect().await?;
    let channel = connection.create_channel().await.map_err(|fault| sorted(&fault))?;
    find_destination(&channel, &route).await?;
    let confirms = channel.confirm_select(ConfirmSelectOptions::default()).await;
    confirms.map_err(|fault| sorted(&fault))?;
    let mut events = Box::pin(connection.events_listener());
    shared.opened();
    let mut flight =
        Flight { channel, route, longest, handed: VecDeque::new(), written: VecDeque::new() };
    loop {
        tokio::select! {
            biased;
            Some(event) = poll_fn(|context| events.as_mut().poll_next(context)) => note(event, &shared)?,
            outcomes = poll_fn(|context| flight.poll(context)) => {
                let (outcomes, fault) = outcomes;
                shared.update(|state| state.news.extend(outcomes));
                fault?;
            }
            records = commands.recv() => match records {
                Some(records) => flight.publish(records, &shared),
                None => break,
            },
        }
    }
    // The engine has its own deadline for confirms: none is waited for here.
    connection.close(200, "done".into()).await.map_err(|fault| sorted(&fault))
}

async fn find_destination(channel: &Channel, route: &Route) -> Result<(), Fault> {
    if route.exchange.is_empty() {
        return find_queue(channel, &route.routing_key, route.declare).await;
    }
    find_exchange(channel, &route.exchange).await
}

fn note(event: Event, shared: &Shared<Outcome>) -> Result<(), Fault> {
    match event {
        Event::ConnectionBlocked(reason) => shared.update(|state| state.blocked = Some(reason)),
        Event::ConnectionUnblocked => shared.update(|state| state.blocked = None),
        _ => {}
    }
    Ok(())
}

impl Flight {
    /// Hands records to the client in their order. It writes them by and by.
    fn publish(&mut self, records: Vec<Record>, shared: &Shared<Outcome>) {
        let mut context = Context::from_waker(Waker::noop());
        for record in records {
            let (id, length) = (record.id, record.body.len());
            let sent = match properties::of_record(&record, &self.route) {
                Ok(sent) => sent,
                Err(fault) => {
                    shared.update(|state| state.news.push(Outcome::Failed(id, fault)));
                    continue;
                }
            };
            let channel = self.channel.clone();
            let mut publishing: Publishing = Box::pin(async move {
                // A message that reaches no queue comes back.
                let options =
                    BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
                let properties::Sent { exchange, routing_key, properties } = sent;
                channel
                    .basic_publish(exchange, routing_key, options, &record.body, properties)
                    .await
            });
            // The first poll hands it over, so the order is that of these polls.
            let publishing = match publishing.as_mut().poll(&mut context) {
                Poll::Ready(written) => Box::pin(std::future::ready(written)) as Publishing,
                Poll::Pending => publishing,
            };
            self.handed.push_back(Handed { id, length, publishing });
        }
    }

    /// Ready as soon as something is known of what is in flight.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<(Vec<Outcome>, Result<(), Fault>)> {
        let mut fault = None;
        while let Some(first) = self.handed.front_mut() {
            match first.publishing.as_mut().poll(context) {
                Poll::Pending => break,
                Poll::Ready(written) => {
                    let Some(Handed { id, length, .. }) = self.handed.pop_front() else { break };
                    match written {
                        Ok(confirm) => self.written.push_back(Written { id, length, confirm }),
                        Err(error) => {
                            fault = Some(error);
                            break;
                        }
                    }
                }
            }
        }
        let mut outcomes = Vec::new();
        while let Some(first) = self.written.front_mut() {
            match Pin::new(&mut first.confirm).poll(context) {
                Poll::Pending => break,
                Poll::Ready(Ok(confirmation)) => {
                    outcomes.push(outcome(first.id, confirmation, &self.route));
                    self.written.pop_front();
                }
                Poll::Ready(Err(error)) => {
                    outcomes.extend(self.poison(&error));
                    self.written.pop_front();
                    fault = Some(error);
                    break;
                }
            }
        }
        if let Some(error) = fault {
            // Those that were confirmed before are not to be sent again.
            outcomes.extend(self.confirmed_before(context));
            return Poll::Ready((outcomes, Err(sorted(&error))));
        }
        if outcomes.is_empty() { Poll::Pending } else { Poll::Ready((outcomes, Ok(()))) }
    }

    /// If the broker complains that a message is too large: that message, which is the first of its length.
    fn poison(&mut self, error: &lapin::Error) -> Option<Outcome> {
        let (size, longest) = too_large(error)?;
        self.longest.store(longest, Ordering::Relaxed);
        let written = self.written.iter().map(|written| (written.id, written.length));
        let handed = self.handed.iter().map(|handed| (handed.id, handed.length));
        let (id, _) = written.chain(handed).find(|(_, length)| *length == size)?;
        Some(Outcome::Failed(id, Fault::new(Kind::Poison, too_long(size, longest))))
    }

    fn confirmed_before(&mut self, context: &mut Context<'_>) -> Vec<Outcome> {
        let route = &self.route;
        let written = self.written.drain(..).filter_map(|mut written| {
            match Pin::new(&mut written.confirm).poll(context) {
                Poll::Ready(Ok(confirmation)) => Some(outcome(written.id, confirmation, route)),
                _ => None,
            }
        });
        written.filter(|outcome| matches!(outcome, Outcome::Confirmed(_))).collect()
    }
}

fn too_long(length: usize, longest: usize) -> String {
    format!("it has {length} bytes, and the broker takes {longest}")
}

/// Only an ack of a message that did not come back says that a queue has it.
fn outcome(id: u64, confirmation: Confirmation, route: &Route) -> Outcome {
    match confirmation {
        Confirmation::Ack(None) => Outcome::Confirmed(id),
        Confirmation::Ack(Some(returned)) => {
            let Route { exchange, routing_key, .. } = route;
            let text = format!(
                "no queue takes it (exchange {exchange:?}, routing key {routing_key:?}): the broker returned it: {} {}",
                returned.reply_code,
                returned.reply_text.as_str()
            );
            // An exchange is there, as was checked: only its bindings are missing.
            let kind = if exchange.is_empty() { Kind::DestinationMissing } else { Kind::Retry };
            mutant!(
                Outcome::Failed(id, Fault::new(kind, text)),
                "returned-is-success",
                Outcome::Confirmed(id)
            )
        }
        Confirmation::Nack(_) => {
            let text = "the broker refused it for now: its queue is full, or cannot store it";
            Outcome::Failed(id, Fault::new(Kind::Retry, text))
        }
        Confirmation::NotRequested => {
            Outcome::Failed(id, Fault::rebuild("the channel does not confirm messages"))
        }
    }
}
