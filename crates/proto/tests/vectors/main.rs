//! Test vectors of ids, frames and files, `vectors/ids.json`, `vectors/frames.json` and
//! `vectors/bulk.json`: what is encoded and decoded here must be what the files say. `HALLWAY_WRITE_VECTORS=1` writes the files anew.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod bulk;
mod files;
mod frames;
mod ids;
mod reference;

use serde_json::Value;
use std::path::Path;

/// Compares with a file of vectors, or writes it.
fn hold(file: &str, vectors: &Value) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let path = directory.join(file);
    if std::env::var_os("HALLWAY_WRITE_VECTORS").is_some_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(vectors).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    assert!(
        *vectors == written,
        "{file} differs: has the protocol changed?"
    );
}
