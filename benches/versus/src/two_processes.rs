//! Ours again, with the other end in a process of its own: this program, started with [`OtherEnd`].

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use clap::{Args, ValueEnum};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use slipring::{Consumer, Producer};

use crate::cpus::{Side, pin};
use crate::message::Msg;
use crate::pair::{Steps, nanoseconds_per_step};
use crate::peers::slipring::{
    Batch, Blocking, One, Temp, consumer, producer, receiving_batches, sending_slices,
};
use crate::transport::{NotRun, Put, Spin, Take};
use crate::works::asleep;
use crate::works::round_trip::{echo, ping};

/// What the other end is asked to do.
#[derive(Args)]
pub(crate) struct OtherEnd {
    #[arg(long, hide = true)]
    other_end: Option<Mode>,
    /// The queue that it receives from.
    #[arg(long, hide = true, default_value = "")]
    there: String,
    /// The queue that it answers in.
    #[arg(long, hide = true, default_value = "")]
    back: String,
    #[arg(long, hide = true, default_value_t = 0)]
    steps: u64,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Mode {
    Echo,
    /// The same between sleepers.
    Asleep,
    /// In an exclusive group, one by one.
    Stream,
    /// In a shared group, in batches.
    Batches,
    /// The same with slices and the calls that wait.
    WaitingSlices,
}

pub(crate) fn slice(mode: Mode, steps: Steps) -> Result<f64, NotRun> {
    let there = Temp::new(matches!(mode, Mode::Batches | Mode::WaitingSlices));
    let back = Temp::new(false);
    let mode_name = mode.to_possible_value().expect("every mode has a name");
    let mut command = Command::new("/proc/self/exe");
    command.args(["--other-end", mode_name.get_name(), "--there", there.name()]);
    command.args(["--back", back.name(), "--steps", &steps.timed.to_string()]);
    let mut child = spawn(command.stdin(Stdio::null())).map_err(NotRun::because)?;
    let (there, back) = (&there, &back);
    Ok(thread::scope(|scope| {
        let here = scope.spawn(move || {
            pin(Side::Here);
            match mode {
                Mode::Echo => {
                    let mut put = One::borrowed(there.producer::<Msg>(), Spin::for_round_trips());
                    let mut take = One::borrowed(back.consumer::<Msg>(), Spin::for_round_trips());
                    timed(steps, |from, n| ping(&mut put, &mut take, from, n))
                }
                Mode::Asleep => {
                    let spin = Spin::for_round_trips();
                    let mut put = Blocking(One::borrowed(there.producer(), spin)).asleep();
                    let mut take = Blocking(One::borrowed(back.consumer(), spin)).asleep();
                    asleep::ping(&mut put, &mut take, 0, steps.warm);
                    let time = asleep::ping(&mut put, &mut take, steps.warm, steps.timed);
                    time.as_secs_f64() * 1e9 / steps.timed as f64
                }
                Mode::Stream => streamed(
                    steps,
                    One::borrowed(there.producer::<Msg>(), Spin::for_streams()),
                    back,
                ),
                Mode::Batches => {
                    let put = Batch(One::borrowed(there.producer::<Msg>(), Spin::for_streams()));
                    streamed(steps, put, back)
                }
                Mode::WaitingSlices => streamed(steps, sending_slices(there.producer()), back),
            }
        });
        // Before the join: the end here would wait for one that failed for ever.
        let status = child.wait().expect("a child can be waited for");
        assert!(status.success(), "the other end failed: {status}");
        here.join().expect("a panic ends the process")
    }))
}

fn spawn(command: &mut Command) -> std::io::Result<std::process::Child> {
    // SAFETY: between fork and exec it makes one system call, and allocates nothing.
    #[allow(unsafe_code)]
    let command = unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
    command.spawn()
}

fn timed(steps: Steps, mut run: impl FnMut(u64, u64)) -> f64 {
    run(0, steps.warm);
    let start = Instant::now();
    run(steps.warm, steps.timed);
    nanoseconds_per_step(steps.timed, start, Instant::now())
}

/// The other end's word that it has everything is part of the time.
fn streamed(steps: Steps, mut put: impl Put, back: &Temp) -> f64 {
    let mut word = One::borrowed(back.consumer::<Msg>(), Spin::for_round_trips());
    timed(steps, |from, n| {
        put.put(from, n);
        word.take(from, 1);
    })
}

/// Runs in the other process, and says whether this is it.
pub(crate) fn other_end(asked: &OtherEnd) -> bool {
    let Some(mode) = asked.other_end else { return false };
    let Steps { warm, timed } = Steps::new(asked.steps);
    pin(Side::There);
    let patient = Spin::for_streams();
    let mut put: One<Producer<Msg>> = One::borrowed(producer(&asked.back), Spin::for_round_trips());
    let queue = |shared| -> Consumer<Msg> { consumer(&asked.there, shared) };
    match mode {
        Mode::Echo => {
            let mut take = One::borrowed(queue(false), Spin::for_round_trips());
            echo(&mut take, &mut put, 0, warm + timed);
        }
        Mode::Asleep => {
            let mut take = Blocking(One::borrowed(queue(false), patient)).asleep();
            echo(&mut take, &mut Blocking(put).asleep(), 0, warm + timed);
        }
        Mode::Stream => received([warm, timed], One::borrowed(queue(false), patient), put),
        Mode::Batches => received([warm, timed], Batch(One::borrowed(queue(true), patient)), put),
        Mode::WaitingSlices => received([warm, timed], receiving_batches(queue(true)), put),
    }
    true
}

fn received(parts: [u64; 2], mut take: impl Take, mut word: impl Put) {
    let mut from = 0;
    for n in parts {
        take.take(from, n);
        word.put(from, 1);
        from += n;
    }
}
