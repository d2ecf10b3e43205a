//! The figures over HTTP, for Prometheus and for people with curl.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::metrics::{self, Metrics};

/// A client whose request and answer take longer is let go. Meanwhile others wait.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between attempts to accept a client, after one that failed.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest request.
const LONGEST: u64 = 8192;

/// Answers in a thread of its own until the program ends.
pub(crate) fn serve(address: SocketAddr, bridges: Vec<Arc<Metrics>>) -> Result<(), Failure> {
    let failed = |fault: io::Error| Failure::failed(format!("cannot listen on {address}: {fault}"));
    let listener = TcpListener::bind(address).map_err(failed)?;
    let answer_all = move || {
        for stream in listener.incoming() {
            match stream {
                // A client that goes away is no fault of the bridge.
                Ok(stream) => drop(answer(&stream, &bridges)),
                // Too many open files, perhaps: a loop without a pause would not mend that.
                Err(_) => thread::sleep(PAUSE),
            }
        }
    };
    let started = thread::Builder::new().name("metrics".to_owned()).spawn(answer_all);
    started.map(|_| ()).map_err(failed)
}

fn answer(stream: &TcpStream, bridges: &[Arc<Metrics>]) -> io::Result<()> {
    let mut client = UntilDeadline { stream, deadline: Instant::now() + PATIENCE };
    let mut request = BufReader::new(Read::by_ref(&mut client).take(LONGEST));
    let mut line = String::new();
    request.read_line(&mut line)?;
    // The rest of the request is read, else the close would reset the connection before the answer is there.
    let mut rest = String::new();
    while request.read_line(&mut rest)? > 2 {
        rest.clear();
    }
    let (status, body) = match line.split_ascii_whitespace().nth(1) {
        Some("/metrics" | "/") => ("200 OK", metrics::text(bridges.iter().map(Arc::as_ref))),
        _ => ("404 Not Found", "see /metrics\n".to_owned()),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    client.write_all(answer.as_bytes())
}

/// Reads and writes until a point in time: a timeout alone would start anew at each byte.
struct UntilDeadline<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
}

impl UntilDeadline<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for UntilDeadline<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(bytes)
    }
}

impl Write for UntilDeadline<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served() -> SocketAddr {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        serve(free, vec![Arc::new(Metrics::new("a".into(), "out"))]).unwrap();
        free
    }

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn it_answers_what_is_asked_and_survives_nonsense() {
        let address = served();
        drop(TcpStream::connect(address).unwrap());
        let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("slipring_bridge_up{"));
        assert!(ask(address, "GET /other HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(serve(address, vec![]).unwrap_err().text.contains("cannot listen"));
    }

    #[test]
    fn a_client_that_sends_byte_by_byte_is_let_go_and_the_next_one_answered() {
        let address = served();
        let mut slow = TcpStream::connect(address).unwrap();
        slow.write_all(b"G").unwrap();
        let (answered, is_answered) = std::sync::mpsc::channel::<()>();
        let sender = thread::spawn(move || {
            while is_answered.try_recv().is_err() && slow.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        });
        let answer = ask(address, "GET / HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200"));
        let _ = answered.send(());
        sender.join().unwrap();
    }
}
