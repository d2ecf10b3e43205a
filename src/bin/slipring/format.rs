//! How messages are printed.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::args::FormArgs;

/// One of the three forms.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Lines,
    Raw,
    Json,
}

/// What is known about a message beside its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) sequence: u64,
    pub(crate) kind: u32,
    /// Deliveries to the group; `None` for a mere look.
    pub(crate) attempts: Option<u8>,
}

impl From<FormArgs> for Form {
    fn from(args: FormArgs) -> Form {
        match args {
            FormArgs { json: true, .. } => Form::Json,
            FormArgs { raw: true, .. } => Form::Raw,
            FormArgs { .. } => Form::Lines,
        }
    }
}

impl Form {
    /// Appends one message.
    pub(crate) fn append(self, out: &mut Vec<u8>, facts: Facts, payload: &[u8]) {
        match self {
            Form::Raw => out.extend_from_slice(payload),
            Form::Lines => {
                out.extend_from_slice(payload);
                out.push(b'\n');
            }
            Form::Json => append_json(out, facts, payload),
        }
    }
}

// Writing to a Vec does not fail.
fn append_json(out: &mut Vec<u8>, facts: Facts, payload: &[u8]) {
    let Facts { sequence, kind, attempts } = facts;
    let _ = write!(out, "{{\"sequence\":{sequence},\"kind\":{kind}");
    if let Some(attempts) = attempts {
        let _ = write!(out, ",\"attempts\":{attempts}");
    }
    append_payload(out, payload);
    out.extend_from_slice(b"}\n");
}

/// Appends the payload as a JSON object's last member.
pub(crate) fn append_payload(out: &mut Vec<u8>, payload: &[u8]) {
    match str::from_utf8(payload) {
        Ok(text) => {
            out.extend_from_slice(b",\"payload\":");
            let _ = serde_json::to_writer(&mut *out, text);
        }
        Err(_) => {
            let _ = write!(out, ",\"payload_base64\":\"{}\"", STANDARD.encode(payload));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(payload: &[u8]) -> serde_json::Value {
        let mut out = Vec::new();
        let facts = Facts { sequence: 7, kind: 9, attempts: Some(2) };
        Form::Json.append(&mut out, facts, payload);
        assert_eq!(out.pop(), Some(b'\n'));
        serde_json::from_slice(&out).unwrap()
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
