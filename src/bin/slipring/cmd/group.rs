//! `slipring group add` and `slipring group rm`

use slipring::{Group, JoinError};

use super::open_existing;
use crate::args::{GroupAddArgs, GroupCommand, GroupRmArgs};
use crate::failure::Failure;

pub(crate) fn run(command: &GroupCommand) -> Result<(), Failure> {
    match command {
        GroupCommand::Add(args) => add(args),
        GroupCommand::Rm(args) => remove(args),
    }
}

fn add(args: &GroupAddArgs) -> Result<(), Failure> {
    let mut group = Group::named(&args.group).start(args.from).retention(args.retention.into());
    if args.shared {
        group = group.shared();
    }
    Ok(open_existing(&args.name)?.add_group(args.policy.apply(group))?)
}

fn remove(args: &GroupRmArgs) -> Result<(), Failure> {
    let queue = open_existing(&args.name)?;
    queue.remove_group(&args.group).map_err(|fault| {
        let missing = matches!(fault, JoinError::NoSuchGroup { .. });
        let failure = Failure::from(fault);
        if missing {
            failure.hint(format!("slipring groups {}  (lists those that there are)", args.name))
        } else {
            failure
        }
    })
}
