//! What the compiler does not check: modules use lower floors only, atomics come from one place, and each
//! atomic operation says what its order is for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// How far above an atomic operation its comment may be.
const NEAR: usize = 12;

fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
    files
}

/// The files of a crate, relative to the folder of its root, with their text.
fn sources(dir: &str) -> Vec<(String, String)> {
    let dir = Path::new(ROOT).join(dir);
    let files = files_under(&dir).into_iter().map(|path| {
        let name = path.strip_prefix(&dir).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    let files: Vec<_> = files.filter(|(name, _)| !name.starts_with("bin/")).collect();
    assert!(files.len() > 20);
    files
}

fn library() -> Vec<(String, String)> {
    sources("src")
}

fn program() -> Vec<(String, String)> {
    sources("src/bin/slipring")
}

/// Where raw atomics are.
fn is_of_protocol(file: &str) -> bool {
    ["ring/", "layout/", "sync/"].iter().any(|dir| file.starts_with(dir))
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !is_comment(line))
}

/// The modules of the library in the order of lib.rs; blocks of `mod` lines are one floor.
fn floors() -> BTreeMap<String, usize> {
    let lib = fs::read_to_string(Path::new(ROOT).join("src/lib.rs")).unwrap();
    let mut floors = BTreeMap::new();
    let mut floor = 0;
    for line in lib.lines() {
        if let Some(module) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            floors.insert(module.to_owned(), floor);
        } else if line.is_empty() {
            floor += 1;
        }
    }
    floors.remove("models");
    assert!(floors.len() >= 18 && floors["packed"] < floors["queue"]);
    floors
}

/// Files of one folder that stand on floors of their own: dead letters are one story, from their format, which groups
/// name, to the handle that opens their queue. Each file has the floor of the module beside it.
const SPLIT: [(&str, &str); 4] = [
    ("dead_letter/letter.rs", "attach"),
    ("dead_letter/policy.rs", "membership"),
    ("dead_letter/retries.rs", "batch"),
    ("dead_letter/queue_sink.rs", "queue"),
];

/// The code of a crate: what each file exports, without tests.
struct Modules(BTreeMap<String, Vec<Vec<String>>>);

/// Roots of crates. They name all modules.
const ROOTS: [&str; 2] = ["lib.rs", "main.rs"];

/// A file's module, as a path in the crate.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

fn is_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The paths of a `use` tree, or the one path of an expression, at the beginning of `text`.
fn paths(text: &str, before: &[String], into: &mut Vec<Vec<String>>) -> usize {
    let (mut path, mut at) = (before.to_vec(), 0);
    loop {
        let rest = &text[at..];
        if rest.starts_with('{') {
            at += 1;
            while !text[at..].starts_with('}') {
                at += match text[at..].starts_with(',') {
                    true => 1,
                    false => paths(&text[at..], &path, into).max(1),
                };
            }
            return at + 1;
        }
        let end = rest.find(|c| !is_ident(c)).unwrap_or(rest.len());
        path.push(rest[..end].to_owned());
        at += end;
        if !text[at..].starts_with("::") {
            into.push(path);
            return at;
        }
        at += 2;
    }
}

/// What a file's code names by `crate::`, `super::` and `use`, re-exports apart.
fn names(text: &str) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let code: Vec<_> = code(text).map(|(_, line)| line).collect();
    let code = code.join("\n");
    let code = code.split("\nmod tests {").next().unwrap_or_default();
    let (mut used, mut exported) = (Vec::new(), Vec::new());
    let mut rest = String::new();
    for statement in code.split_inclusive(';') {
        let line = statement.rfind("use ").map(|at| statement.split_at(at));
        match line {
            Some((before, tree)) if before.ends_with(['\n', ' ', ')']) || before.is_empty() => {
                let tree: String = tree[4..].chars().filter(|c| !c.is_whitespace()).collect();
                let public = before.trim_end().ends_with("pub") || before.trim_end().ends_with(')');
                paths(&tree, &[], if public { &mut exported } else { &mut used });
                rest += before;
            }
            _ => rest += statement,
        }
    }
    for start in ["crate::", "super::"] {
        for (at, _) in rest.match_indices(start) {
            if !rest[..at].ends_with(|c| is_ident(c) || "$\":".contains(c)) {
                paths(&rest[at..], &[], &mut used);
            }
        }
    }
    (used, exported)
}

