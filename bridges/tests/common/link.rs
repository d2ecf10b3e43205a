//! A link on loopback that fails on demand: it forwards TCP connections to the broker.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How the link treats what it forwards.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    /// Waits this long before it forwards what it has read.
    delay: Duration,
    /// Bytes a second in each direction; no limit if 0.
    rate: u32,
    /// No new connections: they are closed at once.
    refuses: bool,
}

#[derive(Debug, Default)]
struct State {
    manner: Manner,
    connections: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    ends: [TcpStream; 2],
    /// Half-open: nothing is forwarded any more, and neither end is told.
    frozen: Arc<Mutex<bool>>,
}

/// A link to one address.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

impl Link {
    pub(crate) fn to(target: &str) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, target) = (Arc::clone(&state), target.to_owned());
        // It ends with the process.
        thread::spawn(move || {
            for client in listener.incoming() {
                accept(client.unwrap(), &target, &shared);
            }
        });
        Link { address, state }
    }

    /// Forwards as fast as it can from now on.
    pub(crate) fn open(&self) {
        self.state.lock().unwrap().manner = Manner::default();
    }

    /// Closes all connections. New ones work.
    pub(crate) fn cut(&self) {
        for connection in self.state.lock().unwrap().connections.drain(..) {
            for end in connection.ends {
                let _ = end.shutdown(Shutdown::Both);
            }
        }
    }

    /// Closes all connections and refuses new ones, until it is opened.
    pub(crate) fn refuse(&self) {
        self.state.lock().unwrap().manner.refuses = true;
        self.cut();
    }

    /// The connections that there are become half-open: they stay, and nothing passes. New ones work.
    pub(crate) fn freeze(&self) {
        for connection in &self.state.lock().unwrap().connections {
            *connection.frozen.lock().unwrap() = true;
        }
    }

    /// Slow until it is opened.
    pub(crate) fn slow(&self, delay: Duration, rate: u32) {
        self.state.lock().unwrap().manner = Manner { delay, rate, refuses: false };
    }
}

fn accept(client: TcpStream, target: &str, state: &Arc<Mutex<State>>) {
    let mut held = state.lock().unwrap();
    if held.manner.refuses {
        return;
    }
    // A broker that is down is a connection that is closed at once.
    let Ok(server) = TcpStream::connect(target) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let frozen = Arc::new(Mutex::new(false));
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let (frozen, state) = (Arc::clone(&frozen), Arc::clone(state));
        thread::spawn(move || forward(from, to, &frozen, &state));
    }
    held.connections.push(Connection { ends: [client, server], frozen });
}

fn forward(mut from: TcpStream, mut to: TcpStream, frozen: &Mutex<bool>, state: &Mutex<State>) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).unwrap_or(0);
        // The end, too: of a half-open connection no news passes.
        while *frozen.lock().unwrap() {
            thread::sleep(Duration::from_millis(50));
        }
        if length == 0 {
            break;
        }
        let manner = state.lock().unwrap().manner;
        let mut pause = manner.delay;
        if manner.rate > 0 {
            pause += Duration::from_secs_f64(length as f64 / f64::from(manner.rate));
        }
        thread::sleep(pause);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
