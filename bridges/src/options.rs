//! Options of a bridge: flags, keys of a file and environment variables are one and the same.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::values::{Declare, Format, Poison, Size, Time};

const WINDOW: usize = 1000;
const WINDOW_BYTES: usize = 8 << 20;
const DRAIN: Duration = Duration::from_secs(10);
const GAP: Duration = Duration::from_secs(30);

/// Defines the options of a direction, with those that both have.
macro_rules! options {
    ($(#[$meta:meta])* $name:ident { $($fields:tt)* }) => {
        $(#[$meta])*
        #[derive(Args, Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "snake_case")]
        pub(crate) struct $name {
            $($fields)*
            /// What the messages of the local queue are
            #[arg(long, value_enum, env = "SLIPRING_BRIDGE_FORMAT", default_value_t)]
            #[serde(default)]
            pub(crate) format: Format,
            /// What to do with a message that can never be taken, because it is too long for example
            #[arg(long, value_enum, env = "SLIPRING_BRIDGE_POISON", default_value_t)]
            #[serde(default)]
            pub(crate) poison: Poison,
            /// Make the broker's queue if it is not there: durable, of this type. Otherwise it must be there
            #[arg(long, value_enum, value_name = "TYPE", env = "SLIPRING_BRIDGE_DECLARE")]
            pub(crate) declare: Option<Declare>,
            /// End after N messages
            #[arg(long, value_name = "N", env = "SLIPRING_BRIDGE_COUNT")]
            pub(crate) count: Option<u64>,
            /// End with exit code 3 after this time without a message: seconds, or e.g. 500ms [default: never]
            #[arg(long, value_name = "TIME", env = "SLIPRING_BRIDGE_TIMEOUT")]
            pub(crate) timeout: Option<Time>,
            /// User at the broker [default: guest]
            #[arg(long, value_name = "NAME", env = "SLIPRING_BRIDGE_USER")]
            pub(crate) user: Option<String>,
            /// The environment variable that has the user's password
            #[arg(long, value_name = "NAME", env = "SLIPRING_BRIDGE_PASSWORD_ENV")]
            pub(crate) password_env: Option<String>,
            /// The file that has the user's password; a newline at its end does not belong to it
            #[arg(long, value_name = "FILE", env = "SLIPRING_BRIDGE_PASSWORD_FILE", conflicts_with = "password_env")]
            pub(crate) password_file: Option<PathBuf>,
            /// For amqps://: a file with the certificates (PEM) of the authorities to trust beside those of the system
            #[arg(long, value_name = "FILE", env = "SLIPRING_BRIDGE_CA")]
            pub(crate) ca: Option<PathBuf>,
            /// For amqps://: a file with this program's certificate (PEM)
            #[arg(long, value_name = "FILE", env = "SLIPRING_BRIDGE_CERT", requires = "key")]
            pub(crate) cert: Option<PathBuf>,
            /// For amqps://: a file with the key of --cert (PEM, PKCS #8)
            #[arg(long, value_name = "FILE", env = "SLIPRING_BRIDGE_KEY", requires = "cert")]
            pub(crate) key: Option<PathBuf>,
        }

        impl $name {
            /// What it takes to connect.
            pub(crate) fn access(&self) -> Access<'_> {
                Access {
                    user: self.user.as_deref(),
                    password_env: self.password_env.as_deref(),
                    password_file: self.password_file.as_ref(),
                    ca: self.ca.as_ref(),
                    cert: self.cert.as_ref(),
                    key: self.key.as_ref(),
                }
            }
        }
    };
}

/// What it takes to connect to a broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access<'a> {
    pub(crate) user: Option<&'a str>,
    pub(crate) password_env: Option<&'a str>,
    pub(crate) password_file: Option<&'a PathBuf>,
    pub(crate) ca: Option<&'a PathBuf>,
    pub(crate) cert: Option<&'a PathBuf>,
    pub(crate) key: Option<&'a PathBuf>,
}

/// What has to be at a broker.
#[derive(Debug)]
pub(crate) enum Destination {
    Queue(String),
    Exchange(String),
}

