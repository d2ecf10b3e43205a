//! Values of options: the same on the command line, in the environment and in a file.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::ValueEnum;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};

/// The longest time that can be given.
const DAY: Duration = Duration::from_secs(86_400);

/// A time of up to a day: seconds as a number, or a time with units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Time, String> {
        let time = match text.parse() {
            Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Err(_) => text.parse::<SignedDuration>().ok().and_then(|time| time.try_into().ok()),
        };
        time.filter(|time| *time <= DAY).map(Time).ok_or_else(|| {
            "expected seconds, or a time such as 500ms, 30s or 2m; up to a day".to_owned()
        })
    }
}

/// Bytes, as a number or a size with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let size = text.parse().ok().and_then(|ByteSize(size)| usize::try_from(size).ok());
        size.filter(|size| *size > 0)
            .map(Size)
            .ok_or_else(|| "expected bytes, or a size such as 8MiB".to_owned())
    }
}

/// What a file may give for a value that is a text on the command line.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Whole(i64),
    Number(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Whole(number) => write!(f, "{number}"),
            Value::Number(number) => write!(f, "{number}"),
        }
    }
}

macro_rules! from_text {
    ($($type:ident),+) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                Value::deserialize(from)?.to_string().parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
from_text!(Time, Size);

/// What the messages of the local queue are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// The body alone
    #[default]
    Payload,
    /// The body with all that it has at the broker
    Envelope,
}

/// What to do with a message that can never be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Poison {
    /// Stop with exit code 6
    #[default]
    Stop,
    /// Make it a dead letter, and go on
    DeadLetter,
}

/// A queue to be made at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Declare {
    /// A durable classic queue
    Classic,
    /// A quorum queue
    Quorum,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_numbers_or_have_units() {
        let time = |text: &str| text.parse::<Time>().map(|Time(time)| time.as_millis());
        assert_eq!(["0.5", "500ms", "2m"].map(time), [Ok(500), Ok(500), Ok(120_000)]);
        assert!(time("-1").is_err() && time("25h").is_err() && time("soon").is_err());
        let size = |text: &str| text.parse::<Size>().map(|Size(size)| size);
        assert_eq!(["1", "4KiB", "8MiB"].map(size), [Ok(1), Ok(4096), Ok(8 << 20)]);
        assert!(size("0").is_err() && size("big").is_err());
    }

    #[test]
    fn a_file_may_have_numbers_for_them() {
        #[derive(Deserialize)]
        struct Both {
            time: Time,
            size: Size,
        }
        let both: Both = toml::from_str("time = 1.5\nsize = 4096").unwrap();
        assert_eq!((both.time.0.as_millis(), both.size.0), (1500, 4096));
        assert!(toml::from_str::<Both>("time = \"soon\"\nsize = 1").is_err());
    }
}
