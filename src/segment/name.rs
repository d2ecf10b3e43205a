use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::NameError;
use crate::layout::config::QUEUE_NAME_MAX;

/// Where Linux keeps POSIX shared memory objects (shm_overview(7)).
const SHM_DIR: &str = "/dev/shm";
const PREFIX: &str = "slipring.";
/// Objects that are being made; no queue's name begins like this.
const TEMPORARY: &str = "slipring-new.";

/// A name that a queue may have. Shared: every error about the queue has it, and allocates nothing for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueName(Arc<str>);

/// Checks a name for the allowed characters and length.
pub(crate) fn check_name(name: &str, what: &'static str, max: usize) -> Result<(), NameError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if (1..=max).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(NameError { name: name.to_owned(), what, max })
    }
}

impl QueueName {
    pub(crate) fn new(name: &str) -> Result<QueueName, NameError> {
        check_name(name, "queue", QUEUE_NAME_MAX)?;
        Ok(QueueName(name.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// For an error.
    pub(crate) fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// Whether there is an object of that name, of whatever kind.
    pub(crate) fn exists(&self) -> bool {
        shm_path(&self.object()).exists()
    }

    /// Name of the shared memory object.
    pub(crate) fn object(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }
}

impl From<QueueName> for String {
    fn from(name: QueueName) -> String {
        name.0.as_ref().to_owned()
    }
}

/// The file of a shared memory object.
pub(crate) fn shm_path(object: &str) -> PathBuf {
    PathBuf::from(SHM_DIR).join(object)
}

/// The directory of all shared memory objects.
pub(crate) fn shm_dir() -> PathBuf {
    PathBuf::from(SHM_DIR)
}

/// A name for an object that is being made.
pub(crate) fn temporary(random: u64) -> String {
    format!("{TEMPORARY}{random:016x}")
}

fn objects(prefix: &str) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(SHM_DIR)? {
        if let Ok(name) = entry?.file_name().into_string()
            && name.starts_with(prefix)
        {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// Objects that are being made, or were left by a creator that died.
pub(crate) fn temporaries() -> io::Result<Vec<String>> {
    objects(TEMPORARY)
}

/// Names of all queues on this machine, sorted.
pub(crate) fn list_names() -> io::Result<Vec<String>> {
    let names = objects(PREFIX)?;
    let name = |object: String| QueueName::new(&object[PREFIX.len()..]).ok().map(String::from);
    Ok(names.into_iter().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_their_characters_and_length() {
        for good in ["a", "A-b_c.9", &"x".repeat(200)] {
            assert!(QueueName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b", "ä", "a b", "..\0", &"x".repeat(201)] {
            assert!(QueueName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_queue_is_taken_for_a_temporary() {
        assert!(!QueueName::new("new.0").unwrap().object().starts_with(TEMPORARY));
    }
}