options! {
    /// From a local queue to a broker.
    OutOptions {
        /// Name of the local queue
        #[arg(value_name = "QUEUE")]
        pub(crate) queue: String,
        /// Group to receive for: exclusive, without a limit of attempts. It is made if there is none
        #[arg(long, env = "SLIPRING_BRIDGE_GROUP")]
        pub(crate) group: String,
        /// Where to: amqp://HOST:PORT/VHOST, amqps://..., or file:PATH
        #[arg(long, value_name = "URL", env = "SLIPRING_BRIDGE_TO")]
        pub(crate) to: String,
        /// Exchange to publish to [default: the default exchange, which has a routing key for each queue]
        #[arg(long, value_name = "NAME", env = "SLIPRING_BRIDGE_EXCHANGE")]
        pub(crate) exchange: Option<String>,
        /// Routing key: with the default exchange the name of the broker's queue [default: QUEUE]
        #[arg(long, value_name = "KEY", env = "SLIPRING_BRIDGE_ROUTING_KEY")]
        pub(crate) routing_key: Option<String>,
        /// Most messages to have in work: sent and not confirmed [default: 1000]
        #[arg(long, value_name = "N", env = "SLIPRING_BRIDGE_WINDOW")]
        pub(crate) window: Option<usize>,
        /// Most bytes to have in work [default: 8MiB]
        #[arg(long, value_name = "SIZE", env = "SLIPRING_BRIDGE_WINDOW_BYTES")]
        pub(crate) window_bytes: Option<Size>,
        /// After a signal, how long to wait for confirms of what was sent [default: 10s]
        #[arg(long, value_name = "TIME", env = "SLIPRING_BRIDGE_DRAIN")]
        pub(crate) drain: Option<Time>,
        /// Content type of the messages [default: application/octet-stream]
        #[arg(long, value_name = "TYPE", env = "SLIPRING_BRIDGE_CONTENT_TYPE")]
        pub(crate) content_type: Option<String>,
        /// Stay when the queue is closed, and wait for the next sender
        #[arg(short, long, env = "SLIPRING_BRIDGE_FOLLOW")]
        #[serde(default)]
        pub(crate) follow: bool,
        /// Print what would be sent, as an observer: no group, no connection
        #[arg(long)]
        #[serde(skip)]
        pub(crate) dry_run: bool,
    }
}

options! {
    /// From a broker to a local queue.
    InOptions {
        /// Where from: amqp://HOST:PORT/VHOST, amqps://..., or file:PATH
        #[arg(value_name = "URL")]
        pub(crate) url: String,
        /// The broker's queue
        #[arg(long, value_name = "NAME", env = "SLIPRING_BRIDGE_FROM")]
        pub(crate) from: Option<String>,
        /// Name of the local queue
        #[arg(long, value_name = "QUEUE", env = "SLIPRING_BRIDGE_TO")]
        pub(crate) to: String,
        /// Make the local queue if there is none
        #[arg(long, env = "SLIPRING_BRIDGE_CREATE")]
        #[serde(default)]
        pub(crate) create: bool,
        /// Messages that fit into the queue that --create makes [default: 4096]
        #[arg(long, value_name = "N", env = "SLIPRING_BRIDGE_CAPACITY", requires = "create")]
        pub(crate) capacity: Option<u64>,
        /// Longest message of the queue that --create makes [default: 112]
        #[arg(long, value_name = "SIZE", env = "SLIPRING_BRIDGE_PAYLOAD", requires = "create")]
        pub(crate) payload: Option<Size>,
        /// Streams that messages of the queue that --create makes may come from: each message once [default: 0]
        #[arg(long, value_name = "N", env = "SLIPRING_BRIDGE_SOURCES", requires = "create")]
        pub(crate) sources: Option<usize>,
        /// Groups of the queue that --create makes. May be given repeatedly
        #[arg(long, value_name = "GROUP", requires = "create")]
        #[serde(default)]
        pub(crate) group: Vec<String>,
        /// Begin a stream that the queue does not know at the first message that comes
        #[arg(long, env = "SLIPRING_BRIDGE_ADOPT")]
        #[serde(default)]
        pub(crate) adopt: bool,
        /// Messages that the broker may send ahead of their acks; twice the window of `out` or more [default: 2000]
        #[arg(long, value_name = "N", env = "SLIPRING_BRIDGE_PREFETCH")]
        pub(crate) prefetch: Option<u16>,
        /// How long a message may be missing while later ones are there [default: 30s]
        #[arg(long, value_name = "TIME", env = "SLIPRING_BRIDGE_GAP_TIMEOUT")]
        pub(crate) gap_timeout: Option<Time>,
        /// Header whose number becomes the kind of a message [default: slipring-kind]
        #[arg(long, value_name = "NAME", env = "SLIPRING_BRIDGE_KIND_HEADER")]
        pub(crate) kind_header: Option<String>,
    }
}

impl OutOptions {
    pub(crate) fn destination(&self) -> Destination {
        match self.exchange.as_deref() {
            None | Some("") => Destination::Queue(self.routing_key().to_owned()),
            Some(exchange) => Destination::Exchange(exchange.to_owned()),
        }
    }

    pub(crate) fn window(&self) -> usize {
        self.window.unwrap_or(WINDOW).max(1)
    }

    pub(crate) fn window_bytes(&self) -> usize {
        self.window_bytes.map_or(WINDOW_BYTES, |Size(size)| size)
    }

    pub(crate) fn drain(&self) -> Duration {
        self.drain.map_or(DRAIN, |Time(time)| time)
    }

    pub(crate) fn routing_key(&self) -> &str {
        self.routing_key.as_deref().unwrap_or(&self.queue)
    }
}

impl InOptions {
    pub(crate) fn destination(&self) -> Destination {
        Destination::Queue(self.from.clone().unwrap_or_default())
    }

    pub(crate) fn prefetch(&self) -> u16 {
        self.prefetch.unwrap_or(2000).max(1)
    }

    pub(crate) fn gap_timeout(&self) -> Duration {
        self.gap_timeout.map_or(GAP, |Time(time)| time)
    }
}
