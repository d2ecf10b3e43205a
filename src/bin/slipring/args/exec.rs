//! The worker: `recv --exec`.

use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::{EXIT_CODES, WHOLE, time};

/// What stands below the help of `recv`.
pub(super) fn help() -> String {
    format!("{EXIT_CODES}\n{WHOLE}\n\n{COMMAND}")
}

const COMMAND: &str = "\
The command of --exec has the message, without a newline, on its standard input and SLIPRING_QUEUE,
SLIPRING_GROUP, SLIPRING_SEQUENCE, SLIPRING_ATTEMPTS and SLIPRING_KIND in its environment. How it ends
decides:
  exit code 0   the message is done
  exit code 65  the message is bad (EX_DATAERR): it becomes a dead letter at once
  all others, and a signal: it is tried again after --retry-delay, by the same job, which takes nothing
                else meanwhile; when the group allows no more attempts, it becomes a dead letter
No attempt is counted if the worker was told to stop, if what it writes to is gone or full, or if the system
refused to start the command; that is tried again for a minute before the worker ends with an error.
--exec needs a group that exists: only with --create it makes one, which gets all messages there are.
--count counts messages that are done or dead letters. --timeout counts no time in which a command runs
or a message waits for another try.
After Ctrl-C or SIGTERM running commands may end; a second one ends the worker at once. A command
outlives a worker that ends at once, or by SIGKILL: its message then goes to another worker while it
may still run. So let the work be such that doing it twice does no harm.";

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// Run CMD with sh for each message instead of printing it, and ack it if that succeeds; see below
    #[arg(
        long = "exec",
        value_name = "CMD",
        value_parser = NonEmptyStringValueParser::new(),
        conflicts_with_all = ["raw", "json", "no_ack", "batch"],
    )]
    pub(crate) command: Option<String>,
    /// Commands that --exec runs at once, 1 to 255; more than 1 needs --shared. Each takes the place of a
    /// consumer, of which a queue has 64 unless it was made with more or fewer
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        requires = "command",
        value_parser = clap::value_parser!(u8).range(1..)
    )]
    pub(crate) jobs: u8,
    /// Time until --exec tries a message again; doubled with each attempt, at most an hour
    #[arg(long, value_name = "TIME", default_value = "1", requires = "command", value_parser = time)]
    pub(crate) retry_delay: Duration,
}
