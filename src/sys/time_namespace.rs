//! Time namespaces (time_namespaces(7)): in one, CLOCK_MONOTONIC has an offset from the host's.

use std::fs;
use std::io;

/// What CLOCK_MONOTONIC of this process has more than the host's, in nanoseconds; `None` if that cannot be known: without
/// /proc, or in a process whose children get another time namespace than its own.
///
/// # Errors
/// The kernel has no descriptor or no memory left, and may have some later.
pub(crate) fn monotonic_offset() -> io::Result<Option<i64>> {
    match fs::read_to_string("/proc/self/timens_offsets") {
        Ok(offsets) => Ok(is_own_of_children().and_then(|own| own.then(|| parse(&offsets))?)),
        // A kernel without time namespaces.
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            Ok(fs::exists("/proc/self/ns").is_ok_and(|there| there).then_some(0))
        }
        Err(fault) => match fault.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => Err(fault),
            _ => Ok(None),
        },
    }
}

/// Whether this process is in the time namespace that its children get, whose offsets the file tells.
fn is_own_of_children() -> Option<bool> {
    let link = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).ok();
    Some(link("time")? == link("time_for_children")?)
}

/// The line of CLOCK_MONOTONIC: its name, or its number in older kernels, then seconds, then nanoseconds.
fn parse(offsets: &str) -> Option<i64> {
    let fields = offsets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut lines = fields.filter(|fields| matches!(fields.first(), Some(&("monotonic" | "1"))));
    let line = lines.next()?;
    let [_, seconds, nanoseconds] = line.as_slice() else { return None };
    let seconds: i64 = seconds.parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_in_both_forms_of_the_file() {
        assert_eq!(parse("monotonic           0         0\nboottime  5 0\n"), Some(0));
        let shifted = "monotonic      100000       7\nboottime            0         0\n";
        assert_eq!(parse(shifted), Some(100_000_000_000_007));
        assert_eq!(parse("1 -2 500\n7 0 0\n"), Some(-1_999_999_500));
        for not in ["", "boottime 1 0\n", "monotonic 1\n", "monotonic x 0\n"] {
            assert_eq!(parse(not), None, "{not:?}");
        }
        assert_eq!(parse(&format!("monotonic {} 0", i64::MAX)), None);
    }
}
