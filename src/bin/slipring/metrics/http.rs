//! As much of HTTP/1.1 as Prometheus and curl need: one request for each connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::Form;
use crate::failure::Failure;

/// A client whose request takes longer is let go. Meanwhile others wait.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest request.
const LONGEST: u64 = 16 * 1024;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Page { form: Form, body: bool },
    Other(&'static str),
}

/// Answers one request with a page in the form that it accepts. A client that goes away is no fault of ours.
pub(super) fn answer(stream: &TcpStream, page: impl FnOnce(Form) -> Result<String, Failure>) {
    let _ = try_answer(stream, page);
}

fn try_answer(
    mut stream: &TcpStream,
    page: impl FnOnce(Form) -> Result<String, Failure>,
) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = UntilDeadline { stream, deadline: Instant::now() + PATIENCE };
    let (status, kind, text, body) = match parse(&mut BufReader::new(request.take(LONGEST)))? {
        Request::Other(status) => (status, Form::Text, "see /metrics\n".to_owned(), true),
        Request::Page { form, body } => match page(form) {
            Ok(text) => ("200 OK", form, text, body),
            Err(_) => {
                let text = "the queues could not be read\n".to_owned();
                ("500 Internal Server Error", Form::Text, text, body)
            }
        },
    };
    let (kind, length) = (kind.content_type(), text.len());
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    if body {
        stream.write_all(text.as_bytes())?;
    }
    stream.flush()
}

/// Reads until a point in time: a timeout alone would start anew at each byte.
struct UntilDeadline<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
}

impl Read for UntilDeadline<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(bytes)
    }
}

/// Reads a request to its end: a close before that would reset the connection ahead of the answer.
fn parse(request: &mut impl BufRead) -> io::Result<Request> {
    let mut line = String::new();
    request.read_line(&mut line)?;
    let mut words = line.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let path = target.split('?').next().unwrap_or("");
    let asked = match (method, path) {
        ("GET" | "HEAD", "/" | "/metrics") => Ok(method == "GET"),
        ("GET" | "HEAD", _) => Err("404 Not Found"),
        ("", _) => Err("400 Bad Request"),
        _ => Err("405 Method Not Allowed"),
    };
    let mut form = Form::Text;
    loop {
        let mut header = String::new();
        if request.read_line(&mut header)? == 0 || header.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("accept")
            && value.contains("application/openmetrics-text")
        {
            form = Form::OpenMetrics;
        }
    }
    Ok(match asked {
        Ok(body) => Request::Page { form, body },
        Err(status) => Request::Other(status),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(request: &str) -> Request {
        parse(&mut request.as_bytes()).unwrap()
    }

    #[test]
    fn a_client_gets_the_form_that_it_accepts() {
        let (text, open) = (Form::Text, Form::OpenMetrics);
        assert_eq!(
            parsed("GET /metrics HTTP/1.1\r\n\r\n"),
            Request::Page { form: text, body: true }
        );
        assert_eq!(
            parsed(
                "HEAD / HTTP/1.1\r\naccept: application/openmetrics-text;version=1.0.0;q=0.6,*/*;q=0.1\r\n\r\n"
            ),
            Request::Page { form: open, body: false }
        );
        assert_eq!(
            parsed("GET /metrics?x=1 HTTP/1.1\r\nAccept: text/plain;version=0.0.4\r\n\r\n"),
            Request::Page { form: text, body: true }
        );
    }

    #[test]
    fn a_client_that_sends_byte_by_byte_is_let_go() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let deadline = Instant::now() + Duration::from_millis(200);
        let sender = std::thread::spawn(move || {
            while client.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let request = UntilDeadline { stream: &stream, deadline };
        assert!(parse(&mut BufReader::new(request.take(LONGEST))).is_err());
        assert!(Instant::now() >= deadline);
        drop(stream);
        sender.join().unwrap();
    }

    #[test]
    fn what_is_no_request_gets_an_error() {
        assert_eq!(parsed("GET /other HTTP/1.1\r\n\r\n"), Request::Other("404 Not Found"));
        assert_eq!(
            parsed("POST /metrics HTTP/1.1\r\n\r\n"),
            Request::Other("405 Method Not Allowed")
        );
        assert_eq!(parsed(""), Request::Other("400 Bad Request"));
        assert_eq!(parsed("\r\n"), Request::Other("400 Bad Request"));
    }
}
