//! What differs between an existing queue and what was asked for.

use std::fmt;

/// What differs between an existing queue and what a [`Builder`](crate::Builder) asked for. `{}` prints it as "its
/// capacity is 64, not 4096".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    text: String,
}

impl Difference {
    /// `None` if they are the same.
    pub(super) fn of<T: PartialEq + fmt::Display>(
        what: &str,
        found: T,
        asked: Option<T>,
    ) -> Option<Difference> {
        let asked = asked.filter(|asked| *asked != found)?;
        Some(Difference { text: format!("its {what} is {found}, not {asked}") })
    }

    pub(super) fn missing(what: &str) -> Difference {
        Difference { text: format!("it has no {what}") }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
