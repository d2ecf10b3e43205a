//! What a message can be: bytes, or a type of which any bytes of its size are a value.

#![allow(unsafe_code)]

use std::alloc::{Layout, handle_alloc_error};
use std::borrow::BorrowMut;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use zerocopy::{AllocError, FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::layout::PAYLOAD_ALIGN;
use crate::layout::config::{FNV_START, SCHEMA_FIELDS_MAX, fnv1a};

/// A typed message. Declare one with [`message!`](crate::message!), which computes the hash.
///
/// The zerocopy traits make it safe to read memory that another process wrote: the type has no padding and no pointers,
/// and every bit pattern is a value.
pub trait Message: FromBytes + IntoBytes + Immutable + KnownLayout + Send + Sync {
    /// Name of the type, for people to read.
    const NAME: &'static str;
    /// Its fields, in their order.
    const FIELDS: &'static [Field];
    /// Hash over the names, types and offsets of the fields; not 0. A program cannot open a queue whose messages have
    /// another hash.
    const HASH: u64 = hash_of(Self::FIELDS);
}

/// A field of a [`Message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// The field's name.
    pub name: &'static str,
    /// Its type, as written in the source.
    pub kind: &'static str,
    /// Offset in bytes from the start of the message.
    pub offset: usize,
    /// Size in bytes.
    pub size: usize,
}

impl Field {
    /// For [`message!`](crate::message!).
    #[doc(hidden)]
    pub const NONE: Field = Field::new("", "", 0, 0);

    /// Made by [`message!`](crate::message!).
    pub const fn new(name: &'static str, kind: &'static str, offset: usize, size: usize) -> Field {
        Field { name, kind, offset, size }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} @{}", self.name, self.kind, self.offset)
    }
}

const fn hash_of(fields: &[Field]) -> u64 {
    let (mut hash, mut i) = (FNV_START, 0);
    while i < fields.len() {
        // A zero byte ends each text: "ab" + "c" and "a" + "bc" differ.
        hash = fnv1a(fnv1a(hash, fields[i].name.as_bytes()), &[0]);
        hash = fnv1a(fnv1a(hash, fields[i].kind.as_bytes()), &[0]);
        hash = fnv1a(hash, &(fields[i].offset as u64).to_le_bytes());
        i += 1;
    }
    hash
}

/// The end of a list of fields that does not fit.
const MORE: &str = "...";

