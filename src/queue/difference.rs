//! Where a queue that exists is not what was asked for.

use std::fmt;

/// What a queue that exists has otherwise than a [`Builder`](crate::Builder) asked for. To be printed with `{}`:
/// "its capacity is 64, not 4096".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    what: String,
    found: String,
    asked: String,
}

impl Difference {
    /// `None` if they are the same.
    pub(super) fn of<T: PartialEq + fmt::Display>(
        what: impl Into<String>,
        found: T,
        asked: Option<T>,
    ) -> Option<Difference> {
        let asked = asked.filter(|asked| *asked != found)?;
        let (found, asked) = (found.to_string(), asked.to_string());
        Some(Difference { what: what.into(), found, asked })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { what, found, asked } = self;
        write!(f, "its {what} is {found}, not {asked}")
    }
}
