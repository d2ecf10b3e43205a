//! What a message has at RabbitMQ besides its body: properties and headers.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, DecimalValue, FieldArray, FieldTable, ShortString};
use serde_json::{Map, Value, json};

use super::server::{Route, short};
use crate::envelope::Envelope;
use crate::fault::{Fault, Kind};
use crate::identity::{Identity, Previous, header};
use crate::sink::Record;

/// A persistent message.
const PERSISTENT: u8 = 2;

/// A record, as it is published.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
}

fn text(text: impl Into<String>) -> AMQPValue {
    AMQPValue::LongString(text.into().into())
}

fn number(number: u64) -> AMQPValue {
    AMQPValue::LongLongInt(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Of a record on its way out.
pub(super) fn of_record(record: &Record, route: &Route) -> Result<Sent, Fault> {
    let poison = |what: String| Fault::new(Kind::Poison, what);
    let mut properties = BasicProperties::default();
    let mut headers = FieldTable::default();
    let mut routing_key = &route.routing_key;
    if let Some(envelope) = &record.envelope {
        (properties, headers) = from_envelope(envelope).map_err(poison)?;
        if let Some(own) = envelope.routing_key.as_ref().filter(|_| route.keep_routing_key) {
            routing_key = own;
        }
    }
    let Identity { stream, position, previous } = &record.identity;
    let mut set = |name: &'static str, value| {
        headers.insert(name.into(), value);
    };
    set(header::STREAM, text(stream.to_string()));
    set(header::LABEL, text(stream.label()));
    set(header::POSITION, number(*position));
    match previous {
        Previous::None => set(header::PREVIOUS, text(header::NONE)),
        Previous::At(previous) => set(header::PREVIOUS, number(*previous)),
        Previous::Unknown => {}
    }
    if record.kind != 0 {
        set(header::KIND, number(record.kind.into()));
    }
    if record.attempts > 1 {
        set(header::ATTEMPTS, number(record.attempts.into()));
    }
    if record.tombstone {
        set(header::TOMBSTONE, AMQPValue::Boolean(true));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    set(header::TIME, number(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)));
    if properties.message_id().is_none() {
        properties = properties.with_message_id(short(&record.identity.key())?);
    }
    if properties.content_type().is_none() {
        properties = properties.with_content_type(short(&route.content_type)?);
    }
    if properties.timestamp().is_none() {
        properties = properties.with_timestamp(now.as_secs());
    }
    let mode = properties.delivery_mode().unwrap_or(PERSISTENT);
    Ok(Sent {
        exchange: short(&route.exchange)?,
        routing_key: short(routing_key)?,
        properties: properties.with_delivery_mode(mode).with_headers(headers),
    })
}

fn get<'h>(headers: Option<&'h FieldTable>, name: &str) -> Option<&'h AMQPValue> {
    headers?.inner().get(name)
}

fn as_text(value: &AMQPValue) -> Option<&str> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        _ => None,
    }
}

