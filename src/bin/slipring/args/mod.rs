//! What can be asked for on the command line: a file for each kind of command.

mod dead;
mod exec;
mod forward;
mod group;
mod metrics;
mod policy;
mod queue;
mod read;
mod send;
mod stats;
mod streams;
mod top;
mod values;
mod waiting;

use clap::Subcommand;

pub(crate) use dead::{DeadCommand, DeadListArgs, DeadShowArgs, DeadSomeArgs, LettersArgs};
pub(crate) use forward::ForwardArgs;
pub(crate) use group::{
    GroupAddArgs, GroupCommand, GroupEvictArgs, GroupListArgs, GroupRejectArgs, GroupRemoveArgs,
    GroupRetryArgs, GroupSetArgs,
};
pub(crate) use metrics::MetricsArgs;
pub(crate) use policy::{PolicyArgs, places_in};
pub(crate) use queue::{CreateArgs, InfoArgs, ListArgs, OpenArgs, RemoveArgs, Shape};
pub(crate) use read::{FormArgs, PeekArgs, RecvArgs, TailArgs};
pub(crate) use send::SendArgs;
pub(crate) use stats::StatsArgs;
pub(crate) use streams::{
    StreamForgetArgs, StreamListArgs, StreamPassArgs, StreamsArgs, StreamsCommand,
};
pub(crate) use top::{Sort, TopArgs};
pub(crate) use values::{interval, rate, time, time_within};
pub(crate) use waiting::{WaitArg, WakeArg};

pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done, or the queue is closed, 1 failed, 2 wrong usage, 3 timed out \
(--timeout), 4 no such queue or group; after Ctrl-C, SIGTERM or SIGHUP 130, 143 or 129, as in a shell.";

const FIGURES: &str = "depth: messages that a group has not acked. span: slots from the oldest of them up to the tail; \
in a shared group it may be more, because one message that a consumer holds keeps the slots after it. The producer \
waits when the span of a group is the capacity. For a queue, both are those of its worst group.";

const WHOLE: &str = "Into a pipe that others write to as well, a message of up to 4096 bytes (as it is \
printed) goes out whole; what others write may come into the middle of a longer one.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a queue
    Create(CreateArgs),
    /// Send lines (or records) as messages; waits while another process sends
    #[command(after_help = EXIT_CODES)]
    Send(SendArgs),
    /// Receive messages for a group, and ack each once it is written out
    #[command(after_help = exec::help())]
    Recv(RecvArgs),
    /// Send what a group receives on to another queue, each message once, whatever process is killed
    #[command(after_help = forward::help())]
    Forward(ForwardArgs),
    /// Print what waits for a group, and take nothing
    #[command(after_help = EXIT_CODES)]
    Peek(PeekArgs),
    /// Watch a queue as an observer, in no group; reports on stderr what it missed
    #[command(after_help = WHOLE)]
    Tail(TailArgs),
    /// List the queues of this machine
    #[command(after_help = FIGURES)]
    Ls(ListArgs),
    /// Show a queue's state
    #[command(alias = "inspect", after_help = FIGURES)]
    Info(InfoArgs),
    /// Show what queues and groups do: rates, delays, what holds them and what to do about it
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", stats::MEANING))]
    Stats(StatsArgs),
    /// Show what queues and groups do on a screen, with keys: `?` lists them
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", stats::MEANING))]
    Top(TopArgs),
    /// Serve the figures of queues and groups to Prometheus
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", metrics::HELP))]
    Metrics(MetricsArgs),
    /// List, add or remove groups
    #[command(subcommand)]
    Group(GroupCommand),
    /// As `group ls`
    #[command(hide = true)]
    Groups(GroupListArgs),
    /// List, show, purge or requeue dead letters: messages that a group has given up
    #[command(subcommand)]
    Dead(DeadCommand),
    /// List, forget or pass streams: where the messages of a queue with sources come from
    Streams(StreamsArgs),
    /// Remove a queue that no process uses, and whose groups have acked all messages
    Rm(RemoveArgs),
}
