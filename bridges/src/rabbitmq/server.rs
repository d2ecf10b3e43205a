//! Where a broker is, how to connect to it, and what its replies mean.

use std::fmt;
use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::protocol::AMQPError;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, Error, ErrorKind, ExchangeKind};

use crate::failure::Failure;
use crate::fault::{Fault, Kind};
use crate::options::Access;
use crate::secret;
use crate::values::Declare;

/// How long connecting may take, with the handshake and all declarations.
const CONNECT: Duration = Duration::from_secs(12);
/// Heartbeats, unless the URL says otherwise: a link that is half-open is noticed after twice this time.
const HEARTBEAT_SECONDS: u16 = 10;

/// Where messages go at a broker, and how.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Empty for the default exchange.
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    /// An envelope's own routing key goes before it.
    pub(crate) keep_routing_key: bool,
    pub(crate) declare: Option<Declare>,
    pub(crate) content_type: String,
}

/// Where a broker is, and the credentials for it.
#[derive(Clone)]
pub(crate) struct Server {
    uri: AMQPUri,
    tls: Tls,
    name: String,
}

#[derive(Clone, Default)]
struct Tls {
    ca: Option<String>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Server {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Server {
    /// From a URL without a password. `name` is what the broker shows of this connection.
    pub(crate) fn new(url: &str, access: Access<'_>, name: &str) -> Result<Server, Failure> {
        let wrong = |what: &str| Failure::usage(format!("{url:?} is not a broker's URL: {what}"));
        let mut uri: AMQPUri = url.parse().map_err(|fault: String| wrong(&fault))?;
        if cfg!(not(feature = "tls")) && uri.scheme == AMQPScheme::AMQPS {
            return Err(wrong("this program was built without TLS (feature tls)"));
        }
        if uri.vhost.is_empty() {
            uri.vhost = "/".to_owned();
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        uri.query.connection_timeout.get_or_insert(CONNECT.as_millis() as u64);
        let userinfo = &mut uri.authority.userinfo;
        if let Some(user) = access.user {
            userinfo.username = user.to_owned();
        }
        if let Some(password) = secret::password(access)? {
            userinfo.password = password;
        } else if userinfo.username != "guest" {
            return Err(Failure::usage(format!("user {:?} has no password", userinfo.username))
                .hint("--password-env NAME or --password-file FILE says where it is"));
        }
        let ca = access.ca.map(|path| secret::read(path)).transpose()?;
        let ca = ca.map(|pem| String::from_utf8_lossy(&pem).into_owned());
        let identity = match (access.cert, access.key) {
            (Some(cert), Some(key)) => Some((secret::read(cert)?, secret::read(key)?)),
            _ => None,
        };
        Ok(Server { uri, tls: Tls { ca, identity }, name: format!("slipring-bridge {name}") })
    }

    /// Host, port and virtual host, as people are told.
    pub(crate) fn place(&self) -> String {
        let authority = &self.uri.authority;
        let scheme = match self.uri.scheme {
            AMQPScheme::AMQP => "amqp",
            AMQPScheme::AMQPS => "amqps",
        };
        let vhost = self.uri.vhost.replace('/', "%2f");
        format!("{scheme}://{}:{}/{vhost}", authority.host, authority.port)
    }

    pub(super) async fn connect(&self) -> Result<Connection, Fault> {
        let properties =
            ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let identity = self.tls.identity.clone();
        let tls = OwnedTLSConfig {
            identity: identity.map(|(pem, key)| OwnedIdentity::PKCS8 { pem, key }),
            cert_chain: self.tls.ca.clone(),
        };
        let runtime = lapin::runtime::default_runtime().map_err(|fault| sorted(&fault))?;
        let connected =
            Connection::connect_uri_with_config(self.uri.clone(), properties, tls, runtime).await;
        connected.map_err(|fault| sorted(&fault))
    }
}

/// Checks that the exchange is there.
pub(super) async fn find_exchange(channel: &Channel, name: &str) -> Result<(), Fault> {
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let (name, kind) = (short(name)?, ExchangeKind::Direct);
    let declared = channel.exchange_declare(name, kind, options, FieldTable::default()).await;
    declared.map_err(|fault| sorted(&fault))
}

/// A name that goes into a short string of the protocol.
pub(super) fn short(text: &str) -> Result<ShortString, Fault> {
    ShortString::try_new(text)
        .map_err(|_| Fault::new(Kind::Refused, format!("{text:?} is longer than 255 bytes")))
}

/// Checks that the queue is there; makes it, if that was asked for.
pub(super) async fn find_queue(
    channel: &Channel,
    name: &str,
    declare: Option<Declare>,
) -> Result<(), Fault> {
    let mut arguments = FieldTable::default();
    if let Some(declare) = declare {
        let kind = match declare {
            Declare::Classic => "classic",
            Declare::Quorum => "quorum",
        };
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
    }
    let options = QueueDeclareOptions {
        passive: declare.is_none(),
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(short(name)?, options, arguments).await;
    declared.map(|_| ()).map_err(|fault| sorted(&fault))
}

/// What is to be done about an error of the client.
pub(super) fn sorted(error: &Error) -> Fault {
    match error.kind() {
        ErrorKind::ProtocolError(fault) => sorted_reply(fault),
        _ => Fault::rebuild(error.to_string()),
    }
}

/// What is to be done about a reply of the broker that closed the channel or the connection.
fn sorted_reply(error: &AMQPError) -> Fault {
    let (code, text) = (error.get_id(), error.get_message().as_str());
    let in_use = text.contains("in exclusive use") || text.contains("exclusive access");
    let kind = match code {
        403 | 405 if in_use => Kind::Rebuild,
        403 | 402 => Kind::Refused,
        404 => Kind::DestinationMissing,
        // A virtual host that this user may not use, or one that is not there, or not yet.
        530 if text.contains("refused") => Kind::Refused,
        530 => Kind::DestinationMissing,
        // The channel was closed for what was asked, and asking again changes nothing: a queue that has other properties.
        406 if text.contains("inequivalent") => Kind::Refused,
        540 => Kind::Refused,
        _ => Kind::Rebuild,
    };
    Fault::new(kind, format!("the broker says {code} {text}"))
}

/// The sizes in a broker's complaint that a message is too large: the message's, and the largest that it takes.
pub(super) fn too_large(error: &Error) -> Option<(usize, usize)> {
    let ErrorKind::ProtocolError(fault) = error.kind() else { return None };
    let text = fault.get_message().as_str();
    if fault.get_id() != 406 || !text.contains("message size") {
        return None;
    }
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

    use super::*;

    fn reply(kind: AMQPErrorKind, text: &str) -> Error {
        ErrorKind::ProtocolError(AMQPError::new(kind, text.into())).into()
    }

    #[test]
    fn replies_are_sorted_by_what_helps() {
        let kind = |kind: AMQPErrorKind, text: &str| sorted(&reply(kind, text)).kind;
        let soft = AMQPErrorKind::Soft;
        assert_eq!(
            kind(soft(AMQPSoftError::NOTFOUND), "NOT_FOUND - no queue"),
            Kind::DestinationMissing
        );
        assert_eq!(
            kind(soft(AMQPSoftError::ACCESSREFUSED), "ACCESS_REFUSED - Login"),
            Kind::Refused
        );
        let other = "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use";
        assert_eq!(kind(soft(AMQPSoftError::ACCESSREFUSED), other), Kind::Rebuild);
        let differs = "PRECONDITION_FAILED - inequivalent arg 'durable' for queue";
        assert_eq!(kind(soft(AMQPSoftError::PRECONDITIONFAILED), differs), Kind::Refused);
        assert_eq!(kind(soft(AMQPSoftError::PRECONDITIONFAILED), "unknown tag"), Kind::Rebuild);
        let hard = AMQPErrorKind::Hard;
        assert_eq!(kind(hard(AMQPHardError::CONNECTIONFORCED), "shutdown"), Kind::Rebuild);
        let vhost = "NOT_ALLOWED - access to vhost '/' refused for user 'guest'";
        assert_eq!(kind(hard(AMQPHardError::NOTALLOWED), vhost), Kind::Refused);
        assert_eq!(
            kind(hard(AMQPHardError::NOTALLOWED), "vhost x not found"),
            Kind::DestinationMissing
        );
    }

    #[test]
    fn a_complaint_about_a_size_has_both_sizes() {
        let text = "PRECONDITION_FAILED - message size 200 is larger than configured max size 100";
        let error = reply(AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED), text);
        assert_eq!(too_large(&error), Some((200, 100)));
    }

    #[test]
    fn urls_have_defaults_and_no_password() {
        let access = Access {
            user: None,
            password_env: None,
            password_file: None,
            ca: None,
            cert: None,
            key: None,
        };
        let place = |url: &str| Server::new(url, access, "x").map(|server| server.place());
        for url in ["amqp://h", "amqp://h:5672", "amqp://h/", "amqp://h/%2f"] {
            assert_eq!(place(url).unwrap(), "amqp://h:5672/%2f", "{url}");
        }
        assert_eq!(place("amqp://h:1/name").unwrap(), "amqp://h:1/name");
        assert!(place("amqp://user@h").unwrap_err().text.contains("no password"));
        assert!(place("http://h").is_err());
    }
}
