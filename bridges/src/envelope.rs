//! A message with everything that it has at a broker, as the bytes of a queue's message: `SLE1`, the length of the header as 4
//! bytes (little-endian), the header as JSON, and the body.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const MAGIC: &[u8; 4] = b"SLE1";

/// What a message has at a broker besides its body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Envelope {
    /// The kind of broker, such as `rabbitmq`; empty if it came from none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) source: String,
    /// Where it came from: a queue of the broker, or a file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exchange: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) routing_key: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) redelivered: bool,
    /// As the broker names them.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) properties: Map<String, Value>,
    /// Each value is an object of one entry: its type, and the value.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) headers: Map<String, Value>,
}

impl Envelope {
    /// The bytes of a message.
    pub(crate) fn pack(&self, body: &[u8]) -> Result<Vec<u8>, String> {
        let header = serde_json::to_vec(self).map_err(|fault| fault.to_string())?;
        let length = u32::try_from(header.len()).map_err(|_| "its header is too long")?;
        let mut bytes = Vec::with_capacity(8 + header.len() + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(body);
        Ok(bytes)
    }

    /// The envelope and the body.
    pub(crate) fn unpack(bytes: &[u8]) -> Result<(Envelope, &[u8]), String> {
        let rest = bytes.strip_prefix(MAGIC).ok_or("it does not begin with SLE1")?;
        let (length, rest) = rest.split_first_chunk().ok_or("it ends within its length")?;
        let length = u32::from_le_bytes(*length) as usize;
        let (header, body) = rest.split_at_checked(length).ok_or("it ends within its header")?;
        let envelope = serde_json::from_slice(header)
            .map_err(|fault| format!("its header is not what it should be: {fault}"))?;
        Ok((envelope, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let mut envelope = Envelope {
            source: "rabbitmq".into(),
            from: "hello".into(),
            exchange: Some(String::new()),
            routing_key: Some("hello".into()),
            redelivered: true,
            ..Envelope::default()
        };
        envelope.headers.insert("n".into(), serde_json::json!({"long": -5}));
        for body in [&b""[..], b"body", &[0, 255, 10]] {
            let bytes = envelope.pack(body).unwrap();
            assert_eq!(Envelope::unpack(&bytes).unwrap(), (envelope.clone(), body));
        }
    }

    #[test]
    fn other_bytes_are_refused_with_the_reason() {
        let fault = |bytes: &[u8]| Envelope::unpack(bytes).unwrap_err();
        assert!(fault(b"plain").contains("SLE1"));
        assert!(fault(b"SLE1\x01").contains("length"));
        assert!(fault(b"SLE1\x05\0\0\0{}").contains("within its header"));
        assert!(fault(b"SLE1\x02\0\0\0{]x").contains("header"));
        assert!(fault(b"SLE1\x0b\0\0\0{\"other\":1}").contains("other"));
    }
}
