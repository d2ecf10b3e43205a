//! What the thread of a connection and the rest of the program tell each other.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::fault::Fault;
use crate::stop::Stop;

/// How long connecting may take, with the handshake and all declarations.
const OPEN: Duration = Duration::from_secs(15);
/// How often a wait looks whether a stop was asked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the end of a connection in order may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// What the thread tells. `T` is what it has of messages.
#[derive(Debug)]
pub(super) struct State<T> {
    open: bool,
    ended: bool,
    fault: Option<Fault>,
    pub(super) blocked: Option<String>,
    pub(super) news: Vec<T>,
}

/// The side of the thread.
#[derive(Debug)]
pub(super) struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and tells.
    pub(super) fn update(&self, change: impl FnOnce(&mut State<T>)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    pub(super) fn opened(&self) {
        self.update(|state| state.open = true);
    }
}

/// A connection with its thread. It ends when this is dropped.
pub(super) struct Session<C, T> {
    commands: Option<UnboundedSender<C>>,
    shared: Arc<Shared<T>>,
    /// Once this is gone the thread ends, whatever it waits for.
    _alive: oneshot::Sender<()>,
}

impl<C, T> fmt::Debug for Session<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl<C: Send + 'static, T: Send + 'static> Session<C, T> {
    /// Starts the thread, and waits until `work` says that it is open. `work` ends when there will be no more commands.
    pub(super) fn open<F, W>(stop: &Stop, work: W) -> Result<Session<C, T>, Fault>
    where
        W: FnOnce(UnboundedReceiver<C>, Arc<Shared<T>>) -> F + Send + 'static,
        F: Future<Output = Result<(), Fault>>,
    {
        let state =
            State { open: false, ended: false, fault: None, blocked: None, news: Vec::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let (commands, receiver) = unbounded_channel();
        let (alive, abandoned) = oneshot::channel();
        let of_thread = Arc::clone(&shared);
        let run = move || {
            let fault = drive(work(receiver, Arc::clone(&of_thread)), abandoned);
            of_thread.update(|state| {
                state.ended = true;
                state.fault = fault.err();
            });
        };
        let started = thread::Builder::new().name("rabbitmq".to_owned()).spawn(run);
        started.map_err(|fault| Fault::rebuild(format!("cannot start a thread: {fault}")))?;
        let session = Session { commands: Some(commands), shared, _alive: alive };
        session.wait_open(stop)?;
        Ok(session)
    }

    fn wait_open(&self, stop: &Stop) -> Result<(), Fault> {
        let until = Instant::now() + OPEN;
        let mut state = self.shared.lock();
        loop {
            if state.ended {
                return Err(state.fault.take().unwrap_or_else(gone));
            }
            if state.open {
                return Ok(());
            }
            if stop.is_asked() {
                return Err(Fault::rebuild("told to stop"));
            }
            if Instant::now() >= until {
                let seconds = OPEN.as_secs();
                return Err(Fault::rebuild(format!("the broker did not answer for {seconds} s")));
            }
            let waited = self.shared.changed.wait_timeout(state, LOOK_EVERY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives the thread something to do.
    pub(super) fn send(&self, command: C) -> Result<(), Fault> {
        let sent = self.commands.as_ref().map(|commands| commands.send(command));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(self.fault()),
        }
    }

    /// Why it ended. Its thread is about to say so.
    fn fault(&self) -> Fault {
        let ((), ended) = self.wait_for(Instant::now() + LOOK_EVERY, |_| false, |_| ());
        ended.err().unwrap_or_else(gone)
    }

    /// Waits until there are news, the connection has ended, or it is `until`; `take` takes the news. What a broken connection
    /// has told before is taken with its fault.
    pub(super) fn wait<R>(
        &self,
        until: Instant,
        take: impl FnOnce(&mut State<T>) -> R,
    ) -> (R, Result<(), Fault>) {
        self.wait_for(until, |state| !state.news.is_empty(), take)
    }

    fn wait_for<R>(
        &self,
        until: Instant,
        is_ready: impl Fn(&State<T>) -> bool,
        take: impl FnOnce(&mut State<T>) -> R,
    ) -> (R, Result<(), Fault>) {
        let mut state = self.shared.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.ended || is_ready(&state) || left.is_zero() {
                let taken = take(&mut state);
                let outcome = match state.ended {
                    true => Err(state.fault.clone().unwrap_or_else(gone)),
                    false => Ok(()),
                };
                return (taken, outcome);
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends the connection after what it was told to do, or abandons it after some seconds.
    pub(super) fn close(mut self) {
        self.commands = None;
        let until = Instant::now() + GOODBYE;
        let mut state = self.shared.lock();
        while !state.ended && Instant::now() < until {
            let waited = self.shared.changed.wait_timeout(state, LOOK_EVERY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn gone() -> Fault {
    Fault::rebuild("the connection ended")
}

/// Runs a connection in this thread, until it ends or is abandoned: a broker that does not answer keeps no thread.
fn drive(
    work: impl Future<Output = Result<(), Fault>>,
    abandoned: oneshot::Receiver<()>,
) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|fault| Fault::rebuild(format!("cannot make a runtime: {fault}")))?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work => outcome,
            _ = abandoned => Err(gone()),
        }
    });
    // Does not wait for a name server that does not answer.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Tells when it is dropped: a thread has nothing left of its connection.
    struct Told(mpsc::Sender<()>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_broker_that_accepts_and_never_answers_keeps_no_thread() {
        let (told, ended) = mpsc::channel();
        let stop = Stop::default();
        let asks = stop.clone();
        let opened: Result<Session<(), ()>, Fault> = Session::open(&stop, move |_, _| async move {
            let _told = Told(told);
            asks.ask();
            std::future::pending().await
        });
        assert!(opened.unwrap_err().text.contains("told to stop"));
        ended.recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn a_connection_that_does_not_end_in_order_is_abandoned() {
        let (told, ended) = mpsc::channel();
        let session: Session<(), ()> =
            Session::open(&Stop::default(), move |mut commands, shared| async move {
                let _told = Told(told);
                shared.opened();
                while commands.recv().await.is_some() {}
                // The answer to the last frame never comes.
                std::future::pending().await
            })
            .unwrap();
        session.send(()).unwrap();
        session.close();
        ended.recv_timeout(PATIENCE).unwrap();
    }
}
