//! The part of a segment that its creator writes once.

use std::fmt;
use std::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{CONFIG_BYTES, Geometry, PAYLOAD_OFFSET, VERSION, WakeMode};

pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"slipring");
/// Feature bits that this version understands.
const MUST_UNDERSTAND: u64 = CELLS | SOURCES;
/// Groups can have their messages in flight beside the ring.
const CELLS: u64 = 1 << 0;
/// Messages can say which stream they come from.
const SOURCES: u64 = 1 << 1;
/// The meaning of feature bits, from bit 0 on, for the error that refuses a queue of a later version.
const LATER_FEATURES: [&str; 3] =
    ["messages in flight beside the ring", "sources of messages", "times of publication"];
/// The only slot format: stamp, meta, payload.
const SLOT_FORMAT: u32 = 0;
pub(crate) const SCHEMA_NAME_MAX: usize = 128;
/// Bytes of a typed message's fields, as text.
pub(crate) const SCHEMA_FIELDS_MAX: usize = 448;
pub(crate) const QUEUE_NAME_MAX: usize = 200;

/// See docs/layout.md. A process that opens the segment copies it once, and never reads it there again.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Config {
    pub(crate) magic: u64,
    pub(crate) version: u32,
    pub(crate) slot_format: u32,
    pub(crate) must_understand: u64,
    pub(crate) may_ignore: u64,
    pub(crate) capacity: u64,
    pub(crate) payload_size: u64,
    pub(crate) payload_offset: u64,
    pub(crate) stride: u64,
    pub(crate) max_groups: u32,
    pub(crate) max_consumers: u32,
    pub(crate) base: u64,
    pub(crate) control: u64,
    pub(crate) groups: u64,
    pub(crate) consumers: u64,
    pub(crate) slots: u64,
    pub(crate) total: u64,
    pub(crate) wake_mode: u32,
    pub(crate) name_len: u32,
    pub(crate) schema_name_len: u32,
    pub(crate) schema_fields_len: u32,
    /// Of a typed message's fields; 0 for bytes.
    pub(crate) schema_hash: u64,
    /// Of everything that decides whether two programs agree on the segment.
    pub(crate) fingerprint: u64,
    pub(crate) instance: [u64; 2],
    /// Nanoseconds since 1970, for people to read.
    pub(crate) created_at: u64,
    pub(crate) name: [u8; QUEUE_NAME_MAX],
    pub(crate) schema_name: [u8; SCHEMA_NAME_MAX],
    /// One field a line, for people to read; as many as fit.
    pub(crate) schema_fields: [u8; SCHEMA_FIELDS_MAX],
    /// Cells for messages in flight, in use with feature bit 0: how many, how far apart, and where.
    pub(crate) cells: u64,
    pub(crate) cell_stride: u64,
    pub(crate) cells_at: u64,
    /// The table of streams, in use with feature bit 1.
    pub(crate) streams: u64,
    pub(crate) streams_at: u64,
    /// Which boot of the machine the queue was created in.
    pub(crate) boot_id: [u64; 2],
    pub(crate) reserved: [u8; 1032],
    /// FNV-1a over everything before it.
    pub(crate) checksum: u64,
}

const _: () = assert!(size_of::<Config>() == CONFIG_BYTES);

/// What the queue carries. The texts fit their places.
#[derive(Debug)]
pub(crate) struct SchemaText<'a> {
    pub(crate) name: &'a str,
    /// Of a typed message's fields; 0 for bytes.
    pub(crate) hash: u64,
    pub(crate) fields: &'a str,
}

/// Why this version cannot use a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConfigFault {
    Magic,
    Version(u32),
    Features(Features),
    Checksum,
    WakeMode(u32),
    SlotFormat(u32),
    Field(&'static str),
}