impl Modules {
    fn read(files: &[(String, String)]) -> Modules {
        let files = files.iter().filter(|(name, _)| !ROOTS.contains(&&**name));
        Modules(files.map(|(name, text)| (name.clone(), names(text).1)).collect())
    }

    /// The file that defines what `path` means in `file`, if that is in this crate.
    fn find(&self, file: &str, path: &[String]) -> Option<String> {
        let mut module = module_of(file);
        let mut at = file.to_owned();
        for (i, part) in path.iter().enumerate() {
            match part.as_str() {
                "crate" => module.clear(),
                "super" => drop(module.pop()),
                "self" => {}
                part => module.push(part.to_owned()),
            }
            let name = module.join("/");
            let files = [format!("{name}.rs"), format!("{name}/mod.rs")];
            match files.into_iter().find(|file| self.0.contains_key(file)) {
                Some(file) => at = file,
                None if module.is_empty() => {}
                None if i == 0 && part != "crate" => return None,
                None => {
                    let item = |export: &&Vec<String>| export.last() == Some(part);
                    let export = self.0.get(&at).and_then(|exports| exports.iter().find(item));
                    return match export {
                        Some(export) => self.find(&at, export).or(Some(at)),
                        None => Some(at),
                    };
                }
            }
        }
        Some(at)
    }
}

