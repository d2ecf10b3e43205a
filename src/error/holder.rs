use std::fmt;

/// Pids as they were recorded, each as its process has it in its own pid namespace, for people to read. One that is
/// not known is shown as "unknown".
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pids(pub(crate) Vec<Option<u32>>);

impl Pids {
    /// The pids in the order of their records; `None` where one is not known.
    pub fn as_slice(&self) -> &[Option<u32>] {
        &self.0
    }
}

impl fmt::Display for Pids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, pid) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            match pid {
                None => write!(f, "{comma}unknown")?,
                Some(pid) => write!(f, "{comma}{pid}")?,
            }
        }
        Ok(())
    }
}

/// A process that holds something, by the pid that it recorded, if that is known. It may be of another pid namespace.
pub(super) struct Holder(pub(super) Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("whose pid is not known"),
            Some(pid) => write!(f, "recorded as {pid}"),
        }
    }
}

/// A pid as a segment has it, where 0 stands for none.
pub(crate) fn known_pid(word: u64) -> Option<u32> {
    Some(word as u32).filter(|pid| *pid != 0)
}
