//! Dates of the certificates that options name, for `check`: a connection says no more than that one is not accepted.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use x509_parser::pem::Pem;

use crate::failure::Failure;
use crate::secret;

/// Less than this before the end a certificate is to be renewed.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

#[derive(Clone, Copy, Debug)]
struct Dates {
    begins: Timestamp,
    ends: Timestamp,
}

/// This side's certificate, the first in the file: must be valid now.
pub(crate) fn own(path: &Path) -> Result<String, Failure> {
    let now = Timestamp::now();
    let all = read(path)?;
    let first = all.first().copied().ok_or_else(|| none(path))?;
    match validity(first, now) {
        Ok(text) => Ok(text),
        Err(text) => Err(Failure::failed(format!("{}: {text}", path.display()))),
    }
}

/// Authorities: one must be valid now. Old ones may be in such a file, too.
pub(crate) fn authorities(path: &Path) -> Result<String, Failure> {
    let now = Timestamp::now();
    let all = read(path)?;
    let valid = all.iter().filter(|dates| validity(**dates, now).is_ok());
    let soonest = valid.clone().min_by_key(|dates| dates.ends);
    let (count, of) = (valid.count(), all.len());
    match (soonest, all.first()) {
        (Some(soonest), _) => {
            let text = validity(*soonest, now).unwrap_or_default();
            Ok(format!("{count} of {of} certificates are valid, the first that ends: {text}"))
        }
        (None, Some(first)) => {
            let text = validity(*first, now).err().unwrap_or_default();
            Err(Failure::failed(format!(
                "{}: none is valid now, the first: {text}",
                path.display()
            )))
        }
        (None, None) => Err(none(path)),
    }
}

/// The dates in words; an error if it is not valid now.
fn validity(Dates { begins, ends }: Dates, now: Timestamp) -> Result<String, String> {
    let days = (ends.duration_since(now).as_hours() / 24).abs();
    if begins > now {
        Err(format!("it is not valid before {begins}"))
    } else if ends < now {
        Err(format!("it expired at {ends}, {days} days ago"))
    } else if ends == Timestamp::MAX {
        Ok("valid, and does not end".to_owned())
    } else if ends.duration_since(now) < SOON {
        Ok(format!("valid until {ends}, which is in {days} days: renew it"))
    } else {
        Ok(format!("valid until {ends}"))
    }
}

fn none(path: &Path) -> Failure {
    Failure::usage(format!("{} has no certificate (PEM)", path.display()))
}

fn read(path: &Path) -> Result<Vec<Dates>, Failure> {
    let wrong = |what: String| Failure::usage(format!("{}: {what}", path.display()));
    let bytes = secret::read(path)?;
    let mut all = Vec::new();
    for block in Pem::iter_from_buffer(&bytes) {
        let block = block.map_err(|fault| wrong(fault.to_string()))?;
        if block.label != "CERTIFICATE" {
            continue;
        }
        let certificate = block.parse_x509().map_err(|fault| wrong(fault.to_string()))?;
        let validity = certificate.validity();
        let (begins, ends) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        all.push(Dates { begins: time(begins), ends: time(ends) });
    }
    Ok(all)
}

/// The end of a certificate that has none, 9999-12-31T23:59:59Z, is later than the latest timestamp.
fn time(seconds: i64) -> Timestamp {
    let nearest = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(seconds).unwrap_or(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_valid_between_its_dates() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let dates = Dates { begins: at("2026-01-01T00:00:00Z"), ends: at("2026-07-01T00:00:00Z") };
        let says = |now: &str| validity(dates, at(now));
        assert!(says("2025-12-31T00:00:00Z").unwrap_err().contains("not valid before 2026-01-01"));
        assert_eq!(says("2026-02-01T00:00:00Z").unwrap(), "valid until 2026-07-01T00:00:00Z");
        assert!(says("2026-06-21T00:00:00Z").unwrap().contains("in 10 days: renew it"));
        let late = says("2026-07-04T00:00:00Z").unwrap_err();
        assert!(late.contains("expired at 2026-07-01") && late.contains("3 days ago"), "{late}");
    }

    /// RFC 5280: a certificate without an end has 99991231235959Z as its end.
    #[test]
    fn a_certificate_without_an_end_is_valid() {
        const NO_END: i64 = 253_402_300_799;
        assert_eq!(time(0), Timestamp::UNIX_EPOCH);
        let dates = Dates { begins: time(0), ends: time(NO_END) };
        assert_eq!(validity(dates, Timestamp::now()).unwrap(), "valid, and does not end");
        let begins_never = Dates { begins: time(NO_END), ends: time(NO_END) };
        assert!(validity(begins_never, Timestamp::now()).is_err());
    }
}
