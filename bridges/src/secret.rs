//! Passwords and keys: in the environment or in files, never in arguments, which every process of the machine can read.

use std::path::Path;

use crate::failure::Failure;
use crate::options::Access;

/// The variable that has the password if none is named.
const VARIABLE: &str = "SLIPRING_BRIDGE_PASSWORD";

/// The password, if there is one.
pub(crate) fn password(access: Access<'_>) -> Result<Option<String>, Failure> {
    if let Some(path) = access.password_file {
        let bytes = read(path)?;
        let text = String::from_utf8(bytes).map_err(|_| {
            Failure::usage(format!("the password in {} is not UTF-8", path.display()))
        })?;
        return Ok(Some(text.strip_suffix('\n').unwrap_or(&text).to_owned()));
    }
    match access.password_env {
        Some(name) => std::env::var(name).map(Some).map_err(|_| {
            Failure::usage(format!("the environment has no variable {name:?} with the password"))
        }),
        None => Ok(std::env::var(VARIABLE).ok()),
    }
}

/// The contents of a file that an option names.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|fault| Failure::usage(format!("cannot read {}: {fault}", path.display())))
}