fn as_number(value: &AMQPValue) -> Option<u64> {
    match value {
        AMQPValue::ShortShortInt(n) => u64::try_from(*n).ok(),
        AMQPValue::ShortShortUInt(n) => Some((*n).into()),
        AMQPValue::ShortInt(n) => u64::try_from(*n).ok(),
        AMQPValue::ShortUInt(n) => Some((*n).into()),
        AMQPValue::LongInt(n) => u64::try_from(*n).ok(),
        AMQPValue::LongUInt(n) => Some((*n).into()),
        AMQPValue::LongLongInt(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}

/// What a delivery says of where it comes from.
pub(super) fn identity(properties: &BasicProperties) -> Option<Identity> {
    let headers = properties.headers().as_ref();
    let previous = get(headers, header::PREVIOUS).map(|previous| match as_number(previous) {
        Some(position) => Previous::At(position),
        None if as_text(previous) == Some(header::NONE) => Previous::None,
        None => Previous::Unknown,
    });
    Identity::from_headers(
        get(headers, header::STREAM).and_then(as_text)?,
        get(headers, header::LABEL).and_then(as_text),
        get(headers, header::POSITION).and_then(as_number)?,
        previous,
    )
}

pub(super) fn is_tombstone(properties: &BasicProperties) -> bool {
    let headers = properties.headers().as_ref();
    get(headers, header::TOMBSTONE) == Some(&AMQPValue::Boolean(true))
}

/// The number of header `name` as a kind; 0 without one.
pub(super) fn kind(properties: &BasicProperties, name: &str) -> u32 {
    let found = get(properties.headers().as_ref(), name).and_then(as_number);
    found.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

/// All that a delivery has besides its body.
pub(super) fn to_envelope(delivery: &Delivery, queue: &str) -> Envelope {
    let of = &delivery.properties;
    let mut properties = Map::new();
    let texts = [
        ("content_type", of.content_type()),
        ("content_encoding", of.content_encoding()),
        ("correlation_id", of.correlation_id()),
        ("reply_to", of.reply_to()),
        ("expiration", of.expiration()),
        ("message_id", of.message_id()),
        ("type", of.kind()),
        ("user_id", of.user_id()),
        ("app_id", of.app_id()),
        ("cluster_id", of.cluster_id()),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            properties.insert(name.to_owned(), value.as_str().into());
        }
    }
    let mode = of.delivery_mode().map(u64::from);
    let numbers = [
        ("delivery_mode", mode),
        ("priority", of.priority().map(u64::from)),
        ("timestamp", *of.timestamp()),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            properties.insert(name.to_owned(), value.into());
        }
    }
    Envelope {
        source: "rabbitmq".to_owned(),
        from: queue.to_owned(),
        exchange: Some(delivery.exchange.as_str().to_owned()),
        routing_key: Some(delivery.routing_key.as_str().to_owned()),
        redelivered: delivery.redelivered,
        properties,
        headers: of.headers().as_ref().map(table_to_json).unwrap_or_default(),
    }
}

fn from_envelope(envelope: &Envelope) -> Result<(BasicProperties, FieldTable), String> {
    let mut properties = BasicProperties::default();
    for (name, value) in &envelope.properties {
        let wrong = || format!("its property {name:?} cannot be {value}");
        let text = || -> Result<ShortString, String> {
            ShortString::try_new(value.as_str().ok_or_else(wrong)?).map_err(|_| wrong())
        };
        let byte = || value.as_u64().and_then(|n| u8::try_from(n).ok()).ok_or_else(wrong);
        properties = match name.as_str() {
            "content_type" => properties.with_content_type(text()?),
            "content_encoding" => properties.with_content_encoding(text()?),
            "correlation_id" => properties.with_correlation_id(text()?),
            "reply_to" => properties.with_reply_to(text()?),
            "expiration" => properties.with_expiration(text()?),
            "message_id" => properties.with_message_id(text()?),
            "type" => properties.with_type(text()?),
            // The broker refuses one that is not the user of the connection.
            "user_id" => properties,
            "app_id" => properties.with_app_id(text()?),
            "cluster_id" => properties.with_cluster_id(text()?),
            "delivery_mode" => properties.with_delivery_mode(byte()?),
            "priority" => properties.with_priority(byte()?),
            "timestamp" => properties.with_timestamp(value.as_u64().ok_or_else(wrong)?),
            _ => return Err(format!("its property {name:?} is unknown")),
        };
    }
    Ok((properties, table_from_json(&envelope.headers)?))
}

fn table_to_json(table: &FieldTable) -> Map<String, Value> {
    table.into_iter().map(|(name, value)| (name.as_str().to_owned(), to_json(value))).collect()
}

fn bytes_to_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({"text": text}),
        Err(_) => json!({"text64": BASE64.encode(bytes)}),
    }
}

