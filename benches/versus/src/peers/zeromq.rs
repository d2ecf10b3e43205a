//! ZeroMQ over ipc: a pair of sockets, whose own threads send. Calls wait.

use std::sync::Arc;

use zerocopy::{FromBytes, IntoBytes};
use zmq::{Context, PAIR, Socket};

use crate::leftovers::TempFile;
use crate::message::{CAPACITY, InOrder, Msg};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

pub(crate) struct ZeroMq;

struct End {
    socket: Socket,
    _context: Context,
    _file: Arc<TempFile>,
}

impl Transport for ZeroMq {
    fn link(_: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let file = Arc::new(TempFile::new());
        let ends = || -> zmq::Result<(End, End)> {
            let context = Context::new();
            let end = || -> zmq::Result<End> {
                let socket = context.socket(PAIR)?;
                socket.set_sndhwm(CAPACITY as i32)?;
                socket.set_rcvhwm(CAPACITY as i32)?;
                Ok(End { socket, _context: context.clone(), _file: file.clone() })
            };
            let (sender, receiver) = (end()?, end()?);
            let address = format!("ipc://{}", file.path().display());
            receiver.socket.bind(&address)?;
            sender.socket.connect(&address)?;
            Ok((sender, receiver))
        };
        let (sender, receiver) = ends().map_err(NotRun::because)?;
        Ok((move || sender, move || receiver))
    }
}

impl Put for End {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            self.socket.send(Msg::new(i).as_bytes(), 0).expect("the other end is there");
        }
    }
}

impl Take for End {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        let mut message = zmq::Message::new();
        while expected.left() > 0 {
            self.socket.recv(&mut message, 0).expect("the other end is there");
            expected.see(&Msg::read_from_bytes(&message).expect("48 bytes"));
        }
    }
}
