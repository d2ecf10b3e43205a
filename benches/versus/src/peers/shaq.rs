//! shaq: queues in shared memory, one to one and many to many.

#![allow(unsafe_code)]

use std::fs::File;
use std::num::NonZeroUsize;
use std::sync::Arc;

use shaq::{mpmc, spsc};

use crate::leftovers::TempFile;
use crate::message::{BATCH, CAPACITY, Filled, InOrder, Msg, Tally};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};
use crate::works::compete::{Drain, Pool};
use crate::works::latency::{Poll, Polled};

/// One to one: `try_write` and `try_read`.
pub(crate) struct Spsc;

/// One to one: batches of 32.
pub(crate) struct SpscBatches;

/// Many to many: `try_write` and `try_read`.
pub(crate) struct Mpmc;

/// Many to many: batches of 32.
pub(crate) struct MpmcBatches;

struct End<E> {
    end: E,
    spin: Spin,
    _file: Arc<TempFile>,
}

struct Batch<E>(End<E>);

const MAX: NonZeroUsize = NonZeroUsize::new(BATCH).unwrap();

fn file() -> Result<(Arc<TempFile>, File), NotRun> {
    let temp = TempFile::new();
    let mut options = File::options();
    let file = options.read(true).write(true).create_new(true).open(temp.path());
    Ok((Arc::new(temp), file.map_err(NotRun::because)?))
}

type Ends<P, C> = (End<P>, End<C>);

fn spsc(spin: Spin) -> Result<Ends<spsc::Producer<Msg>, spsc::Consumer<Msg>>, NotRun> {
    let (temp, file) = file()?;
    let size = spsc::minimum_file_size::<Msg>(CAPACITY);
    // SAFETY: the file is new and used by this queue only, and any bytes are a valid message.
    let sender = unsafe { spsc::Producer::create(&file, size) }.map_err(NotRun::because)?;
    // SAFETY: the only consumer.
    let receiver = unsafe { sender.join_as_consumer() }.map_err(NotRun::because)?;
    Ok((End { end: sender, spin, _file: temp.clone() }, End { end: receiver, spin, _file: temp }))
}

fn mpmc(spin: Spin) -> Result<Ends<mpmc::Producer<Msg>, mpmc::Consumer<Msg>>, NotRun> {
    let (temp, file) = file()?;
    let size = mpmc::minimum_file_size::<Msg>(CAPACITY);
    // SAFETY: the file is new and used by this queue only, and any bytes are a valid message.
    let sender = unsafe { mpmc::Producer::create(&file, size) }.map_err(NotRun::because)?;
    let receiver = sender.join_as_consumer();
    Ok((End { end: sender, spin, _file: temp.clone() }, End { end: receiver, spin, _file: temp }))
}

impl Transport for Spsc {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (sender, receiver) = spsc(spin)?;
        Ok((move || sender, move || receiver))
    }
}

impl Transport for SpscBatches {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (sender, receiver) = spsc(spin)?;
        Ok((move || Batch(sender), move || Batch(receiver)))
    }
}

impl Transport for Mpmc {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (sender, receiver) = mpmc(spin)?;
        Ok((move || sender, move || receiver))
    }
}

impl Transport for MpmcBatches {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (sender, receiver) = mpmc(spin)?;
        Ok((move || Batch(sender), move || Batch(receiver)))
    }
}

impl Polled for Spsc {
    fn polled() -> Result<(impl Open<End: Put> + 'static, impl Open<End: Poll> + 'static), NotRun> {
        let (sender, receiver) = spsc(Spin::for_round_trips())?;
        Ok((move || sender, move || receiver))
    }
}

impl Poll for End<spsc::Consumer<Msg>> {
    #[inline]
    fn poll(&mut self, see: impl FnMut(u64)) {
        self.end.try_read().iter().map(Msg::number).for_each(see);
    }
}

impl Pool for Mpmc {
    fn pool() -> Result<(impl Open<End: Put>, [impl Open<End: Drain>; 2]), NotRun> {
        let (sender, members) = pool()?;
        Ok((move || sender, members.map(|member| move || member)))
    }
}

impl Pool for MpmcBatches {
    fn pool() -> Result<(impl Open<End: Put>, [impl Open<End: Drain>; 2]), NotRun> {
        let (sender, members) = pool()?;
        Ok((move || Batch(sender), members.map(|member| move || Batch(member))))
    }
}

type Members = [End<mpmc::Consumer<Msg>>; 2];

fn pool() -> Result<(End<mpmc::Producer<Msg>>, Members), NotRun> {
    let (sender, receiver) = mpmc(Spin::for_streams())?;
    let End { end, spin, _file } = &receiver;
    let other = End { end: end.clone(), spin: *spin, _file: _file.clone() };
    Ok((sender, [receiver, other]))
}

impl Put for End<spsc::Producer<Msg>> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            while self.end.try_write(Msg::new(i)).is_err() {
                self.spin.again();
            }
        }
    }
}

impl Put for End<mpmc::Producer<Msg>> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            while self.end.try_write(Msg::new(i)).is_err() {
                self.spin.again();
            }
        }
    }
}

impl Put for Batch<spsc::Producer<Msg>> {
    /// A batch is published when it is dropped.
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let Batch(End { end: sender, spin, .. }) = self;
        let (mut at, end) = (from, from + n);
        while at < end {
            let size = BATCH.min((end - at) as usize);
            let mut batch = sender.write_batch();
            let sent = (at..).take(size).take_while(|&i| batch.try_write(Msg::new(i)).is_ok());
            let sent = sent.count() as u64;
            drop(batch);
            at += sent;
            if sent == 0 {
                spin.again();
            }
        }
    }
}

impl Put for Batch<mpmc::Producer<Msg>> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let Batch(End { end: sender, spin, .. }) = self;
        let (mut at, end) = (from, from + n);
        let mut filled = Filled::new();
        while at < end {
            let batch = filled.next(at, end);
            while !sender.try_write_slice(batch) {
                spin.again();
            }
            at += batch.len() as u64;
        }
    }
}

macro_rules! receivers {
    ($receiver:ty) => {
        impl Take for End<$receiver> {
            #[inline]
            fn take(&mut self, from: u64, n: u64) {
                let mut expected = InOrder::expect(from, n);
                while expected.left() > 0 {
                    match self.end.try_read() {
                        Some(msg) => expected.see(&msg),
                        None => self.spin.again(),
                    }
                }
            }
        }

        impl Take for Batch<$receiver> {
            #[inline]
            fn take(&mut self, from: u64, n: u64) {
                let Batch(End { end: receiver, spin, .. }) = self;
                let mut expected = InOrder::expect(from, n);
                while expected.left() > 0 {
                    match receiver.try_reserve_read_batch(MAX) {
                        Some(batch) => batch.iter().for_each(|msg| expected.see(msg)),
                        None => spin.again(),
                    }
                }
            }
        }
    };
}

receivers!(spsc::Consumer<Msg>);
receivers!(mpmc::Consumer<Msg>);

impl Drain for Batch<mpmc::Consumer<Msg>> {
    fn drain(&mut self) -> Tally {
        let mut tally = Tally::default();
        while let Some(batch) = self.0.end.try_reserve_read_batch(MAX) {
            batch.iter().for_each(|msg| tally.see(msg));
        }
        tally
    }
}

impl Drain for End<mpmc::Consumer<Msg>> {
    fn drain(&mut self) -> Tally {
        let mut tally = Tally::default();
        while let Some(msg) = self.end.try_read() {
            tally.see(&msg);
        }
        tally
    }
}
