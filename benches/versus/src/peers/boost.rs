//! Boost.Interprocess's message_queue: a mutex in shared memory; used here through its calls that do not wait.

#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

use crate::leftovers::TempFile;
use crate::message::{CAPACITY, InOrder, Msg};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

pub(crate) struct Boost;

unsafe extern "C" {
    fn versus_boost_create(name: *const c_char, messages: usize, size: usize) -> *mut c_void;
    fn versus_boost_close(queue: *mut c_void);
    fn versus_boost_try_send(queue: *mut c_void, message: *const Msg, size: usize) -> c_int;
    fn versus_boost_try_receive(queue: *mut c_void, message: *mut Msg, size: usize) -> c_int;
}

/// An open queue.
struct Queue {
    at: NonNull<c_void>,
    _file: TempFile,
}

// SAFETY: the queue is made for several processes: its mutex guards every call.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `versus_boost_create`, closed once, and not used after this.
        unsafe { versus_boost_close(self.at.as_ptr()) };
    }
}

struct End(Arc<Queue>, Spin);

impl Transport for Boost {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let file = TempFile::new();
        let name = CString::new(file.name()).map_err(NotRun::because)?;
        // SAFETY: a string that ends with a zero byte, read only during the call.
        let at = unsafe { versus_boost_create(name.as_ptr(), CAPACITY, size_of::<Msg>()) };
        let at = NonNull::new(at).ok_or_else(|| NotRun::because("it cannot be made"))?;
        let queue = Arc::new(Queue { at, _file: file });
        let other = queue.clone();
        Ok((move || End(queue, spin), move || End(other, spin)))
    }
}

impl Put for End {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            let (queue, msg, size) = (self.0.at.as_ptr(), Msg::new(i), size_of::<Msg>());
            loop {
                // SAFETY: an open queue, and a message of that size.
                match unsafe { versus_boost_try_send(queue, &msg, size) } {
                    1 => break,
                    0 => self.1.again(),
                    _ => panic!("the queue failed"),
                }
            }
        }
    }
}

impl Take for End {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut msg = Msg::ZERO;
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            let (queue, size) = (self.0.at.as_ptr(), size_of::<Msg>());
            // SAFETY: an open queue, and room for a message of that size.
            match unsafe { versus_boost_try_receive(queue, &mut msg, size) } {
                1 => expected.see(&msg),
                0 => self.1.again(),
                _ => panic!("the queue failed"),
            }
        }
    }
}
