//! The bridge with a fault built in: the matrix must notice each.

use std::process::Command;
use std::thread;

use crate::common::broker::Broker;
use crate::scenarios::{ALL, caught};

/// A mutant of the bridge, and the scenario that must catch it.
const MUTANTS: &[(&str, &str)] = &[
    ("ack-on-write", "cut-out"),
    ("commit-before-publish", "full-in"),
    ("returned-is-success", "queue-made-again"),
    ("batch-dropped-on-reconnect", "cut-out"),
    ("highest-seen", "reject-publish"),
];

/// `SLIPRING_BRIDGE` names a bridge that was built with `--cfg slipring_mutants`. False if one was not caught.
pub(crate) fn run() -> bool {
    let Some(program) = std::env::var_os("SLIPRING_BRIDGE") else {
        println!("SLIPRING_BRIDGE has to name a bridge built with --cfg slipring_mutants");
        return false;
    };
    let Some(broker) = Broker::start() else { return true };
    let listed = Command::new(program).arg("--help").output();
    assert!(listed.is_ok_and(|output| output.status.success()), "the bridge does not run");
    // They mostly wait.
    let check = &|mutant: &str, name: &str| {
        let scenario = ALL.iter().find(|scenario| scenario.name == name).unwrap();
        let why = caught(&broker, scenario, mutant);
        (format!("{mutant}: {}", why.as_deref().unwrap_or("NOT CAUGHT")), why.is_some())
    };
    let verdicts: Vec<(String, bool)> = thread::scope(|scope| {
        let start = |(mutant, name)| scope.spawn(move || check(mutant, name));
        let running: Vec<_> = MUTANTS.iter().copied().map(start).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for (line, _) in &verdicts {
        println!("{line}");
    }
    let caught = verdicts.iter().filter(|(_, caught)| *caught).count();
    println!("{caught} passed, {} failed", verdicts.len() - caught);
    caught == verdicts.len()
}
