use std::fmt;

/// Pids as their processes recorded them, each in its own pid namespace, for people to read. One that is not known is
/// shown as "unknown".
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pids {
    pub(crate) pids: Vec<Option<u32>>,
    /// /proc proves that this process is among them.
    pub(crate) own: bool,
}

impl Pids {
    /// The pids in the order of their records; `None` where one is not known.
    pub fn as_slice(&self) -> &[Option<u32>] {
        &self.pids
    }

    /// Whether this process is among them, by a handle of its own, as far as /proc tells. The pid alone could be that
    /// of another process in another pid namespace.
    pub fn has_own(&self) -> bool {
        self.own
    }
}

impl fmt::Display for Pids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, pid) in self.pids.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            match pid {
                None => write!(f, "{comma}unknown")?,
                Some(pid) => write!(f, "{comma}{pid}")?,
            }
        }
        Ok(())
    }
}

/// The processes in the way, and what to do about them.
pub(super) struct Users<'a>(pub(super) &'a Pids);

impl fmt::Display for Users<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pids { pids, own } = self.0;
        let pids = pids.iter().copied().filter(|pid| !*own || *pid != Some(std::process::id()));
        let others = Pids { pids: pids.collect(), own: false };
        let (mine, and) = if *own { ("this process", " and ") } else { ("", "") };
        match (others.as_slice(), own) {
            ([], _) => write!(f, "{mine}: drop its handles first"),
            ([pid], true) => write!(
                f,
                "{mine}{and}a process {}: drop the handles of the one, and end the other",
                Holder(*pid)
            ),
            ([pid], false) => write!(f, "a process {}: end it", Holder(*pid)),
            (_, true) => write!(
                f,
                "{mine}{and}processes recorded as {others}: drop the handles of the one, and end the others"
            ),
            (_, false) => write!(f, "processes recorded as {others}: end them"),
        }
    }
}

/// A process, by the pid that it recorded, if that is known. The pid may be one of another pid namespace.
pub(super) struct Holder(pub(super) Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("whose pid is not known"),
            Some(pid) => write!(f, "recorded as {pid}"),
        }
    }
}

/// A pid in a segment, where 0 stands for none.
pub(crate) fn known_pid(word: u64) -> Option<u32> {
    Some(word as u32).filter(|pid| *pid != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_in_the_way_are_named_with_what_to_do() {
        let me = std::process::id();
        let said =
            |pids: &[Option<u32>], own| Users(&Pids { pids: pids.to_vec(), own }).to_string();
        assert_eq!(said(&[Some(me)], true), "this process: drop its handles first");
        assert_eq!(said(&[Some(0)], false), "a process recorded as 0: end it");
        assert_eq!(said(&[None], false), "a process whose pid is not known: end it");
        assert_eq!(said(&[Some(0), None], false), "processes recorded as 0, unknown: end them");
        // Not proved to be this process: the pid may be one of another namespace.
        assert_eq!(said(&[Some(me)], false), format!("a process recorded as {me}: end it"));
        let both = "this process and a process recorded as 0: drop the handles of the one, and end the other";
        assert_eq!(said(&[Some(0), Some(me)], true), both);
        let all = "this process and processes recorded as 0, unknown: drop the handles of the one, and end the others";
        assert_eq!(said(&[Some(0), Some(me), None], true), all);
    }
}
