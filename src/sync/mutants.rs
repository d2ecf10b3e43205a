//! The places at which mutants break the protocol, named in its code.
//!
//! ```text
//! order!(Release, "ack-relaxed")                 this order; Relaxed under the mutant
//! step!(notify::one_per_group(view), "silent")   this statement; none under the mutant
//! mutant!(tail < end, "one-more", tail <= end)   this expression; the other one under the mutant
//! ```
//!
//! Without `--cfg slipring_mutants` a macro is its first argument and nothing else. With it, one build has all mutants;
//! `SLIPRING_MUTANT` names the one that a process is, for as long as it lives (several names, separated by spaces, make
//! one mutant). tests/loom/mutants.md says what each breaks and which models notice; tests/loom/mutants.sh runs them.

#[cfg(not(slipring_mutants))]
mod places {
    /// A memory order.
    macro_rules! order {
        ($order:ident $(, $name:literal)+ $(,)?) => {
            $crate::sync::Ordering::$order
        };
    }

    /// A statement that a mutant leaves out.
    macro_rules! step {
        ($step:expr $(, $name:literal)+ $(,)?) => {
            $step
        };
    }

    /// An expression in whose place a mutant has another one.
    macro_rules! mutant {
        ($real:expr $(, $name:literal, $broken:expr)+ $(,)?) => {
            $real
        };
    }

    pub(crate) use {mutant, order, step};
}

#[cfg(slipring_mutants)]
mod places {
    use std::env;
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::sync::{LazyLock, OnceLock};

    macro_rules! is_broken {
        ($name:literal) => {{
            static PLACE: $crate::sync::mutants::Place =
                $crate::sync::mutants::Place::new($name, concat!(file!(), ":", line!()));
            PLACE.is_broken()
        }};
    }

    macro_rules! order {
        ($order:ident $(, $name:literal)+ $(,)?) => {
            if $($crate::sync::mutants::is_broken!($name))||+ {
                $crate::sync::Ordering::Relaxed
            } else {
                $crate::sync::Ordering::$order
            }
        };
    }

    macro_rules! step {
        ($step:expr $(, $name:literal)+ $(,)?) => {
            if !($($crate::sync::mutants::is_broken!($name))||+) {
                $step;
            }
        };
    }

    macro_rules! mutant {
        ($real:expr $(, $name:literal, $broken:expr)+ $(,)?) => {
            $(if $crate::sync::mutants::is_broken!($name) { $broken } else)+ { $real }
        };
    }

    pub(crate) use {is_broken, mutant, order, step};

    static CHOSEN: LazyLock<String> =
        LazyLock::new(|| env::var("SLIPRING_MUTANT").unwrap_or_default());

    /// Where a mutant breaks something.
    #[derive(Debug)]
    pub(crate) struct Place {
        name: &'static str,
        at: &'static str,
        broken: OnceLock<bool>,
    }

    impl Place {
        pub(crate) const fn new(name: &'static str, at: &'static str) -> Place {
            Place { name, at, broken: OnceLock::new() }
        }

        pub(crate) fn is_broken(&self) -> bool {
            *self.broken.get_or_init(|| {
                let broken = CHOSEN.split_whitespace().any(|name| name == self.name);
                if broken {
                    self.tell();
                }
                broken
            })
        }

        /// Adds the place to the file of places that were reached, by which the runner knows that the mutant was
        /// active.
        fn tell(&self) {
            let Some(path) = env::var_os("SLIPRING_MUTANT_REACHED") else { return };
            if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
                // In one write, so that no other line comes between its parts.
                let _ = file.write_all(format!("{} {}\n", self.name, self.at).as_bytes());
            }
        }
    }
}

pub(crate) use places::*;
