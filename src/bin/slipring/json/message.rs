use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::Source;

/// A message of `recv`, `peek` and `tail`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Message<'a> {
    pub(crate) sequence: u64,
    pub(crate) kind: u32,
    /// Deliveries to the group; `None` for a mere look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attempts: Option<u8>,
    /// Where it comes from, if its sender said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Source>,
    #[serde(flatten)]
    pub(crate) payload: Payload<'a>,
}

/// A member `payload` if the bytes are text, else `payload_base64`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a>(pub(crate) &'a [u8]);

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match str::from_utf8(self.0) {
            Ok(text) => map.serialize_entry("payload", text)?,
            Err(_) => map.serialize_entry("payload_base64", &STANDARD.encode(self.0))?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(payload: &[u8]) -> serde_json::Value {
        let payload = Payload(payload);
        let message = Message { sequence: 7, kind: 9, attempts: Some(2), source: None, payload };
        serde_json::from_str(&crate::json::line(&message)).unwrap()
    }

    #[test]
    fn text_is_text_and_everything_else_is_base64() {
        let text = json("\"é\"\n".as_bytes());
        assert_eq!(text["payload"], "\"é\"\n");
        assert_eq!((&text["sequence"], &text["kind"]), (&7.into(), &9.into()));
        let bytes = json(&[0xff, 0]);
        assert_eq!(bytes["payload_base64"], "/wA=");
        assert!(bytes.get("payload").is_none());
    }
}
