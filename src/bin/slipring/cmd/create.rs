//! `slipring create`

use slipring::{CreateError, Group};

use super::builder;
use crate::args::CreateArgs;
use crate::failure::Failure;

pub(crate) fn run(args: &CreateArgs) -> Result<(), Failure> {
    let mut builder = builder(&args.name, args.shape);
    for group in &args.groups {
        builder = builder.group(group.as_str());
    }
    for group in &args.shared {
        builder = builder.group(Group::named(group).shared());
    }
    match builder.create() {
        Ok(_) => Ok(()),
        Err(fault @ CreateError::Exists { .. }) => {
            let failure = Failure::from(fault);
            Err(failure
                .hint(format!("slipring inspect {}", args.name))
                .hint(format!("slipring rm {}", args.name)))
        }
        Err(fault) => Err(fault.into()),
    }
}
