use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use slipring::Queue;

use crate::common::child::{Child, tell};
use crate::common::{Rng, TempName, words};

/// Where a creation begins; removed with this.
struct Temporary(PathBuf);

impl Temporary {
    fn new(tag: u32) -> Temporary {
        let path = format!("/dev/shm/slipring-new.{tag:04x}{:012x}", std::process::id());
        fs::write(&path, [0; 4096]).unwrap();
        Temporary(path.into())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn temporaries() -> Vec<PathBuf> {
    let all = fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap());
    let ours = all.filter(|e| e.file_name().to_string_lossy().starts_with("slipring-new."));
    ours.map(|entry| entry.path()).collect()
}

#[test]
fn the_next_creator_sweeps_what_a_dead_one_left_and_nothing_else() {
    let (dead, living) = (Temporary::new(1), Temporary::new(2));
    let file = words::open(&living.0);
    words::take_lease(&file, 513);
    let name = TempName::new("sweep");
    Queue::builder(&name).capacity(2).create().unwrap();
    assert!(!dead.0.exists());
    assert!(living.0.exists());
    words::give_lease_back(&file, 513);
    drop(name);
    let name = TempName::new("sweep");
    Queue::builder(&name).capacity(2).create().unwrap();
    assert!(!living.0.exists());
}

/// Role: creates and removes a queue that takes a while to make.
pub(crate) fn create_again_and_again(name: &str) {
    loop {
        let queue = Queue::builder(name).capacity(4096).payload_size(4000).prefault(true);
        drop(queue.open_or_create().unwrap());
        tell("created");
        slipring::force_remove(name).unwrap();
    }
}

#[test]
fn a_creator_that_is_killed_leaves_a_whole_queue_or_none() {
    let mut rng = Rng::new();
    for _ in 0..12 {
        let name = TempName::new("kill-creator");
        let mut creator = Child::start(&format!("create {}", &*name));
        creator.expect("created");
        // Not a handshake: it is meant to die at any point.
        thread::sleep(Duration::from_micros(rng.below(20_000)));
        creator.kill();
        let left = temporaries();
        let other = TempName::new("after-kill");
        Queue::builder(&other).capacity(2).create().unwrap();
        for path in left.iter().filter(|path| path.exists()) {
            // Another test's creation may be under way.
            let file = fs::OpenOptions::new().read(true).write(true).open(path);
            assert!(
                file.map_or(true, |file| words::lease_is_held(&file, 513)),
                "{path:?} was left"
            );
        }
        let queue = Queue::builder(&name).capacity(4096).payload_size(4000).open_or_create();
        queue.unwrap().producer().unwrap().send("whole").unwrap();
    }
}

#[test]
fn creators_that_sweep_at_the_same_time_do_not_trip_each_other() {
    let creators: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(|| {
                for _ in 0..60 {
                    let name = TempName::new("creators");
                    Queue::builder(&name).capacity(1).payload_size(1).create().unwrap();
                }
            })
        })
        .collect();
    for creator in creators {
        creator.join().unwrap();
    }
}

#[test]
fn one_of_many_creators_of_one_name_wins() {
    for _ in 0..20 {
        let name = TempName::new("one-name");
        let made: usize = thread::scope(|scope| {
            let create = || Queue::builder(&name).capacity(1).create();
            let all: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
            let made = all.into_iter().map(|creator| match creator.join().unwrap() {
                Ok(_) => 1,
                Err(slipring::CreateError::Exists { .. }) => 0,
                Err(fault) => panic!("{fault}"),
            });
            made.sum()
        });
        assert_eq!(made, 1);
        Queue::open(&name).unwrap();
    }
}
