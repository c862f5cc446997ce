//! The Debian package: all that goes into it is there, and says the same everywhere.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use hallway_tests::workspace::{packages, read, root};
use serde_json::Value;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

/// What `scripts/deb` makes of the program before it packs.
const MADE: &str = "target/release/package/";

/// What the manifest of the program says, and the folder its paths begin at.
fn package() -> (Value, PathBuf) {
    let packages = packages();
    let package = packages.iter().find(|package| package["name"] == "hallway");
    (package.unwrap().clone(), root().join("crates/cli"))
}

/// From where and to where each file goes.
fn assets(package: &Value) -> Vec<(&str, &str)> {
    let assets = package["metadata"]["deb"]["assets"].as_array().unwrap();
    let mut both = Vec::new();
    for asset in assets {
        both.push((asset[0].as_str().unwrap(), asset[1].as_str().unwrap()));
    }
    both
}

#[test]
fn every_file_of_the_package_is_there_or_made_for_it() {
    let (package, folder) = package();
    let script = read("scripts/deb");
    let assets = assets(&package);
    assert!(assets.len() > 10, "only {} assets", assets.len());
    for (from, _) in &assets {
        if let Some(made) = from.strip_prefix(MADE) {
            let (name, shell) = made.split_once('.').unwrap_or((made, ""));
            let name = name.trim_end_matches("/*");
            assert!(script.contains(&format!("$package/{name}")), "{from}");
            let shells = script.lines().find(|line| line.starts_with("for shell in"));
            assert!(shells.unwrap().contains(shell), "{from}");
        } else if *from != "target/release/hallway" {
            assert!(folder.join(from).is_file(), "{from}");
        }
    }
    let deb = &package["metadata"]["deb"];
    for path in [&deb["changelog"], &deb["license-file"][0]] {
        let path = path.as_str().unwrap();
        assert!(folder.join(path).is_file(), "{path}");
    }
}

#[test]
fn its_papers_are_of_this_version() {
    let (package, folder) = package();
    let deb = &package["metadata"]["deb"];
    let changelog = read(folder.join(deb["changelog"].as_str().unwrap()));
    let version = package["version"].as_str().unwrap();
    let begins = format!("hallway ({version}-1) ");
    assert!(changelog.starts_with(&begins), "{changelog}");
    let maintainer = format!(" -- {}  ", deb["maintainer"].as_str().unwrap());
    assert!(changelog.contains(&maintainer), "{maintainer}");
    // Who reads the licences of the page's modules finds them all.
    let copyright = read(folder.join("desktop/copyright"));
    let modules = fs::read_dir(root().join("crates/web/assets/vendor")).unwrap();
    let modules = modules.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let modules: Vec<_> = modules.filter(|name| name.ends_with(".mjs")).collect();
    assert!(!modules.is_empty());
    for name in modules {
        let path = format!("crates/web/assets/vendor/{name}");
        assert!(copyright.contains(&path), "{path}");
    }
}

#[test]
fn the_desktop_finds_the_program_its_icon_and_its_unit() {
    let (package, folder) = package();
    let entry = read(folder.join("desktop/hallway.desktop"));
    let unit = read(folder.join("desktop/hallway.service"));
    let assets = assets(&package);
    let installs = |to: &str| assets.iter().any(|asset| asset.1 == to);
    assert!(installs("usr/bin/") && unit.contains("ExecStart=/usr/bin/hallway up\n"));
    assert!(entry.contains("\nExec=hallway\n") && entry.contains("\nIcon=hallway\n"));
    for size in ["48x48", "128x128", "256x256"] {
        let icon = format!("usr/share/icons/hicolor/{size}/apps/hallway.png");
        assert!(installs(&icon), "{icon}");
    }
    let path = folder.join("desktop/hallway.desktop");
    match Command::new("desktop-file-validate").arg(path).output() {
        Ok(checked) => {
            let said = String::from_utf8_lossy(&checked.stdout);
            assert!(checked.status.success() && said.is_empty(), "{said}");
        }
        // In the package desktop-file-utils, which `scripts/test` installs.
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
    }
}
