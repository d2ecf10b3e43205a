//! Kills a process at each state of an operation that others can tell from the one before, and judges what is left.
//!
//! docs/reliability.md says what the program does and what that shows. `--help` lists the options.

#[cfg(target_arch = "x86_64")]
mod steps;

#[cfg(target_arch = "x86_64")]
fn main() -> std::process::ExitCode {
    steps::main()
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("nothing was done: this steps through instructions of x86-64 processors only");
}