/// A value with its type, so that the same comes back.
fn to_json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(it) => json!({"bool": it}),
        AMQPValue::ShortShortInt(it) => json!({"i8": it}),
        AMQPValue::ShortShortUInt(it) => json!({"u8": it}),
        AMQPValue::ShortInt(it) => json!({"i16": it}),
        AMQPValue::ShortUInt(it) => json!({"u16": it}),
        AMQPValue::LongInt(it) => json!({"i32": it}),
        AMQPValue::LongUInt(it) => json!({"u32": it}),
        AMQPValue::LongLongInt(it) => json!({"i64": it}),
        // By their bits: JSON has neither infinities nor NaN.
        AMQPValue::Float(it) => json!({"f32": it.to_bits(), "is": it.to_string()}),
        AMQPValue::Double(it) => json!({"f64": it.to_bits(), "is": it.to_string()}),
        AMQPValue::DecimalValue(it) => json!({"decimal": [it.scale, it.value]}),
        AMQPValue::ShortString(it) => json!({"short": it.as_str()}),
        AMQPValue::LongString(it) => bytes_to_json(it.as_bytes()),
        AMQPValue::FieldArray(it) => {
            json!({"array": it.as_slice().iter().map(to_json).collect::<Vec<Value>>()})
        }
        AMQPValue::Timestamp(it) => json!({"time": it}),
        AMQPValue::FieldTable(it) => json!({"table": table_to_json(it)}),
        AMQPValue::ByteArray(it) => json!({"bytes64": BASE64.encode(it.as_slice())}),
        AMQPValue::Void => json!({"void": null}),
    }
}

fn table_from_json(map: &Map<String, Value>) -> Result<FieldTable, String> {
    let mut table = FieldTable::default();
    for (name, value) in map {
        let wrong = || format!("its header {name:?} cannot be {value}");
        let key = ShortString::try_new(name.as_str()).map_err(|_| wrong())?;
        table.insert(key, from_json(value).ok_or_else(wrong)?);
    }
    Ok(table)
}

