use thiserror::Error;

/// A name that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name:?} is not a {what} name: use 1 to {max} of the characters A-Z a-z 0-9 . _ -")]
pub struct NameError {
    pub(crate) name: String,
    pub(crate) what: &'static str,
    pub(crate) max: usize,
}

impl NameError {
    /// The name that was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Most bytes of a name.
    pub fn max_len(&self) -> usize {
        self.max
    }
}
