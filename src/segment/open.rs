use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use zerocopy::FromZeros;
use zerocopy::IntoBytes;

use super::lease::LeaseFile;
use super::name::QueueName;
use super::region::Region;
use crate::error::{OpenError, SystemError};
use crate::layout::config::{Config, ConfigFault, MAGIC};
use crate::layout::{CONFIG_BYTES, Geometry, VERSION, WakeMode};
use crate::sys::{membarrier, users};

/// The users whose queues a process opens, besides its own user.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    pub(crate) uids: Vec<u32>,
}

impl Trust {
    /// Root may read every user's queues, but takes part in none unless asked. No option trusts every owner.
    fn check(
        &self,
        queue: &Arc<str>,
        file: &File,
        owner: u32,
        only_look: bool,
    ) -> Result<(), OpenError> {
        let me = nix::unistd::geteuid();
        let allowed =
            owner == me.as_raw() || self.uids.contains(&owner) || (only_look && me.is_root());
        let ask = |source| SystemError::new(queue, "find out whose the queue is", source);
        if !users::is_one_user(file, owner).map_err(ask)? {
            return Err(OpenError::UnknownOwner { queue: queue.clone(), uid: owner });
        }
        if allowed {
            Ok(())
        } else {
            Err(OpenError::ForeignOwner { queue: queue.clone(), uid: owner })
        }
    }
}

/// A segment that was opened and checked.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) leases: LeaseFile,
    pub(crate) region: Region,
    pub(crate) config: Config,
    pub(crate) geo: Geometry,
}

impl Opened {
    /// Before its first role, a process makes sure that the barriers of waiters reach it. It cannot fall back alone:
    /// the waiters follow the queue's mode.
    pub(crate) fn prepare_to_wake(&self, name: &QueueName) -> Result<(), SystemError> {
        let doing = "register with membarrier(2), which the queue's wake mode needs";
        match self.config.wake() {
            WakeMode::Membarrier => membarrier::register()
                .map_err(|fault| SystemError::new(name.shared(), doing, fault)),
            WakeMode::None | WakeMode::Fence => Ok(()),
        }
    }
}

/// Tries to open a name that moves to another object between two looks. More often than this, it is moved on purpose.
const TRIES: usize = 8;

/// Opens for reading and writing.
pub(crate) fn open_shared(name: &QueueName, trust: &Trust) -> Result<Opened, OpenError> {
    let object = name.object();
    let queue = name.shared();
    let map = |source| SystemError::new(queue, "map the queue's shared memory", source);
    for _ in 0..TRIES {
        let leases = open_file(name, true)?;
        let (config, geo) = read_config(name, &leases, trust, false)?;
        let region = match Region::open(&object) {
            Ok(region) => region,
            // It was removed since; the next round says so.
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => continue,
            Err(fault) => return Err(map(fault).into()),
        };
        // The name was looked up twice. The same instance means the same object.
        if region.len() == geo.total && instance_of(&region) == config.instance {
            return Ok(Opened { leases, region, config, geo });
        }
    }
    Err(map(io::Error::from(io::ErrorKind::Interrupted)).into())
}

/// Opens for reading only, through one descriptor, which is mapped and never holds a lease.
pub(crate) fn open_read_only(name: &QueueName, trust: &Trust) -> Result<Opened, OpenError> {
    let queue = name.shared();
    let map = |source| SystemError::new(queue, "map the queue's shared memory", source);
    let leases = open_file(name, false)?;
    let (config, geo) = read_config(name, &leases, trust, true)?;
    let region = Region::read_only(leases.file().map_err(map)?, geo.total).map_err(map)?;
    Ok(Opened { leases, region, config, geo })
}

fn open_file(name: &QueueName, write: bool) -> Result<LeaseFile, OpenError> {
    let queue = name.shared();
    LeaseFile::open(&name.object(), write).map_err(|fault| match fault.kind() {
        io::ErrorKind::NotFound => OpenError::NotFound { queue: queue.clone() },
        _ => SystemError::new(queue, "open the queue's shared memory", fault).into(),
    })
}

/// Reads the config through the file, into a copy that no other process can change, and checks it.
fn read_config(
    name: &QueueName,
    leases: &LeaseFile,
    trust: &Trust,
    only_look: bool,
) -> Result<(Config, Geometry), OpenError> {
    let queue = name.shared();
    let read = |source| SystemError::new(queue, "read the queue's header", source);
    let file = leases.file().map_err(read)?;
    let meta = file.metadata().map_err(read)?;
    trust.check(queue, file, meta.uid(), only_look)?;
    let wrong_size = |expected: usize| OpenError::WrongSize {
        queue: queue.clone(),
        expected: expected as u64,
        found: meta.len(),
    };
    let mut config = Config::new_zeroed();
    if !meta.is_file() {
        return Err(OpenError::NotAQueue { queue: queue.clone() });
    }
    let head = (meta.len() as usize).min(CONFIG_BYTES);
    file.read_exact_at(&mut config.as_mut_bytes()[..head], 0).map_err(read)?;
    if config.magic != MAGIC {
        return Err(OpenError::NotAQueue { queue: queue.clone() });
    }
    if meta.len() < CONFIG_BYTES as u64 {
        return Err(wrong_size(CONFIG_BYTES));
    }
    let unsupported = |what| OpenError::Unsupported { queue: queue.clone(), what };
    let damaged = |what| OpenError::Damaged { queue: queue.clone(), what };
    let geo = config.check().map_err(|fault| match fault {
        ConfigFault::Magic => OpenError::NotAQueue { queue: queue.clone() },
        ConfigFault::Version(found) => {
            OpenError::WrongVersion { queue: queue.clone(), found, supported: VERSION }
        }
        ConfigFault::Features(bits) => unsupported(bits.to_string()),
        ConfigFault::WakeMode(mode) => unsupported(format!("wake mode {mode}")),
        ConfigFault::SlotFormat(format) => unsupported(format!("slot format {format}")),
        ConfigFault::Checksum => damaged("its checksum does not match"),
        ConfigFault::Field(what) => damaged(what),
    })?;
    if meta.len() != geo.total as u64 {
        return Err(wrong_size(geo.total));
    }
    Ok((config, geo))
}

#[allow(unsafe_code)]
fn instance_of(region: &Region) -> [u64; 2] {
    let at = region.at().as_ptr().wrapping_add(std::mem::offset_of!(Config, instance));
    std::array::from_fn(|i| {
        // SAFETY: the caller has checked that the region is as long as a checked config says, so these two aligned
        // words lie inside. No process writes them after creation.
        unsafe { at.cast::<u64>().wrapping_add(i).read_volatile() }
    })
}
