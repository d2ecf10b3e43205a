//! Queues whose messages say where they come from.

use super::common::TempName;
use super::tool::{json, run};

#[test]
fn a_queue_is_made_with_sources_and_shows_them() {
    let name = TempName::new("sources");
    run(&["create", &name, "--sources", "3"]).quietly();
    assert_eq!(json(&["inspect", &name, "--json"])["max_streams"], 3);
    let shown = run(&["inspect", &name]).quietly();
    assert!(shown.contains("sources   of 3 streams at most"), "{shown}");
    let plain = TempName::new("plain");
    run(&["create", &plain]).quietly();
    assert_eq!(json(&["inspect", &plain, "--json"])["max_streams"], 0);
    assert!(!run(&["inspect", &plain]).quietly().contains("sources"));
    for wrong in ["0", "128", "-1"] {
        let args = ["create", "none", &format!("--sources={wrong}")];
        run(&args).says(2, &["--sources"]);
    }
}
