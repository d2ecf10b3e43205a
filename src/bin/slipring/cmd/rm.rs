//! `slipring rm`

use slipring::RemoveError;

use crate::args::RemoveArgs;
use crate::failure::Failure;

pub(crate) fn run(args: &RemoveArgs) -> Result<(), Failure> {
    slipring::remove(&args.name, args.force).map_err(|fault| {
        let name = &args.name;
        let hint = match fault {
            RemoveError::Busy { .. } => format!(
                "slipring rm {name} --force  (they keep their memory, and find the queue gone)"
            ),
            RemoveError::Unreadable { .. } => format!("slipring rm {name} --force"),
            RemoveError::NotFound { .. } => "slipring ls  (lists those that there are)".to_owned(),
            fault => return fault.into(),
        };
        Failure::from(fault).hint(hint)
    })
}
