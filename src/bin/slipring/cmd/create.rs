//! `slipring create`

use slipring::{CreateError, GeometryError};

use crate::args::CreateArgs;
use crate::failure::Failure;
use crate::queue::builder;

pub(crate) fn run(args: &CreateArgs) -> Result<(), Failure> {
    if args.groups.is_empty() && args.shared_groups.is_empty() && !args.policy.given().is_empty() {
        let flags = args.policy.given().join(" and ");
        return Err(Failure::usage(format!(
            "{flags}: no group is made; add --group or --shared-group"
        )));
    }
    args.policy.check(!args.shared_groups.is_empty(), "--shared-group").map_err(Failure::usage)?;
    let mut builder = builder(&args.name, args.shape).base_sequence(args.base);
    let places = args.shape.places_in_flight();
    let exclusive = args.groups.iter().map(|name| args.policy.exclusive(name));
    let shared = args.shared_groups.iter().map(|name| args.policy.shared(name, places));
    for group in exclusive.chain(shared) {
        builder = builder.group(group);
    }
    match builder.create() {
        Ok(_) => Ok(()),
        Err(fault @ CreateError::Exists { .. }) => {
            let failure = Failure::from(fault);
            Err(failure
                .hint(format!("slipring info {}", args.name))
                .hint(format!("slipring rm {}", args.name)))
        }
        Err(fault @ CreateError::Geometry { reason: GeometryError::Cells(_), .. }) => {
            Err(Failure::from(fault).hint(format!(
                "--in-flight N sets those of each --shared-group ({places} unless it says otherwise), --spare-cells N the others"
            )))
        }
        Err(fault) => Err(fault.into()),
    }
}
