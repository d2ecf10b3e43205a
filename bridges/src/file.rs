//! Lines of a file: a sink and a source that need no broker.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use slipring::StreamId;

use crate::envelope::Envelope;
use crate::fault::{Fault, Kind};
use crate::identity::{Identity, Previous};
use crate::sink::{Health, Outcome, Record, Sink};
use crate::source::{Arrival, Next, Settled, Source};
use crate::stop::Stop;

/// So much of the file's end is looked at in one piece.
const PIECE: u64 = 1 << 16;

fn rebuild(doing: &str, path: &Path, fault: &io::Error) -> Fault {
    let kind = match fault.kind() {
        io::ErrorKind::NotFound => Kind::DestinationMissing,
        // A last line that is not whole: reading again from the first line would change nothing.
        io::ErrorKind::PermissionDenied | io::ErrorKind::UnexpectedEof => Kind::Refused,
        _ => Kind::Rebuild,
    };
    Fault::new(kind, format!("cannot {doing} {}: {fault}", path.display()))
}

/// Appends each message as a line; confirmed once fdatasync(2) has returned.
#[derive(Debug)]
pub(crate) struct FileSink {
    path: PathBuf,
    file: Option<File>,
    outcomes: Vec<Outcome>,
}

impl FileSink {
    pub(crate) fn new(path: PathBuf) -> FileSink {
        FileSink { path, file: None, outcomes: Vec::new() }
    }

    fn write(&mut self, records: &[Record]) -> io::Result<()> {
        let mut lines = Vec::new();
        for record in records {
            if !record.tombstone {
                lines.extend_from_slice(&record.body);
                lines.push(b'\n');
            }
            self.outcomes.push(Outcome::Confirmed(record.id));
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(&lines)
    }
}

/// Waits until what was written is on the disk. A pipe or a terminal has none.
fn sync(file: &File) -> io::Result<()> {
    match file.sync_data() {
        Err(fault) if fault.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

/// Cuts off a line that a killed process has not finished.
fn cut_torn_line(file: &mut File) -> io::Result<()> {
    if !file.metadata()?.is_file() {
        return Ok(());
    }
    let mut end = file.seek(SeekFrom::End(0))?;
    loop {
        let start = end.saturating_sub(PIECE);
        file.seek(SeekFrom::Start(start))?;
        let mut piece = Vec::new();
        Read::by_ref(file).take(end - start).read_to_end(&mut piece)?;
        if let Some(newline) = piece.iter().rposition(|byte| *byte == b'\n') {
            end = start + newline as u64 + 1;
            break;
        }
        end = start;
        if start == 0 {
            break;
        }
    }
    file.set_len(end)
}

impl Sink for FileSink {
    fn open(&mut self, _: &Stop) -> Result<(), Fault> {
        self.outcomes.clear();
        let open = || {
            let mut file =
                OpenOptions::new().read(true).append(true).create(true).open(&self.path)?;
            cut_torn_line(&mut file)?;
            Ok(file)
        };
        self.file = Some(open().map_err(|fault| rebuild("append to", &self.path, &fault))?);
        Ok(())
    }

    fn misfit(&self, record: &Record) -> Option<String> {
        let two = || "it has a newline, and would be two lines".to_owned();
        record.body.contains(&b'\n').then(two)
    }

    fn publish(&mut self, records: Vec<Record>) -> Result<(), Fault> {
        let before = self.outcomes.len();
        self.write(&records).map_err(|fault| {
            self.outcomes.truncate(before);
            self.file = None;
            rebuild("append to", &self.path, &fault)
        })
    }

    fn poll(&mut self, until: Instant, outcomes: &mut Vec<Outcome>) -> Result<Health, Fault> {
        let Some(file) = &self.file else {
            return Err(Fault::rebuild("the file could not be written"));
        };
        if self.outcomes.is_empty() {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
            return Ok(Health::Ready);
        }
        sync(file).map_err(|fault| rebuild("sync", &self.path, &fault))?;
        outcomes.append(&mut self.outcomes);
        Ok(Health::Ready)
    }

    fn close(&mut self) {
        self.file = None;
        self.outcomes.clear();
    }
}

/// Reads each line as a message. Its stream is the path, its position the line's number.
#[derive(Debug)]
pub(crate) struct FileSource {
    path: PathBuf,
    stream: StreamId,
    make_envelopes: bool,
    lines: Option<BufReader<File>>,
    number: u64,
    /// Lines that came and are not settled.
    pending: usize,
    /// Why there are no lines after those that came.
    failed: Option<Fault>,
}

impl FileSource {
    pub(crate) fn new(path: PathBuf, make_envelopes: bool) -> FileSource {
        let stream = StreamId::named(&path.to_string_lossy());
        FileSource {
            path,
            stream,
            make_envelopes,
            lines: None,
            number: 0,
            pending: 0,
            failed: None,
        }
    }

    /// The next line, without its newline.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(lines) = &mut self.lines else { return Ok(None) };
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.pop_if(|last| *last == b'\n').is_none() {
            // Its writer may have been killed inside of it, or is still writing.
            let text = "the last line has no newline: it may not be whole";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        Ok(Some(line))
    }
}

impl Source for FileSource {
    fn open(&mut self, _: &Stop) -> Result<(), Fault> {
        let file = File::open(&self.path).map_err(|fault| rebuild("read", &self.path, &fault))?;
        (self.lines, self.number, self.failed) = (Some(BufReader::new(file)), 0, None);
        self.pending = 0;
        Ok(())
    }

    fn next(&mut self, max: usize, _: Instant) -> Result<Next, Fault> {
        let mut arrivals = Vec::new();
        while arrivals.len() < max && self.failed.is_none() {
            let line = match self.line() {
                Ok(Some(body)) => body,
                Ok(None) => break,
                Err(fault) => {
                    self.failed = Some(rebuild("read", &self.path, &fault));
                    break;
                }
            };
            self.number += 1;
            let position = self.number;
            let previous = match position {
                1 => Previous::None,
                position => Previous::At(position - 1),
            };
            self.pending += 1;
            let from = self.path.to_string_lossy().into_owned();
            arrivals.push(Arrival {
                token: position,
                body: line,
                kind: 0,
                identity: Some(Identity { stream: self.stream, position, previous }),
                tombstone: false,
                envelope: self.make_envelopes.then(|| Envelope {
                    source: "file".to_owned(),
                    from,
                    ..Envelope::default()
                }),
            });
        }
        // What came before it first.
        match self.failed.take_if(|_| arrivals.is_empty()) {
            Some(fault) => Err(fault),
            None if arrivals.is_empty() && self.pending == 0 => Ok(Next::Ended),
            None => Ok(Next::Arrivals(arrivals)),
        }
    }

    fn settle(&mut self, settled: &[(u64, Settled)]) -> Result<(), Fault> {
        self.pending = self.pending.saturating_sub(settled.len());
        Ok(())
    }

    fn close(&mut self) {
        self.lines = None;
        self.pending = 0;
    }
}
