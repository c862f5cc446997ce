//! Replays the corpus of the fuzzers, without any fuzzer. What once broke a parser stays here.
//!
//! The seeds among the files are made by `hallway_tests::fuzzing::seeds`, because many of them are
//! encrypted; `HALLWAY_WRITE_VECTORS=1` writes them anew.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use hallway_tests::fuzzing::{TARGETS, seeds::seeds};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Files in all: enough for every shape of input, few enough to read the names.
const FILES_MAX: usize = 300;
/// A file larger than this says less than a small one.
const FILE_BYTES_MAX: usize = 8192;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn stems(directory: &Path) -> BTreeSet<String> {
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_string();
    files(directory).iter().map(stem).collect()
}

#[test]
fn every_file_of_the_corpus_is_survived() {
    for (target, parse) in TARGETS {
        for file in files(&fuzz().join("corpus").join(target)) {
            let bytes = fs::read(&file).unwrap();
            eprintln!("{}", file.display());
            parse(&bytes);
        }
    }
}

#[test]
fn the_seeds_are_what_this_version_sends() {
    let seeds = seeds();
    for seed in &seeds {
        let path = fuzz().join("corpus").join(seed.target).join(&seed.name);
        if std::env::var_os("HALLWAY_WRITE_VECTORS").is_some_and(|value| value == "1") {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &seed.bytes).unwrap();
        }
        let written = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(written == seed.bytes, "{} differs", path.display());
    }
    let names: BTreeSet<_> = seeds.iter().map(|seed| (seed.target, &seed.name)).collect();
    assert_eq!(names.len(), seeds.len(), "two seeds of one name");
}

#[test]
fn no_target_is_forgotten_and_the_corpus_stays_small() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).into()).collect();
    assert_eq!(stems(&fuzz().join("corpus")), targets);
    assert_eq!(stems(&fuzz().join("fuzz_targets")), targets);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for target in &targets {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")),
            "{target}"
        );
    }
    let corpus = targets
        .iter()
        .flat_map(|target| files(&fuzz().join("corpus").join(target)));
    let sizes: Vec<_> = corpus.map(|file| fs::read(file).unwrap().len()).collect();
    assert!(sizes.len() <= FILES_MAX, "{} files", sizes.len());
    assert!(sizes.iter().all(|size| *size <= FILE_BYTES_MAX));
}
