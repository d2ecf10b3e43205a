use std::fmt;

/// Pids as they were recorded, each as its process has it in its own pid namespace, for people to read; 0 is shown as
/// "unknown".
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pids(pub(crate) Vec<u32>);

impl Pids {
    /// The pids in the order of their records. A pid of 0 is not known.
    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }
}

impl fmt::Display for Pids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, pid) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            match pid {
                0 => write!(f, "{comma}unknown")?,
                pid => write!(f, "{comma}{pid}")?,
            }
        }
        Ok(())
    }
}

/// A process that holds something, by the pid that it recorded, which may be of another pid namespace; 0 if that is not
/// known.
pub(super) struct Holder(pub(super) u32);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("whose pid is not known"),
            pid => write!(f, "recorded as {pid}"),
        }
    }
}
