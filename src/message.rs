//! What a message can be: bytes, or a type that any bytes of its size are a value of.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::layout::PAYLOAD_ALIGN;
use crate::layout::config::{FNV_START, fnv1a};

/// A typed message. Declare one with [`message!`](crate::message!), which computes the hash.
///
/// The zerocopy traits are what makes it safe to look at memory that another process wrote: no padding,
/// no pointers, no value that is not one.
pub trait Message: FromBytes + IntoBytes + Immutable + KnownLayout {
    /// Name of the type, for people to read.
    const NAME: &'static str;
    /// Hash over the names, types and offsets of the fields; not 0. Two programs that hash differently
    /// do not open each other's queues.
    const HASH: u64;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for [u8] {}
    impl<T: super::Message> Sealed for T {}
}

/// What handles send and receive: `[u8]`, or any [`Message`]. Sealed.
pub trait Content: sealed::Sealed {
    /// An owned copy: `Vec<u8>`, or the message itself.
    type Owned;
    #[doc(hidden)]
    const SCHEMA: Option<Schema>;
    #[doc(hidden)]
    fn to_payload(&self) -> &[u8];
    /// `area` is a whole payload area, `len` tells the length of the message in it, if that is not the type's.
    #[doc(hidden)]
    fn from_payload(area: &[u8], len: impl FnOnce() -> usize) -> &Self;
    #[doc(hidden)]
    fn copy_to(&self, owned: &mut Self::Owned);
    #[doc(hidden)]
    fn copied(&self) -> Self::Owned;
}

#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    pub(crate) name: &'static str,
    pub(crate) hash: u64,
    pub(crate) size: usize,
}

impl Content for [u8] {
    type Owned = Vec<u8>;
    const SCHEMA: Option<Schema> = None;

    fn to_payload(&self) -> &[u8] {
        self
    }

    fn from_payload(area: &[u8], len: impl FnOnce() -> usize) -> &[u8] {
        &area[..len().min(area.len())]
    }

    fn copy_to(&self, owned: &mut Vec<u8>) {
        owned.clear();
        owned.extend_from_slice(self);
    }

    fn copied(&self) -> Vec<u8> {
        self.to_vec()
    }
}

impl<T: Message> Content for T {
    type Owned = T;
    const SCHEMA: Option<Schema> = {
        assert!(align_of::<T>() <= PAYLOAD_ALIGN, "a message may be aligned to 16 bytes at most");
        assert!(size_of::<T>() > 0, "a message must have at least one byte");
        assert!(T::HASH != 0, "a hash of 0 means bytes");
        Some(Schema { name: T::NAME, hash: T::HASH, size: size_of::<T>() })
    };

    fn to_payload(&self) -> &[u8] {
        self.as_bytes()
    }

    fn from_payload(area: &[u8], _len: impl FnOnce() -> usize) -> &T {
        debug_assert!(area.len() >= size_of::<T>() && area.as_ptr().cast::<T>().is_aligned());
        // SAFETY: a typed handle is made only for a queue whose payload size is that of T (checked when
        // it is opened), and payload areas are aligned to 16; T is FromBytes, so any bytes are a value,
        // and Immutable, so a shared reference to them is sound.
        unsafe { &*area.as_ptr().cast::<T>() }
    }

    fn copy_to(&self, owned: &mut T) {
        // Copies through bytes: a Message need not be Copy.
        owned.as_mut_bytes().copy_from_slice(self.as_bytes());
    }

    fn copied(&self) -> T {
        let mut copy = T::new_zeroed();
        self.copy_to(&mut copy);
        copy
    }
}

/// Marks a handle for content `M` that may move between threads but is used by one at a time: its state
/// is private, and sharing it would need a lock that a second handle does not.
pub(crate) type OneThread<M> = PhantomData<(Cell<()>, fn(&M))>;

/// A message and its kind, for sending.
///
/// `producer.send(&message)` sends kind 0, `producer.send((7, &message))` kind 7.
#[derive(Debug)]
pub struct Outgoing<'m, M: Content + ?Sized> {
    pub(crate) kind: u32,
    pub(crate) content: &'m M,
}

