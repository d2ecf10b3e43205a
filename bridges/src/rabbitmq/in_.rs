//! Consuming from RabbitMQ.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use futures_core::Stream;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};
use tokio::sync::mpsc::UnboundedReceiver;

use super::properties;
use super::server::{Server, find_queue, short, sorted};
use super::session::{Session, Shared};
use super::tags::{Reply, Tags};
use crate::fault::Fault;
use crate::source::{Arrival, Next, Settled, Source};
use crate::stop::Stop;
use crate::values::Declare;

/// Deliveries that are handed on at once.
const RUN: usize = 250;

/// What is consumed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Intake {
    pub(crate) queue: String,
    pub(crate) declare: Option<Declare>,
    pub(crate) prefetch: u16,
    pub(crate) kind_header: String,
    pub(crate) make_envelopes: bool,
}

/// A queue of a RabbitMQ, consumed exclusively.
#[derive(Debug)]
pub(crate) struct RabbitSource {
    server: Server,
    intake: Intake,
    session: Option<Session<Vec<Reply>, Arrival>>,
    /// Came, and were not asked for yet.
    waiting: VecDeque<Arrival>,
    tags: Tags,
}

impl RabbitSource {
    pub(crate) fn new(server: Server, intake: Intake) -> RabbitSource {
        RabbitSource {
            server,
            intake,
            session: None,
            waiting: VecDeque::new(),
            tags: Tags::default(),
        }
    }

    fn session(&self) -> Result<&Session<Vec<Reply>, Arrival>, Fault> {
        self.session.as_ref().ok_or_else(|| Fault::rebuild("there is no connection"))
    }
}

impl Source for RabbitSource {
    fn open(&mut self, stop: &Stop) -> Result<(), Fault> {
        (self.session, self.tags) = (None, Tags::default());
        self.waiting.clear();
        let (server, intake) = (self.server.clone(), self.intake.clone());
        let session =
            Session::open(stop, move |replies, shared| consume(server, intake, replies, shared))?;
        self.session = Some(session);
        Ok(())
    }

    fn next(&mut self, max: usize, until: Instant) -> Result<Next, Fault> {
        let until = if self.waiting.is_empty() { until } else { Instant::now() };
        let (news, outcome) = self.session()?.wait(until, |state| std::mem::take(&mut state.news));
        // What came over a connection that is gone comes again.
        outcome?;
        news.iter().for_each(|arrival| self.tags.came(arrival.token));
        self.waiting.extend(news);
        let count = max.min(self.waiting.len());
        Ok(Next::Arrivals(self.waiting.drain(..count).collect()))
    }

    fn most_unsettled(&self) -> usize {
        self.intake.prefetch.into()
    }

    fn settle(&mut self, settled: &[(u64, Settled)]) -> Result<(), Fault> {
        let replies = self.tags.settle(settled);
        self.session()?.send(replies)
    }

    fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close();
        }
        self.waiting.clear();
        self.tags = Tags::default();
    }
}

async fn consume(
    server: Server,
    intake: Intake,
    mut replies: UnboundedReceiver<Vec<Reply>>,
    shared: Arc<Shared<Arrival>>,
) -> Result<(), Fault> {
    let connection = server.connect().await?;
    let (channel, mut consumer) = start(&connection, &intake).await?;
    shared.opened();
    loop {
        let next = poll_fn(|context| Pin::new(&mut consumer).poll_next(context));
        tokio::select! {
            biased;
            batch = replies.recv() => match batch {
                Some(batch) => tell(&channel, batch).await?,
                None => break,
            },
            first = next => {
                let mut news = vec![received(first, &intake)?];
                // Those that have come with it: one wake-up for all.
                let mut context = Context::from_waker(Waker::noop());
                let mut outcome = Ok(());
                while news.len() < RUN {
                    let Poll::Ready(next) = Pin::new(&mut consumer).poll_next(&mut context) else { break };
                    match received(next, &intake) {
                        Ok(arrival) => news.push(arrival),
                        Err(fault) => {
                            outcome = Err(fault);
                            break;
                        }
                    }
                }
                shared.update(|state| state.news.extend(news));
                outcome?;
            }
        }
    }
    // The acks are written before this: it is answered after them.
    connection.close(200, "done".into()).await.map_err(|fault| sorted(&fault))
}

async fn start(connection: &Connection, intake: &Intake) -> Result<(Channel, Consumer), Fault> {
    let channel = connection.create_channel().await.map_err(|fault| sorted(&fault))?;
    find_queue(&channel, &intake.queue, intake.declare).await?;
    // For the consumer, not for the channel, which RabbitMQ 4.3 refuses.
    let limited = channel.basic_qos(intake.prefetch, BasicQosOptions::default()).await;
    limited.map_err(|fault| sorted(&fault))?;
    // Another consumer would get messages in between, and leave gaps.
    let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
    let queue = short(&intake.queue)?;
    let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await;
    Ok((channel, consumer.map_err(|fault| sorted(&fault))?))
}

async fn tell(channel: &Channel, replies: Vec<Reply>) -> Result<(), Fault> {
    for reply in replies {
        let told = match reply {
            Reply::AckThrough(tag) => {
                channel.basic_ack(tag, BasicAckOptions { multiple: true }).await
            }
            Reply::Ack(tag) => channel.basic_ack(tag, BasicAckOptions { multiple: false }).await,
            Reply::Reject(tag) => {
                channel.basic_reject(tag, BasicRejectOptions { requeue: false }).await
            }
        };
        told.map_err(|fault| sorted(&fault))?;
    }
    Ok(())
}

/// What the client gave: nothing at all if the broker cancelled the consumer, because the queue was deleted, its node went
/// down, or an ack took too long.
fn received(next: Option<lapin::Result<Delivery>>, intake: &Intake) -> Result<Arrival, Fault> {
    match next {
        Some(Ok(delivery)) => Ok(arrival(delivery, intake)),
        Some(Err(error)) => Err(sorted(&error)),
        None => Err(Fault::rebuild("the broker cancelled the consumer")),
    }
}

fn arrival(delivery: Delivery, intake: &Intake) -> Arrival {
    let properties = &delivery.properties;
    Arrival {
        token: delivery.delivery_tag,
        kind: properties::kind(properties, &intake.kind_header),
        identity: properties::identity(properties),
        tombstone: properties::is_tombstone(properties),
        envelope: intake.make_envelopes.then(|| properties::to_envelope(&delivery, &intake.queue)),
        body: delivery.data,
    }
}