/// The files whose items each file names.
fn edges(files: &[(String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let modules = Modules::read(files);
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in files.iter().filter(|(name, _)| !ROOTS.contains(&&**name)) {
        let used = names(text).0;
        let mut used: BTreeSet<_> =
            used.iter().filter_map(|path| modules.find(file, path)).collect();
        used.remove(file);
        edges.insert(file.clone(), used);
    }
    edges
}

#[test]
fn no_file_uses_a_higher_floor() {
    let floors = floors();
    let floor_of = |file: &str| {
        let split = SPLIT.iter().find(|(split, _)| *split == file);
        let module = file.split('/').next().unwrap().trim_end_matches(".rs");
        floors[split.map_or(module, |(_, module)| module)]
    };
    let edges = edges(&library());
    for (file, used) in &edges {
        for other in used {
            assert!(
                floor_of(other) <= floor_of(file),
                "src/{file} uses {other}, which is above it"
            );
        }
    }
    let checked: usize = edges.values().map(BTreeSet::len).sum();
    assert!(checked > 200, "only {checked} uses found");
}

/// Two files that need each other are one file in two places: nobody can read one without the other.
#[test]
fn no_files_use_each_other() {
    assert_no_circles(edges(&library()));
    assert_no_circles(edges(&program()));
    assert_no_circles(edges(&sources("bridges/src")));
}

#[test]
fn no_other_command_uses_bench_or_demo() {
    for part in ["bench/", "demo/"] {
        for (file, used) in edges(&program()).iter().filter(|(file, _)| !file.starts_with(part)) {
            let used: Vec<_> = used.iter().filter(|file| file.starts_with(part)).collect();
            assert!(used.is_empty(), "{file} uses {used:?}");
        }
    }
}

fn assert_no_circles(mut edges: BTreeMap<String, BTreeSet<String>>) {
    loop {
        let ends: BTreeSet<_> =
            edges.keys().filter(|file| edges[*file].is_empty()).cloned().collect();
        if ends.is_empty() {
            break;
        }
        edges.retain(|file, _| !ends.contains(file));
        for used in edges.values_mut() {
            used.retain(|file| !ends.contains(file));
        }
    }
    // What only leads to a circle is in none.
    loop {
        let used: BTreeSet<_> = edges.values().flatten().cloned().collect();
        let before = edges.len();
        edges.retain(|file, _| used.contains(file));
        if edges.len() == before {
            break;
        }
    }
    assert!(edges.is_empty(), "circles: {edges:#?}");
}

#[test]
fn atomics_come_from_one_place_and_seq_cst_is_for_fences() {
    for (name, text) in library() {
        for (at, line) in code(&text) {
            let atomic = line.contains("std::sync::atomic") || line.contains("core::sync::atomic");
            let allowed = name.starts_with("sync/") || name == "sys/fork.rs";
            assert!(!atomic || allowed, "src/{name}:{at}: take atomics from crate::sync");
            assert!(
                !line.contains("Ordering::") || is_of_protocol(&name) || name == "sys/fork.rs",
                "src/{name}:{at}: an order belongs into a named function of src/ring or src/layout"
            );
            let rest = line.replace("fence(Ordering::SeqCst)", "");
            let allowed = name == "sync/mocked.rs" || !rest.contains("SeqCst");
            assert!(allowed, "src/{name}:{at}: SeqCst is for fences");
        }
    }
}

/// A pair of orders, as a row of the table in src/ring/mod.rs says: its name, and the files of its two sides.
struct Pair {
    name: String,
    stores: BTreeSet<String>,
    loads: BTreeSet<String>,
}

fn pairs() -> Vec<Pair> {
    let ring = fs::read_to_string(Path::new(ROOT).join("src/ring/mod.rs")).unwrap();
    let table = ring.lines().skip_while(|line| !line.starts_with("//! | pair |")).skip(2);
    // These two lie outside src/ring.
    let file = |module: &str| match module {
        "lease" => "sync/lease.rs".to_owned(),
        "group" => "layout/group.rs".to_owned(),
        module => format!("ring/{module}.rs"),
    };
    let side = |cell: &str| {
        let modules = cell.split("[`").skip(1).filter_map(|rest| rest.split_once("`]"));
        modules.map(|(module, _)| file(module)).collect()
    };
    let rows = table.take_while(|line| line.starts_with("//! |")).map(|row| {
        let cells: Vec<_> = row.trim_start_matches("//! |").split('|').map(str::trim).collect();
        let [name, _, stores, loads, ""] = cells[..] else { panic!("not four cells: {row}") };
        Pair { name: name.to_owned(), stores: side(stores), loads: side(loads) }
    });
    rows.collect()
}

/// The pairs that comments of a file name (`pair NAME`, `pairs NAME and NAME`), each with the code after the comment.
fn pairs_beside_code(text: &str) -> Vec<(String, String)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    let mut comment = String::new();
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with("//!") {
            continue;
        }
        if is_comment(line) {
            comment += line.trim_start().trim_start_matches('/');
            comment += " ";
            continue;
        }
        let code = lines[at..].iter().take(6).filter(|line| !is_comment(line));
        let code = code.copied().collect::<Vec<_>>().join("\n");
        let comment = std::mem::take(&mut comment);
        let mut words = comment.split_whitespace().peekable();
        while let Some(word) = words.next() {
            let many = match word.trim_start_matches('(') {
                "pair" => false,
                "pairs" => true,
                _ => continue,
            };
            let mut name = words.next();
            while let Some(word) = name.take() {
                let bare = word.trim_matches(|c: char| !c.is_ascii_lowercase());
                found.push((bare.to_owned(), code.clone()));
                if many && (words.next_if_eq(&"and").is_some() || word.ends_with(',')) {
                    name = words.next();
                }
            }
        }
    }
    found
}

#[test]
fn every_pair_is_named_at_both_sides_of_its_row() {
    let pairs = pairs();
    assert!(pairs.len() >= 20);
    let mut named: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (file, text) in library().into_iter().filter(|(file, _)| is_of_protocol(file)) {
        for (pair, code) in pairs_beside_code(&text) {
            let listed = pairs.iter().any(|row| row.name == pair);
            assert!(listed, "src/{file}: pair {pair} is not in the table of src/ring/mod.rs");
            named.entry((pair, file.clone())).or_default().push(code);
        }
    }
    let stores = ["store", "exchange(", "fetch_", "fence(", "_barrier("];
    let loads = ["load", "exchange(", "fetch_", "fence(", "_barrier(", "gate("];
    for Pair { name, stores: writers, loads: readers } in &pairs {
        for (files, does, operations) in
            [(writers, "stores for", &stores[..]), (readers, "relies on", &loads[..])]
        {
            assert!(!files.is_empty(), "the table says nowhere what {does} pair {name}");
            for file in files {
                let code = named.get(&(name.clone(), file.clone())).map_or(&[][..], Vec::as_slice);
                let does_it = |code: &String| operations.iter().any(|op| code.contains(op));
                assert!(
                    code.iter().any(does_it),
                    "src/{file} {does} pair {name}, as the table says: no comment there says so beside an operation"
                );
            }
        }
    }
}

