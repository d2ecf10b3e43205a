//! The figures over HTTP, for Prometheus and for people with curl.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::failure::Failure;
use crate::metrics::{self, Metrics};

/// A client that is slower keeps the next one waiting no longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between attempts to accept a client, after one that failed.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest request line.
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

fn answer(mut stream: &TcpStream, bridges: &[Arc<Metrics>]) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = BufReader::new(stream.take(LONGEST));
    let mut line = String::new();
    request.read_line(&mut line)?;
    // The rest of the request is read, else the close would reset the connection before the answer is there.
    let mut rest = String::new();
    while request.read_line(&mut rest)? > 2 {
        rest.clear();
    }
    let (status, body) = match line.split(' ').nth(1) {
        Some("/metrics" | "/") => ("200 OK", metrics::text(bridges.iter().map(Arc::as_ref))),
        _ => ("404 Not Found", "see /metrics\n".to_owned()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_what_is_asked_and_survives_nonsense() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        serve(free, vec![Arc::new(Metrics::new("a".into(), "out"))]).unwrap();
        let ask = |request: &str| {
            let mut stream = TcpStream::connect(free).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        drop(TcpStream::connect(free).unwrap());
        let answer = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("slipring_bridge_up{"));
        assert!(ask("GET /other HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(serve(free, vec![]).unwrap_err().text.contains("cannot listen"));
    }
}
