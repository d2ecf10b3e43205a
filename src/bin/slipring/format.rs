//! How messages are printed.

use crate::args::FormArgs;
use crate::json::{self, Message};

/// One of the three forms.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Lines,
    Raw,
    Json,
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
    pub(crate) fn append(self, out: &mut Vec<u8>, message: &Message<'_>) {
        match self {
            Form::Raw => out.extend_from_slice(message.payload.0),
            Form::Lines => {
                out.extend_from_slice(message.payload.0);
                out.push(b'\n');
            }
            Form::Json => json::append(out, message),
        }
    }
}