impl<M: Content + ?Sized> Clone for Outgoing<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Content + ?Sized> Copy for Outgoing<'_, M> {}

impl<'m, M: Content + ?Sized> From<&'m M> for Outgoing<'m, M> {
    fn from(content: &'m M) -> Self {
        Outgoing { kind: 0, content }
    }
}

impl<'m, M: Content + ?Sized> From<(u32, &'m M)> for Outgoing<'m, M> {
    fn from((kind, content): (u32, &'m M)) -> Self {
        Outgoing { kind, content }
    }
}

impl<'m, const N: usize> From<&'m [u8; N]> for Outgoing<'m, [u8]> {
    fn from(content: &'m [u8; N]) -> Self {
        Outgoing { kind: 0, content }
    }
}

impl<'m> From<&'m str> for Outgoing<'m, [u8]> {
    fn from(text: &'m str) -> Self {
        Outgoing { kind: 0, content: text.as_bytes() }
    }
}

impl<'m> From<(u32, &'m str)> for Outgoing<'m, [u8]> {
    fn from((kind, text): (u32, &'m str)) -> Self {
        Outgoing { kind, content: text.as_bytes() }
    }
}

impl<'m> From<&'m Vec<u8>> for Outgoing<'m, [u8]> {
    fn from(content: &'m Vec<u8>) -> Self {
        Outgoing { kind: 0, content }
    }
}

#[doc(hidden)]
pub const fn hash_field(hash: u64, name: &str, kind: &str, offset: usize) -> u64 {
    // A zero byte ends each text: "ab" + "c" and "a" + "bc" differ.
    let hash = fnv1a(fnv1a(hash, name.as_bytes()), &[0]);
    let hash = fnv1a(fnv1a(hash, kind.as_bytes()), &[0]);
    fnv1a(hash, &(offset as u64).to_le_bytes())
}

#[doc(hidden)]
pub const HASH_START: u64 = FNV_START;

/// Declares a message type: a `repr(C)` struct that can be sent through a queue as it is.
///
/// The fields' names, types and offsets go into the queue's fingerprint, so a program with another idea
/// of the message is turned away when it opens the queue. Types are compared by how they are written.
/// Padding is a compile error; put spare fields in its place. Alignment is 16 at most.
///
/// The zerocopy derives need to find this crate under its own name, `slipring`.
///
/// ```
/// slipring::message! {
///     /// A price.
///     pub struct Tick {
///         pub instrument: u32,
///         pub flags: u32,
///         pub price: i64,
///     }
/// }
/// let tick = Tick { instrument: 7, flags: 0, price: 101_25 };
/// # assert_eq!(tick.price, 10125);
/// ```
///
/// Holes between fields do not compile:
///
/// ```compile_fail
/// slipring::message! {
///     pub struct Holey { pub small: u8, pub large: u64 }
/// }
/// ```
///
/// Neither do types that not every bit pattern is a value of, or that point anywhere:
///
/// ```compile_fail
/// slipring::message! {
///     pub struct Flag { pub up: bool }
/// }
/// ```
/// ```compile_fail
/// slipring::message! {
///     pub struct Text { pub text: &'static str }
/// }
/// ```
#[macro_export]
macro_rules! message {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $( $(#[$field_meta:meta])* $field_vis:vis $field:ident : $type:ty ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq,
            $crate::zerocopy::FromBytes, $crate::zerocopy::IntoBytes,
            $crate::zerocopy::Immutable, $crate::zerocopy::KnownLayout,
        )]
        #[zerocopy(crate = "slipring::zerocopy")]
        #[repr(C)]
        $vis struct $name {
            $( $(#[$field_meta])* $field_vis $field: $type, )+
        }

        impl $crate::Message for $name {
            const NAME: &'static str = stringify!($name);
            const HASH: u64 = {
                let mut hash = $crate::__private::HASH_START;
                $(
                    hash = $crate::__private::hash_field(
                        hash,
                        stringify!($field),
                        stringify!($type),
                        ::core::mem::offset_of!($name, $field),
                    );
                )+
                hash
            };
        }
    };
}
