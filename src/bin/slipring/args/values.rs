//! Values of options: times, sizes, rates, and where a group starts.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::SignedDuration;
use slipring::Start;

/// The longest time that can be given.
const DAY: Duration = Duration::from_secs(86_400);
const PAYLOAD: RangeInclusive<u64> = 1..=1 << 24;

/// A time of up to a day.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    time_within(text, Duration::ZERO..=DAY)
}

/// A time between two samples.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    time_within(text, Duration::from_millis(10)..=DAY)
}

/// The time that a consumer has for a message; zero: for ever.
pub(super) fn ack_timeout(text: &str) -> Result<Duration, String> {
    match time(text) {
        Ok(time) if !time.is_zero() && time < Duration::from_secs(1) => {
            Err("expected 1 s to 86400 s, or 0 for no timeout".to_owned())
        }
        parsed => parsed,
    }
}

/// A command for sh. Without a word in it, it would succeed.
pub(super) fn command(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(
            "a command is required: a blank one does nothing, and succeeds for every message"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// Seconds as a number, or a time with units.
pub(crate) fn time_within(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, String> {
    let time = match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => text.parse::<SignedDuration>().ok().and_then(|time| time.try_into().ok()),
    };
    time.filter(|time| range.contains(time)).ok_or_else(|| {
        let [least, most] = [range.start(), range.end()].map(|time| time.as_secs_f64());
        format!("expected seconds, or a time such as 500ms, 30s or 2m; {least} to {most} s")
    })
}

/// Bytes of a message, as a number or a size with a unit.
pub(crate) fn payload(text: &str) -> Result<u64, String> {
    let size = text.parse().ok().map(|ByteSize(size)| size);
    size.filter(|size| PAYLOAD.contains(size)).ok_or_else(|| {
        let most = PAYLOAD.end();
        format!("expected bytes, or a size such as 512KiB; 1 to {most} ({})", ByteSize(*most))
    })
}

/// Messages per second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1e9).contains(&rate) => Ok(rate),
        _ => Err("expected messages per second, 0.001 to 1000000000".to_owned()),
    }
}

/// The name of a stream whose positions are numbers of lines: NAME:seq.
pub(super) fn source(text: &str) -> Result<String, String> {
    match text.strip_suffix(":seq") {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err("expected a name for the input and \":seq\", such as numbers:seq".to_owned()),
    }
}

pub(super) fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode & !0o777 == 0 && mode & 0o600 == 0o600 => Ok(mode),
        _ => {
            Err("expected an octal number, 600 to 777, that lets the owner read and write"
                .to_owned())
        }
    }
}

pub(super) fn start(text: &str) -> Result<Start, String> {
    match text {
        "oldest" => Ok(Start::Oldest),
        "newest" => Ok(Start::Newest),
        number => number
            .parse()
            .map(Start::Sequence)
            .map_err(|_| "expected oldest, newest or a sequence number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_units() {
        let milliseconds = |text| time(text).map(|time| time.as_millis());
        let times = ["0", "0.5", "1e1", "500ms", "1.5s", "2m", "1h 30m", "24h"].map(milliseconds);
        let expected = [0, 500, 10_000, 500, 1_500, 120_000, 5_400_000, 86_400_000];
        assert_eq!(times, expected.map(Ok));
        for wrong in ["", "-1", "-1s", "soon", "nan", "inf", "86400.1", "25h", "1d", "1 s x"] {
            let error = time(wrong).unwrap_err();
            assert!(error.ends_with("500ms, 30s or 2m; 0 to 86400 s"), "{wrong}: {error}");
        }
        assert!(interval("9ms").is_err() && interval("10ms").is_ok());
    }

    #[test]
    fn sizes_are_bytes_or_have_units() {
        let sizes = ["1", "112", "4KiB", "4 kB", "0.5 MiB", "16MiB"].map(payload);
        assert_eq!(sizes, [1, 112, 4096, 4000, 1 << 19, 1 << 24].map(Ok));
        for wrong in ["", "0", "-1", "17MiB", "16777217", "big"] {
            let error = payload(wrong).unwrap_err();
            assert!(error.contains("1 to 16777216 (16.0 MiB)"), "{wrong}: {error}");
        }
    }
}
