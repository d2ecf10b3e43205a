use serde::Serialize;

/// What is printed on standard error when a command fails.
#[derive(Debug, Serialize)]
pub(crate) struct Failed<'a> {
    pub(crate) error: Error<'a>,
}

/// An error.
#[derive(Debug, Serialize)]
pub(crate) struct Error<'a> {
    /// Of the library's table of errors; what goes wrong in the program alone has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<u16>,
    pub(crate) name: &'a str,
    pub(crate) text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(crate) hints: &'a [String],
    /// The program's, if this ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exit_code: Option<u8>,
}

/// What is printed on standard error besides.
#[derive(Debug, Serialize)]
pub(crate) struct Note<'a> {
    pub(crate) note: &'a str,
}