fn from_json(value: &Value) -> Option<AMQPValue> {
    let object = value.as_object()?;
    let (kind, it) = object.iter().find(|(kind, _)| *kind != "is")?;
    let bytes = || BASE64.decode(it.as_str()?).ok();
    let signed = it.as_i64();
    let unsigned = it.as_u64();
    Some(match kind.as_str() {
        "bool" => AMQPValue::Boolean(it.as_bool()?),
        "i8" => AMQPValue::ShortShortInt(signed?.try_into().ok()?),
        "u8" => AMQPValue::ShortShortUInt(unsigned?.try_into().ok()?),
        "i16" => AMQPValue::ShortInt(signed?.try_into().ok()?),
        "u16" => AMQPValue::ShortUInt(unsigned?.try_into().ok()?),
        "i32" => AMQPValue::LongInt(signed?.try_into().ok()?),
        "u32" => AMQPValue::LongUInt(unsigned?.try_into().ok()?),
        "i64" => AMQPValue::LongLongInt(signed?),
        "f32" => AMQPValue::Float(f32::from_bits(unsigned?.try_into().ok()?)),
        "f64" => AMQPValue::Double(f64::from_bits(unsigned?)),
        "decimal" => AMQPValue::DecimalValue(DecimalValue {
            scale: it.get(0)?.as_u64()?.try_into().ok()?,
            value: it.get(1)?.as_u64()?.try_into().ok()?,
        }),
        "short" => AMQPValue::ShortString(ShortString::try_new(it.as_str()?).ok()?),
        "text" => text(it.as_str()?),
        "text64" => AMQPValue::LongString(bytes()?.into()),
        "array" => {
            let values: Option<Vec<AMQPValue>> = it.as_array()?.iter().map(from_json).collect();
            AMQPValue::FieldArray(FieldArray::from(values?))
        }
        "time" => AMQPValue::Timestamp(unsigned?),
        "table" => AMQPValue::FieldTable(table_from_json(it.as_object()?).ok()?),
        "bytes64" => AMQPValue::ByteArray(bytes()?.into()),
        "void" => AMQPValue::Void,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use slipring::StreamId;

    use super::*;

    fn record(previous: Previous, envelope: Option<Envelope>) -> Record {
        let identity = Identity { stream: StreamId::named("q/g"), position: 7, previous };
        Record { id: 6, body: vec![], kind: 3, attempts: 2, identity, tombstone: false, envelope }
    }

    fn route() -> Route {
        Route {
            exchange: String::new(),
            routing_key: "hello".into(),
            keep_routing_key: true,
            declare: None,
            content_type: "application/octet-stream".into(),
        }
    }

    #[test]
    fn an_identity_comes_back() {
        for previous in [Previous::None, Previous::At(6), Previous::Unknown] {
            let record = record(previous, None);
            let sent = of_record(&record, &route()).unwrap();
            let found = identity(&sent.properties).unwrap();
            assert_eq!((&found, found.stream.label()), (&record.identity, "q/g".to_owned()));
            assert_eq!(kind(&sent.properties, header::KIND), 3);
            assert_eq!(*sent.properties.delivery_mode(), Some(2));
            assert!(!is_tombstone(&sent.properties));
        }
        let tombstone = Record { tombstone: true, ..record(Previous::None, None) };
        assert!(is_tombstone(&of_record(&tombstone, &route()).unwrap().properties));
    }

    #[test]
    fn an_envelope_loses_nothing() {
        let mut inner = FieldTable::default();
        inner.insert("deep".into(), AMQPValue::Void);
        let values = [
            AMQPValue::Boolean(true),
            AMQPValue::ShortShortInt(-1),
            AMQPValue::ShortShortUInt(255),
            AMQPValue::ShortInt(-300),
            AMQPValue::ShortUInt(65_535),
            AMQPValue::LongInt(-70_000),
            AMQPValue::LongUInt(u32::MAX),
            AMQPValue::LongLongInt(i64::MIN),
            AMQPValue::Float(f32::INFINITY),
            AMQPValue::Double(0.1),
            AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 314 }),
            AMQPValue::LongString("text".into()),
            AMQPValue::LongString(vec![0xff, 0, 1].into()),
            AMQPValue::FieldArray(vec![AMQPValue::LongInt(1), AMQPValue::Void].into()),
            AMQPValue::Timestamp(u64::MAX),
            AMQPValue::FieldTable(inner),
            AMQPValue::ByteArray(vec![1, 2, 255].into()),
            AMQPValue::Void,
        ];
        let mut headers = FieldTable::default();
        for (index, value) in values.into_iter().enumerate() {
            headers.insert(format!("h{index}").into(), value);
        }
        let mut delivery = Delivery::mock(1, "ex".into(), "key".into(), true, vec![]);
        delivery.properties = BasicProperties::default()
            .with_content_type("text/plain".into())
            .with_priority(9)
            .with_delivery_mode(1)
            .with_timestamp(5)
            .with_type("t".into())
            .with_reply_to("r".into())
            .with_headers(headers.clone());
        let packed = to_envelope(&delivery, "hello").pack(b"body").unwrap();
        let (envelope, body) = Envelope::unpack(&packed).unwrap();
        assert_eq!((body, envelope.from.as_str()), (&b"body"[..], "hello"));
        let (properties, found) = from_envelope(&envelope).unwrap();
        assert_eq!(found, headers);
        assert_eq!(properties.with_headers(headers), delivery.properties);
        let sent = of_record(&record(Previous::None, Some(envelope)), &route()).unwrap();
        assert_eq!(sent.routing_key.as_str(), "key");
        assert_eq!(*sent.properties.delivery_mode(), Some(1));
    }
}
