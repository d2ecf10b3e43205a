use thiserror::Error;

/// A name that is not one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name:?} is not a {what} name: use 1 to {max} of the characters A-Z a-z 0-9 . _ -")]
pub struct NameError {
    pub(crate) name: String,
    pub(crate) what: &'static str,
    pub(crate) max: usize,
}

impl NameError {
    /// What was given as a name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the longest name that is allowed.
    pub fn max_len(&self) -> usize {
        self.max
    }
}