#[test]
fn every_atomic_operation_says_why_its_order_is_enough() {
    let mut checked = 0;
    for (name, text) in library() {
        // These define the atomics and the orders. The code that uses them says why.
        if ["sync/mocked.rs", "sync/mutants.rs"].contains(&name.as_str()) {
            continue;
        }
        let lines: Vec<_> = text.lines().collect();
        for (at, line) in
            code(&text).filter(|(_, line)| line.contains("Ordering::") || line.contains("order!("))
        {
            if line.trim_start().starts_with("use ") || line.contains("pub(crate) use") {
                continue;
            }
            let above = &lines[at.saturating_sub(NEAR + 1)..at];
            let orders = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
            let said = above.iter().filter(|line| is_comment(line));
            let said = said.flat_map(|line| orders.map(|order| line.contains(order)));
            assert!(said.into_iter().any(|said| said), "src/{name}:{at} has no word on its order");
            checked += 1;
        }
    }
    assert!(checked > 90, "only {checked} operations found");
}

#[test]
fn files_stay_readable() {
    for dir in ["src", "tests"] {
        for path in files_under(&Path::new(ROOT).join(dir)) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 600, "{} has {lines} lines: split it", path.display());
        }
    }
}

/// The names of a path at the beginning of a text, up to its first list or end.
fn path_names(text: &str) -> Vec<String> {
    let end = |part: &str| part.find(|c: char| !c.is_alphanumeric() && c != '_');
    let mut names = Vec::new();
    for part in text.trim_start().split("::") {
        let end = end(part);
        names.push(part[..end.unwrap_or(part.len())].to_owned());
        if end.is_some() {
            break;
        }
    }
    names
}

/// The paths after `crate::` and `super::` in the text of module `own` of the program, from main.rs on.
fn program_paths(own: &[String], text: &str) -> Vec<Vec<String>> {
    let code: Vec<&str> = code(text).map(|(_, line)| line).collect();
    let code = code.join(" ");
    let mut paths = Vec::new();
    for (root, base) in [("crate::", 0), ("super::", own.len().saturating_sub(1))] {
        for (at, _) in code.match_indices(root) {
            let rest = &code[at + root.len()..];
            let list = rest.strip_prefix('{').and_then(|rest| rest.split('}').next());
            for path in list.unwrap_or(rest).split(',').take(list.map_or(1, str::len)) {
                paths.push([&own[..base], &path_names(path)].concat());
            }
        }
    }
    paths
}

/// Each folder of the program has an order: no module of it uses another that uses the first one.
#[test]
fn no_two_modules_in_a_folder_of_the_program_use_each_other() {
    let root = Path::new(ROOT).join("src/bin/slipring");
    let mut modules = BTreeMap::new();
    for path in files_under(&root) {
        let name = path.strip_prefix(&root).unwrap().with_extension("");
        let own: Vec<String> = name.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        let own = match own.split_last().unwrap() {
            (last, folder) if last == "mod" => folder.to_vec(),
            _ => own,
        };
        modules.insert(own, fs::read_to_string(path).unwrap());
    }
    let mut uses: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for (own, text) in &modules {
        for path in program_paths(own, text) {
            let same = own.iter().zip(&path).take_while(|(a, b)| a == b).count();
            if let (Some(user), Some(used)) = (own.get(..=same), path.get(..=same))
                && modules.contains_key(used)
            {
                uses.entry(user.to_vec()).or_default().insert(used.to_vec());
            }
        }
    }
    assert!(uses.len() > 20, "only {} modules use others", uses.len());
    // Removes modules that use none of the others, again and again. What remains is in a circle or above one.
    while let Some(lowest) = {
        let low = |used: &BTreeSet<_>| used.iter().all(|module| !uses.contains_key(module));
        uses.iter().find(|(_, used)| low(used)).map(|(module, _)| module.clone())
    } {
        uses.remove(&lowest);
    }
    assert!(uses.is_empty(), "in circles, or above one: {uses:#?}");
}
