//! What /proc says about a process.

use std::fs;

/// A process at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// Stopped by a signal or by a debugger.
    pub(crate) stopped: bool,
    /// Its name, 15 bytes at most.
    pub(crate) command: String,
}

/// The process with this `pid`; `None` if there is none, or /proc does not show it.
pub(crate) fn look(pid: u32) -> Option<Process> {
    // Its name is any bytes.
    parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
}

/// A line of /proc/PID/stat: pid, name in brackets, state. The name may have brackets and spaces of its own.
fn parse(stat: &str) -> Option<Process> {
    let (name, rest) = stat.rsplit_once(')')?;
    let (_, name) = name.split_once('(')?;
    let state = rest.trim_start().chars().next()?;
    // T: stopped; t: stopped by a debugger.
    Some(Process { stopped: matches!(state, 'T' | 't'), command: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_hides_no_state() {
        let stopped = parse("12 (a) T (b) T 1 12 12").map(|p| (p.stopped, p.command));
        assert_eq!(stopped, Some((true, "a) T (b".to_owned())));
        assert_eq!(parse("12 (recv) S 1 12").map(|p| p.stopped), Some(false));
        assert_eq!(parse("12 (recv) t 1 12").map(|p| p.stopped), Some(true));
        assert_eq!((parse(""), parse("12 recv S")), (None, None));
    }

    #[test]
    fn this_process_is_seen_and_runs() {
        assert!(
            look(std::process::id()).is_some_and(|own| !own.stopped && !own.command.is_empty())
        );
    }
}