/// The fields as a queue stores them: one a line, and as many as fit.
pub(crate) fn fields_text(fields: &[Field]) -> String {
    let mut text = String::new();
    for (i, field) in fields.iter().enumerate() {
        // A type that is written over several lines becomes one.
        let line = field.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let rest = if i + 1 < fields.len() { MORE.len() + 1 } else { 0 };
        if text.len() + line.len() + 1 + rest > SCHEMA_FIELDS_MAX {
            text.push_str(MORE);
            return text;
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The first difference between the fields of a queue and of a program, for people to read. The texts are those of
/// [`fields_text`].
pub(crate) fn first_difference(queue: &str, program: &str) -> String {
    let (mut there, mut here) = (queue.lines(), program.lines());
    for number in 1.. {
        match (there.next(), here.next()) {
            (Some(MORE), _) | (_, Some(MORE)) => {
                return format!("the first {} fields agree, the others are not listed", number - 1);
            }
            (Some(there), Some(here)) if there == here => {}
            (Some(there), Some(here)) => {
                return format!("field {number} is {there:?} there, {here:?} here");
            }
            (Some(there), None) => return format!("field {number}, {there:?}, is there only"),
            (None, Some(here)) => return format!("field {number}, {here:?}, is here only"),
            (None, None) => break,
        }
    }
    "their fields read the same".to_owned()
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for [u8] {}
    impl<T: super::Message> Sealed for T {}
}

/// The content of messages: `[u8]`, or any [`Message`]. Sealed.
pub trait Content: sealed::Sealed {
    /// An owned copy: `Vec<u8>`, or the message itself.
    type Owned: Send + Sync;
    #[doc(hidden)]
    const SCHEMA: Option<Schema>;
    #[doc(hidden)]
    fn to_payload(&self) -> &[u8];
    /// `area` is a whole payload area; `len` tells the length of a message of bytes in it.
    #[doc(hidden)]
    fn from_payload(area: &[u8], len: impl FnOnce() -> usize) -> &Self;
    /// An empty value to copy a message into.
    #[doc(hidden)]
    fn room() -> Self::Owned;
    #[doc(hidden)]
    fn from_owned(owned: &Self::Owned) -> &Self;
    /// Makes `owned` a copy of a message of `len` bytes, which `load` copies.
    #[doc(hidden)]
    fn copy(owned: &mut Self::Owned, len: usize, load: impl FnOnce(&mut [u8]));
    /// A copy on the heap: a message may be larger than a thread's stack.
    #[doc(hidden)]
    type Kept: BorrowMut<Self::Owned> + Send + Sync;
    /// An empty one.
    #[doc(hidden)]
    fn kept() -> Self::Kept;
}

#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    pub(crate) name: &'static str,
    pub(crate) hash: u64,
    pub(crate) size: usize,
    pub(crate) fields: &'static [Field],
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

    fn room() -> Vec<u8> {
        Vec::new()
    }

    fn from_owned(owned: &Vec<u8>) -> &[u8] {
        owned
    }

    fn copy(owned: &mut Vec<u8>, len: usize, load: impl FnOnce(&mut [u8])) {
        owned.resize(len, 0);
        load(owned);
    }

    type Kept = Vec<u8>;

    fn kept() -> Vec<u8> {
        Vec::new()
    }
}

impl<T: Message> Content for T {
    type Owned = T;
    const SCHEMA: Option<Schema> = {
        assert!(align_of::<T>() <= PAYLOAD_ALIGN, "a message may be aligned to 16 bytes at most");
        assert!(size_of::<T>() > 0, "a message must have at least one byte");
        assert!(T::HASH != 0, "a hash of 0 means bytes");
        Some(Schema { name: T::NAME, hash: T::HASH, size: size_of::<T>(), fields: T::FIELDS })
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

    fn room() -> T {
        T::new_zeroed()
    }

    fn from_owned(owned: &T) -> &T {
        owned
    }

    fn copy(owned: &mut T, _len: usize, load: impl FnOnce(&mut [u8])) {
        // Through bytes: a Message need not be Copy.
        load(owned.as_mut_bytes());
    }

    type Kept = Box<T>;

    fn kept() -> Box<T> {
        T::new_box_zeroed().unwrap_or_else(|AllocError| handle_alloc_error(Layout::new::<T>()))
    }
}

/// Marks a handle for content `M` as `Send` and not `Sync`: its state is not shared, and sharing would need a lock
/// where a second handle needs none.
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

/// A reference to a reference, as iterating over a slice of references gives.
impl<'m, M: Content + ?Sized> From<&'m &M> for Outgoing<'m, M> {
    fn from(content: &'m &M) -> Self {
        Outgoing { kind: 0, content }
    }
}

impl<'m, M: Content + ?Sized> From<&'m Outgoing<'_, M>> for Outgoing<'m, M> {
    fn from(message: &'m Outgoing<'_, M>) -> Self {
        *message
    }
}

impl<'m, M: Content + ?Sized> From<&'m (u32, &M)> for Outgoing<'m, M> {
    fn from((kind, content): &'m (u32, &M)) -> Self {
        Outgoing { kind: *kind, content }
    }
}

impl<'m, M: Content> From<&'m (u32, M)> for Outgoing<'m, M> {
    fn from((kind, content): &'m (u32, M)) -> Self {
        Outgoing { kind: *kind, content }
    }
}

