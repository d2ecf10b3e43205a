//! The test's own connection to the broker.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind,
};
use tokio::runtime::{Builder, Runtime};

/// What a queue of the broker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Classic,
    Quorum,
    /// A classic queue that holds so many messages and refuses more.
    Rejecting(i64),
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Classic => "classic",
            Kind::Quorum => "quorum",
            Kind::Rejecting(_) => "rejecting",
        }
    }

    fn arguments(self) -> FieldTable {
        let mut table = FieldTable::default();
        let text = |text: &str| AMQPValue::LongString(text.into());
        let kind = if self == Kind::Quorum { "quorum" } else { "classic" };
        table.insert("x-queue-type".into(), text(kind));
        if let Kind::Rejecting(most) = self {
            table.insert("x-max-length".into(), AMQPValue::LongLongInt(most));
            table.insert("x-overflow".into(), text("reject-publish"));
        }
        table
    }
}

/// A message as it is in the broker.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) body: Vec<u8>,
    pub(crate) properties: BasicProperties,
}

pub(crate) struct Amqp {
    runtime: Runtime,
    channel: Channel,
    connection: Connection,
}

/// A broker that does not answer the test is an error, not a wait without end.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it to its end.
fn wait<F: Future>(runtime: &Runtime, work: F) -> F::Output {
    let limited = runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await });
    limited.expect("the broker answers within two minutes")
}

impl Amqp {
    pub(crate) fn connect(url: &str) -> Amqp {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (connection, channel) = wait(&runtime, async {
            let options = ConnectionProperties::default();
            let connection = Connection::connect(url, options).await.unwrap();
            let channel = connection.create_channel().await.unwrap();
            (connection, channel)
        });
        Amqp { runtime, channel, connection }
    }

    pub(crate) fn declare(&self, queue: &str, kind: Kind) {
        let declared = self.channel.queue_declare(
            queue.into(),
            QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() },
            kind.arguments(),
        );
        wait(&self.runtime, declared).unwrap();
    }

    /// Makes an exchange that puts each message of the routing key `name` into each of the queues.
    pub(crate) fn fan_out(&self, name: &str, queues: &[&str]) {
        let none = FieldTable::default;
        wait(&self.runtime, async {
            let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
            let declared =
                self.channel.exchange_declare(name.into(), ExchangeKind::Direct, options, none());
            declared.await.unwrap();
            for queue in queues {
                let options = QueueBindOptions::default();
                let (queue, exchange, key) = ((*queue).into(), name.into(), name.into());
                self.channel.queue_bind(queue, exchange, key, options, none()).await.unwrap();
            }
        });
    }

    /// Removes a queue, and says how many messages it had.
    pub(crate) fn delete(&self, queue: &str) -> u64 {
        let deleted = self.channel.queue_delete(queue.into(), QueueDeleteOptions::default());
        u64::from(wait(&self.runtime, deleted).unwrap())
    }

    /// How many messages wait in it.
    pub(crate) fn waiting(&self, queue: &str) -> u64 {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = self.channel.queue_declare(queue.into(), options, FieldTable::default());
        u64::from(wait(&self.runtime, declared).unwrap().message_count())
    }

    /// Publishes to a queue and waits for the confirms.
    pub(crate) fn publish(&self, queue: &str, messages: impl IntoIterator<Item = Vec<u8>>) {
        wait(&self.runtime, async {
            self.channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
            let mut confirms = Vec::new();
            for body in messages {
                let properties = BasicProperties::default().with_delivery_mode(2);
                let options = BasicPublishOptions { mandatory: true, ..Default::default() };
                let sent =
                    self.channel.basic_publish("".into(), queue.into(), options, &body, properties);
                confirms.push(sent.await.unwrap());
            }
            for confirm in confirms {
                assert!(matches!(confirm.await.unwrap(), Confirmation::Ack(None)));
            }
        });
    }

    /// Takes all that is in a queue, in order; it ends once nothing has come for two seconds, and nothing waits.
    pub(crate) fn drain(&self, queue: &str) -> Vec<Stored> {
        let mut stored = Vec::new();
        let mut consumer = wait(&self.runtime, async {
            let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
            let none = FieldTable::default();
            let consumed = self.channel.basic_consume(queue.into(), "".into(), options, none);
            consumed.await.unwrap()
        });
        let mut quiet = 0;
        while quiet < 2 || self.waiting(queue) > 0 {
            let next = poll_fn(|context| Pin::new(&mut consumer).poll_next(context));
            let next = async { tokio::time::timeout(Duration::from_secs(1), next).await };
            match self.runtime.block_on(next) {
                Ok(delivery) => {
                    let delivery = delivery.unwrap().unwrap();
                    stored.push(Stored { body: delivery.data, properties: delivery.properties });
                    quiet = 0;
                }
                Err(_) => quiet += 1,
            }
        }
        stored
    }
}

impl Drop for Amqp {
    fn drop(&mut self) {
        let close = self.connection.close(200, "done".into());
        let _ = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, close).await });
    }
}