/// Bits of "must understand" that are not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Features(u64);

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = (0..u64::BITS as usize).filter(|bit| self.0 >> bit & 1 == 1);
        for (i, bit) in bits.enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            match LATER_FEATURES.get(bit) {
                Some(name) => write!(f, "{name} (feature bit {bit})")?,
                None => write!(f, "feature bit {bit}")?,
            }
        }
        Ok(())
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv).
pub(crate) const fn fnv1a(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

/// FNV-1a's offset basis.
pub(crate) const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

impl Config {
    pub(crate) fn new(
        geo: &Geometry,
        wake: WakeMode,
        name: &str,
        schema: &SchemaText<'_>,
        instance: [u64; 2],
        created_at: u64,
    ) -> Config {
        let mut config = Config {
            magic: MAGIC,
            version: VERSION,
            slot_format: SLOT_FORMAT,
            must_understand: if geo.cells > 0 { CELLS } else { 0 }
                | if geo.streams > 0 { SOURCES } else { 0 },
            may_ignore: 0,
            capacity: geo.capacity,
            payload_size: geo.payload_size as u64,
            payload_offset: PAYLOAD_OFFSET as u64,
            stride: geo.stride as u64,
            max_groups: geo.max_groups as u32,
            max_consumers: geo.max_consumers as u32,
            base: geo.base,
            control: geo.control as u64,
            groups: geo.groups as u64,
            consumers: geo.consumers as u64,
            slots: geo.slots as u64,
            total: geo.total as u64,
            wake_mode: wake as u32,
            name_len: name.len() as u32,
            schema_name_len: schema.name.len() as u32,
            schema_fields_len: schema.fields.len() as u32,
            schema_hash: schema.hash,
            fingerprint: 0,
            instance,
            created_at,
            name: [0; QUEUE_NAME_MAX],
            schema_name: [0; SCHEMA_NAME_MAX],
            schema_fields: [0; SCHEMA_FIELDS_MAX],
            cells: geo.cells as u64,
            cell_stride: geo.cell_stride as u64,
            cells_at: geo.cells_at as u64,
            streams: geo.streams as u64,
            streams_at: geo.streams_at as u64,
            boot_id: [0; 2],
            reserved: [0; 1032],
            checksum: 0,
        };
        config.name[..name.len()].copy_from_slice(name.as_bytes());
        config.schema_name[..schema.name.len()].copy_from_slice(schema.name.as_bytes());
        config.schema_fields[..schema.fields.len()].copy_from_slice(schema.fields.as_bytes());
        config.fingerprint = config.shape_hash();
        config.checksum = config.sum();
        config
    }

    /// The wake mode; a checked config has a known one.
    pub(crate) fn wake(&self) -> WakeMode {
        WakeMode::of(self.wake_mode).unwrap_or(WakeMode::None)
    }

    pub(crate) fn schema_name(&self) -> &str {
        let len = (self.schema_name_len as usize).min(SCHEMA_NAME_MAX);
        str::from_utf8(&self.schema_name[..len]).unwrap_or("")
    }

    /// Empty for bytes.
    pub(crate) fn schema_fields(&self) -> &str {
        let len = (self.schema_fields_len as usize).min(SCHEMA_FIELDS_MAX);
        str::from_utf8(&self.schema_fields[..len]).unwrap_or("")
    }

    fn sum(&self) -> u64 {
        let bytes = self.as_bytes();
        fnv1a(FNV_START, &bytes[..CONFIG_BYTES - size_of::<u64>()])
    }

    /// Over the bytes of all fields that decide something, in their order.
    fn shape_hash(&self) -> u64 {
        let deciding = [
            offset_of!(Config, version)..offset_of!(Config, may_ignore),
            offset_of!(Config, capacity)..offset_of!(Config, name_len),
            offset_of!(Config, schema_hash)..offset_of!(Config, fingerprint),
            offset_of!(Config, cells)..offset_of!(Config, boot_id),
        ];
        let bytes = self.as_bytes();
        deciding.into_iter().fold(FNV_START, |hash, fields| fnv1a(hash, &bytes[fields]))
    }

    /// Checks every field against what this version would have written, and says which one is off.
    pub(crate) fn check(&self) -> Result<Geometry, ConfigFault> {
        if self.magic != MAGIC {
            return Err(ConfigFault::Magic);
        }
        // Before the checksum: another version may compute it otherwise.
        if self.version != VERSION {
            return Err(ConfigFault::Version(self.version));
        }
        if self.checksum != self.sum() {
            return Err(ConfigFault::Checksum);
        }
        let unknown = self.must_understand & !MUST_UNDERSTAND;
        if unknown != 0 {
            return Err(ConfigFault::Features(Features(unknown)));
        }
        if self.slot_format != SLOT_FORMAT {
            return Err(ConfigFault::SlotFormat(self.slot_format));
        }
        if WakeMode::of(self.wake_mode).is_none() {
            return Err(ConfigFault::WakeMode(self.wake_mode));
        }
        let payload = usize::try_from(self.payload_size).unwrap_or(usize::MAX);
        let sources = self.must_understand & SOURCES != 0;
        if sources != (self.streams > 0) {
            return Err(ConfigFault::Field("number of streams"));
        }
        let streams = usize::try_from(self.streams).unwrap_or(usize::MAX);
        let cells = self.must_understand & CELLS != 0;
        if cells != (self.cells > 0) {
            return Err(ConfigFault::Field("number of cells"));
        }
        let cells = usize::try_from(self.cells).unwrap_or(usize::MAX);
        let geo = Geometry::new(
            self.capacity,
            payload,
            self.max_groups as usize,
            self.max_consumers as usize,
            streams,
            cells,
            self.base,
        )
        .map_err(|fault| ConfigFault::Field(field_of(fault)))?;
        // The same computation as the creator's must give the same figures.
        let figures = [
            ("capacity", self.capacity, geo.capacity),
            ("payload offset", self.payload_offset, PAYLOAD_OFFSET as u64),
            ("slot stride", self.stride, geo.stride as u64),
            ("control offset", self.control, geo.control as u64),
            ("group table offset", self.groups, geo.groups as u64),
            ("consumer table offset", self.consumers, geo.consumers as u64),
            ("slots offset", self.slots, geo.slots as u64),
            ("total size", self.total, geo.total as u64),
            ("cell stride", self.cell_stride, geo.cell_stride as u64),
            ("cells offset", self.cells_at, geo.cells_at as u64),
            ("stream table offset", self.streams_at, geo.streams_at as u64),
            ("fingerprint", self.fingerprint, self.shape_hash()),
        ];
        if let Some((field, ..)) = figures.iter().find(|(_, found, want)| found != want) {
            return Err(ConfigFault::Field(field));
        }
        let text = |bytes: &[u8], len: u32| {
            bytes.get(..len as usize).is_some_and(|text| str::from_utf8(text).is_ok())
        };
        if !text(&self.name, self.name_len) {
            return Err(ConfigFault::Field("queue name"));
        }
        if !text(&self.schema_name, self.schema_name_len) {
            return Err(ConfigFault::Field("schema name"));
        }
        if !text(&self.schema_fields, self.schema_fields_len) {
            return Err(ConfigFault::Field("schema fields"));
        }
        Ok(geo)
    }
}

fn field_of(fault: super::GeometryError) -> &'static str {
    use super::GeometryError as E;
    match fault {
        E::Capacity(_) => "capacity",
        E::Payload(_) => "payload size",
        E::Groups(_) => "group table size",
        E::Consumers(_) => "consumer table size",
        E::Streams(_) => "number of streams",
        E::Cells(_) => "number of cells",
        E::Base(_) => "base sequence",
        E::TooLarge => "total size",
    }
}
