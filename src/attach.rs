//! What every handle holds: the mapping, which it shares with the other handles of its process, and an open file
//! description of its own, whose locks are its leases.

use std::sync::Arc;
use std::time::Duration;

use crate::control::ControlGuard;
use crate::error::{AttachError, ControlError, SystemError};
use crate::layout::View;
use crate::layout::config::Config;
use crate::segment::{LeaseFile, Opened, QueueName, Region};

/// How long a control operation (taking or giving up a role, making or removing a group) waits for another one to end,
/// unless the program says otherwise.
pub(crate) const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);

/// A queue as mapped into this process.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) name: QueueName,
    pub(crate) config: Config,
    /// Device and inode.
    id: (u64, u64),
    /// Permission bits of the file.
    pub(crate) permissions: u32,
    view: View,
    /// Dropped last: the other fields point into it.
    region: Region,
}

impl Mapped {
    /// Takes over a segment that was opened and checked, or just made.
    #[allow(unsafe_code)]
    pub(crate) fn new(name: QueueName, opened: Opened) -> Result<(Mapped, LeaseFile), SystemError> {
        let Opened { leases, region, config, geo } = opened;
        let look = |source| SystemError::new(name.shared(), "check the queue's file", source);
        let (id, permissions) = (leases.id().map_err(look)?, leases.permissions().map_err(look)?);
        // SAFETY: the region is as long as the geometry says (checked when it was opened) and lives as
        // long as this value; its creator initialised it before it had a name.
        let view = unsafe { View::new(region.at(), geo, config.wake()) };
        Ok((Mapped { name, config, id, permissions, view, region }, leases))
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Device and inode.
    pub(crate) fn id(&self) -> (u64, u64) {
        self.id
    }
}

#[cfg(feature = "async")]
impl crate::ring::reactor::KeepMapped for Arc<Mapped> {
    fn view(&self) -> &View {
        &self.view
    }
}

/// A handle's hold on a queue.
#[derive(Debug)]
pub(crate) struct Attachment {
    /// Copied out of `mapped`, so that the data path reaches it without a detour.
    pub(crate) view: View,
    pub(crate) leases: LeaseFile,
    pub(crate) mapped: Arc<Mapped>,
}

impl Attachment {
    /// Opens its own file description. Fails if the queue has lost its name.
    pub(crate) fn new(mapped: &Arc<Mapped>) -> Result<Attachment, AttachError> {
        let queue = mapped.name.shared();
        if mapped.region.forked() {
            return Err(AttachError::Forked { queue: queue.clone() });
        }
        let open = |source| SystemError::new(queue, "open the queue's shared memory", source);
        let leases = match LeaseFile::open(&mapped.name.object(), true) {
            Ok(leases) => leases,
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {
                return Err(AttachError::Removed { queue: queue.clone() });
            }
            Err(fault) => return Err(open(fault).into()),
        };
        // The name may belong to a newer queue by now.
        if leases.id().map_err(open)? != mapped.id {
            return Err(AttachError::Removed { queue: queue.clone() });
        }
        Ok(Attachment { view: *mapped.view(), leases, mapped: Arc::clone(mapped) })
    }

    pub(crate) fn control(&self, timeout: Duration) -> Result<ControlGuard<'_>, ControlError> {
        ControlGuard::take(&self.mapped.name, &self.view, &self.leases, timeout)
    }

    /// The queue's name, for an error.
    pub(crate) fn queue(&self) -> &Arc<str> {
        self.mapped.name.shared()
    }

    /// The error for a system call that the kernel refused.
    pub(crate) fn system(
        &self,
        doing: &'static str,
    ) -> impl Fn(std::io::Error) -> SystemError + Copy {
        let queue = self.queue();
        move |source| SystemError::new(queue, doing, source)
    }
}
