//! What gungraun starts to count with; always of its own version.

fn main() {
    if let Err(error) = gungraun_runner::runner::run::run() {
        eprintln!("gungraun-runner: {error:?}");
        std::process::exit(1);
    }
}
