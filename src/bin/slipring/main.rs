//! The `slipring` program.
fn main() {}
