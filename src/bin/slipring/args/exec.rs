//! Workers: `recv --exec`.

use std::time::Duration;

use clap::Args;

use super::values::command;
use super::{EXIT_CODES, WHOLE, interval, time};

/// What stands below the help of `recv`.
pub(super) fn help() -> String {
    format!("{EXIT_CODES}\n{WHOLE}\n\n{COMMAND}")
}

const COMMAND: &str = "\
The command of --exec has the message, without a newline, on its standard input, and SLIPRING_QUEUE,
SLIPRING_GROUP, SLIPRING_SEQUENCE, SLIPRING_ATTEMPTS and SLIPRING_KIND in its environment; of a message that
says where it comes from SLIPRING_STREAM and SLIPRING_POSITION, too. Its end decides what becomes of it:
  exit code 0          it is acked
  exit code 65         it is rejected (EX_DATAERR): it becomes a dead letter at once
  any other, a signal  it is tried again after --retry-delay, by whatever worker is ready then; when the group
                       allows no more attempts, it becomes a dead letter
In a group with messages in flight (slipring create --in-flight), a message is its worker's while its command
runs, for however long. A worker that is stopped, or hangs, loses its messages to others after the group's ack
timeout; what it does for them later is too late, and is told. So does a message that an operator takes back
(slipring group evict): its command is ended. In other groups a message stays with its job, which waits for
--retry-delay and takes no other meanwhile, and comes to others only when its worker ends.
No attempt is counted if the worker was told to stop, if what it writes to is gone or full, or if the system
refused to start the command. The worker tries to start it for a minute, or while others run, and then ends with
an error.
--count counts messages that were acked or became dead letters. --timeout counts only time in which no
command runs and no message waits for another try.
After Ctrl-C, SIGTERM or SIGHUP the worker takes no more, and ends when the running commands have ended; a
second signal ends it at once, unless it comes within half a second, as that of timeout(1) does. Each command
has a process group of its own, so a signal to the worker's group (Ctrl-C, kill -- -PGID) reaches the worker
alone, while one to all processes of a service or container reaches the commands, too. A command outlives a
worker that ends at once, or by SIGKILL: its message goes to another worker while it may still run. So make
commands idempotent.";

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// Run CMD with sh for each message instead of printing it, and ack the message if CMD succeeds; see below
    #[arg(
        long = "exec",
        value_name = "CMD",
        value_parser = command,
        conflicts_with_all = ["raw", "json", "batch"],
    )]
    pub(crate) command: Option<String>,
    /// Commands that --exec runs at once, 1 to 255; more than 1 needs --shared. In a group without messages in flight each
    /// counts as a consumer, of which a queue has at most 64 unless it was made with another --max-consumers
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        requires = "command",
        value_parser = clap::value_parser!(u8).range(1..)
    )]
    pub(crate) jobs: u8,
    /// Time until --exec tries a message again, in seconds, or e.g. 500ms; doubled with each attempt, at most an hour
    #[arg(long, value_name = "TIME", default_value = "1", requires = "command", value_parser = time)]
    pub(crate) retry_delay: Duration,
    /// End a command of --exec that runs for longer, by SIGTERM, and by SIGKILL 5 s later: it has failed then, whatever its
    /// exit code. 0.01 s to 24h [default: no limit]
    #[arg(long, value_name = "TIME", requires = "command", value_parser = interval)]
    pub(crate) job_timeout: Option<Duration>,
    /// In a group with an ack timeout: ask for more time at this interval while a command of --exec runs, 0.01 s to half of
    /// the timeout [default: a third of the timeout]
    #[arg(long, value_name = "TIME", requires = "command", value_parser = interval)]
    pub(crate) extend_every: Option<Duration>,
}
