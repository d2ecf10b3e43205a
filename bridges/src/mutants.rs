//! Mutants: places where a build for tests can be told to do the wrong thing, so that the tests can be shown to notice. A
//! normal build has the right expression alone. `--cfg slipring_mutants` compiles them in, `SLIPRING_MUTANT` names one.

#[cfg(not(slipring_mutants))]
macro_rules! mutant {
    ($real:expr, $name:literal, $broken:expr) => {
        $real
    };
}

#[cfg(slipring_mutants)]
macro_rules! mutant {
    ($real:expr, $name:literal, $broken:expr) => {
        if $crate::mutants::chosen($name) { $broken } else { $real }
    };
}

pub(crate) use mutant;

#[cfg(slipring_mutants)]
pub(crate) fn chosen(name: &str) -> bool {
    use std::sync::LazyLock;
    static CHOSEN: LazyLock<String> =
        LazyLock::new(|| std::env::var("SLIPRING_MUTANT").unwrap_or_default());
    *CHOSEN == name
}
