//! What one process of the demo does, as its parent tells it.

use serde::{Deserialize, Serialize};

use super::args::DemoArgs;

/// Each group has one consumer, whose label is the group's name.
pub(crate) const GROUPS: [&str; 2] = ["audit", "dashboard"];
pub(crate) const OBSERVER: &str = "observer";
pub(crate) const PRODUCER: &str = "producer";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) queue: String,
    pub(crate) task: Task,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    Produce(DemoArgs),
    /// For this group.
    Consume(String),
    Observe,
}
