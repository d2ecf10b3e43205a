//! `slipring demo`
use crate::args::{DemoArgs, DemoRoleArgs};
use crate::failure::Failure;
pub(crate) fn run(_: &DemoArgs) -> Result<(), Failure> {
    Ok(())
}
pub(crate) fn run_role(_: &DemoRoleArgs) -> Result<(), Failure> {
    Ok(())
}