/// Types other than `[u8]` that can be sent as bytes: alone or with a kind, and as elements of a slice.
macro_rules! bytes {
    ($([$($generic:tt)*] $bytes:ty;)*) => {$(
        bytes!(@ [$($generic)*] &'m $bytes, content => (0, content));
        bytes!(@ [$($generic)*] &'m &$bytes, content => (0, content));
        bytes!(@ [$($generic)*] (u32, &'m $bytes), (kind, content) => (kind, content));
        bytes!(@ [$($generic)*] &'m (u32, &$bytes), (kind, content) => (*kind, content));
    )*};
    (@ [$($generic:tt)*] $from:ty, $pattern:pat => ($kind:expr, $content:expr)) => {
        impl<'m $($generic)*> From<$from> for Outgoing<'m, [u8]> {
            #[inline]
            fn from($pattern: $from) -> Self {
                Outgoing { kind: $kind, content: $content.as_ref() }
            }
        }
    };
}

/// Types of bytes that may also be owned in a pair with a kind.
macro_rules! owned_bytes {
    ($([$($generic:tt)*] $bytes:ty;)*) => {
        bytes!($([$($generic)*] $bytes;)*);
        $(bytes!(@ [$($generic)*] &'m (u32, $bytes), (kind, content) => (*kind, content));)*
    };
}

bytes! {
    [] str;
}

owned_bytes! {
    [, const N: usize] [u8; N];
    [] Vec<u8>;
    [] Box<[u8]>;
    [] String;
}

/// The text of a compile error about a message's fields.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Complaint {
    bytes: [u8; 256],
    len: usize,
}

impl Complaint {
    const fn and(mut self, text: &str) -> Complaint {
        let (text, mut i) = (text.as_bytes(), 0);
        while i < text.len() && self.len < self.bytes.len() {
            // A long name is cut, but not within a character.
            self.bytes[self.len] = if text[i].is_ascii() { text[i] } else { b'?' };
            (i, self.len) = (i + 1, self.len + 1);
        }
        self
    }

    pub const fn text(&self) -> &str {
        match str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "the message has padding",
        }
    }
}

/// Types that programmers often try, by the start of their text, and what to use instead.
const NOT_ALLOWED: &[(&str, &str)] = &[
    ("bool", "`u8`"),
    ("char", "`u32`"),
    ("&", "`[u8; N]`, and the length in a field of its own; or a queue of bytes"),
    ("*", "a sequence or an offset"),
    ("String", "`[u8; N]`, and the length in a field of its own; or a queue of bytes"),
    ("Vec<", "`[T; N]`, and the length in a field of its own; or a queue of bytes"),
    ("Box<", "the value itself"),
    ("Option<", "the value, and a flag in a `u8`"),
];

const fn begins_with(text: &str, beginning: &str) -> bool {
    let (text, beginning, mut i) = (text.as_bytes(), beginning.as_bytes(), 0);
    while i < beginning.len() {
        if i >= text.len() || text[i] != beginning[i] {
            return false;
        }
        i += 1;
    }
    // A longer name may begin with this one.
    let is_name = beginning[i - 1].is_ascii_alphanumeric();
    !is_name || i == text.len() || !(text[i].is_ascii_alphanumeric() || text[i] == b'_')
}

/// Finds types that cannot be in a message, and padding in a message of `size` bytes.
#[doc(hidden)]
pub const fn complaint(fields: &[Field], size: usize) -> Option<Complaint> {
    let none = Complaint { bytes: [0; 256], len: 0 };
    let (mut i, mut rule) = (0, 0);
    while i < fields.len() {
        let (kind, use_instead) = NOT_ALLOWED[rule];
        if begins_with(fields[i].kind, kind) {
            let text = none.and("the field `").and(fields[i].name).and("` cannot be a `");
            let text = text.and(fields[i].kind).and("`, which not all bytes are a value of: use ");
            return Some(text.and(use_instead));
        }
        rule = (rule + 1) % NOT_ALLOWED.len();
        i += (rule == 0) as usize;
    }
    let (mut end, mut i) = (0, 0);
    while i < fields.len() {
        if fields[i].offset != end {
            let text = none.and("there is padding before the field `").and(fields[i].name);
            let text = text.and(
                "`: put a spare field of that many bytes there (`spare: [u8; N]`), or put \
                the fields of larger alignment first",
            );
            return Some(text);
        }
        (end, i) = (fields[i].offset + fields[i].size, i + 1);
    }
    if i > 0 && end != size {
        let text = none.and("there is padding after the last field, `").and(fields[i - 1].name);
        return Some(text.and("`: put a spare field of that many bytes there (`spare: [u8; N]`)"));
    }
    None
}

/// Declares a message type: a `repr(C)` struct that can be sent as it is.
///
/// It derives `Clone`, `Copy`, `Debug`, `PartialEq` and zerocopy's `FromBytes`, `IntoBytes`, `Immutable` and
/// `KnownLayout`; attributes before the struct add more. Fields may have attributes, including `#[cfg(...)]`: a field
/// that is configured out is in neither the struct nor the hash.
///
/// The fields' names, types and offsets go into the queue's fingerprint. A program whose message differs cannot open
/// the queue; the error names the first field that differs. Types are compared by their text. The alignment is 16 at
/// most.
///
/// | not allowed, since not every bit pattern is a value | instead |
/// | --- | --- |
/// | `bool`, enums | `u8`, and a method that interprets it |
/// | `char` | `u32` |
/// | `&str`, `String`, `Vec`, references, `Box` | `[u8; N]`, and the length in a field of its own; or a queue of bytes |
/// | `usize`, `isize` | `u64`, `i64` (the former are allowed, but have another size on other machines) |
/// | `Option<T>` | the value, and a flag in a `u8` |
/// | padding, also after the last field | a spare field of as many bytes |
///
/// The zerocopy derives need this crate under its own name, `slipring`.
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
/// Neither do types with invalid bit patterns, or with pointers:
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
            $( $(#[$($attr:tt)*])* $field_vis:vis $field:ident : $type:ty ),+ $(,)?
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
            $( $(#[$($attr)*])* $field_vis $field: $type, )+
        }

        const _: () = {
            const COUNT: usize = {
                let mut count = 0;
                $( $crate::__if_configured!([$([$($attr)*])*] [] { count += 1; }); )+
                count
            };
            const LIST: [$crate::Field; COUNT] = {
                let mut list = [$crate::Field::NONE; COUNT];
                let mut next = 0;
                $( $crate::__if_configured!([$([$($attr)*])*] [] {
                    list[next] = $crate::Field::new(
                        ::core::stringify!($field),
                        ::core::stringify!($type),
                        ::core::mem::offset_of!($name, $field),
                        ::core::mem::size_of::<$type>(),
                    );
                    next += 1;
                }); )+
                ::core::assert!(next == COUNT);
                list
            };

            impl $crate::Message for $name {
                const NAME: &'static str = ::core::stringify!($name);
                const FIELDS: &'static [$crate::Field] = &LIST;
            }

            // In addition to the errors of zerocopy, which name neither the field nor a remedy.
            if let Some(complaint) =
                $crate::__private::complaint(&LIST, ::core::mem::size_of::<$name>())
            {
                ::core::panic!("{}", complaint.text());
            }
        };
    };
}

/// Keeps the `#[cfg]` of a field's attributes, and puts it before a block.
#[doc(hidden)]
#[macro_export]
macro_rules! __if_configured {
    ([] [$(#[$cfg:meta])*] $block:block) => { $(#[$cfg])* $block };
    ([[cfg $($what:tt)*] $($rest:tt)*] [$($cfg:tt)*] $block:block) => {
        $crate::__if_configured!([$($rest)*] [$($cfg)* #[cfg $($what)*]] $block)
    };
    ([[$($other:tt)*] $($rest:tt)*] [$($cfg:tt)*] $block:block) => {
        $crate::__if_configured!([$($rest)*] [$($cfg)*] $block)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn field(name: &'static str, offset: usize, size: usize) -> Field {
        Field::new(name, "type", offset, size)
    }

    fn said(fields: &[Field], size: usize) -> String {
        complaint(fields, size).map_or_else(String::new, |it| it.text().to_owned())
    }

    #[test]
    fn the_field_beside_the_padding_is_named() {
        assert_eq!(said(&[field("a", 0, 8), field("b", 8, 4), field("c", 12, 4)], 16), "");
        let before = said(&[field("small", 0, 1), field("large", 8, 8)], 16);
        assert!(before.contains("before the field `large`"), "{before}");
        let after = said(&[field("large", 0, 8), field("small", 8, 1)], 16);
        assert!(after.contains("after the last field, `small`"), "{after}");
        assert!(after.contains("spare: [u8; N]"), "{after}");
    }

    #[test]
    fn a_type_that_is_not_allowed_is_named_with_what_to_use() {
        let one = |kind| said(&[field("first", 0, 4), Field::new("up", kind, 4, 4)], 8);
        assert_eq!(one("Boolean"), "");
        assert_eq!(one("boolean"), "");
        let flag = one("bool");
        assert!(
            flag.contains("the field `up` cannot be a `bool`") && flag.ends_with("use `u8`"),
            "{flag}"
        );
        assert!(one("&'static str").contains("[u8; N]"));
        assert!(one("Option<u32>").contains("a flag in a `u8`"));
    }

    #[test]
    fn fields_that_do_not_fit_are_left_out_whole() {
        let many: Vec<Field> = (0..60).map(|at| field("name", at * 8, 8)).collect();
        let text = fields_text(&many);
        assert!(text.len() <= SCHEMA_FIELDS_MAX && text.ends_with("\n..."), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[lines.len() - 2], many[lines.len() - 2].to_string());
        assert_eq!(
            first_difference(&text, &text),
            format!("the first {} fields agree, the others are not listed", lines.len() - 1)
        );
        assert!(!fields_text(&many[..3]).contains(MORE));
    }
}
