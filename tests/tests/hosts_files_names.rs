//! Files between real nodes under whatever names a file system allows: they arrive under safe
//! ones, and nothing outside of the download folder is made or touched.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_tests::files::{downloads, names, outbox, send, until_state};
use hallway_tests::host::Host;
use hallway_tests::lab::Lan;
use hallway_tests::lan_tests;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

lan_tests![
    dangerous_names_arrive_as_safe_ones_inside,
    what_is_left_out_is_told_to_both,
];

fn friends(lan: &Lan) -> (Host, Host) {
    let (ann, bo) = (Host::start(lan, 0, "Ann"), Host::start(lan, 1, "Bo"));
    ann.befriend(&bo);
    (ann, bo)
}

/// Everything below a folder that is not below the other.
fn all_but(folder: &Path, but: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            // What the node itself keeps comes and goes.
            let own = entry
                .file_name()
                .to_string_lossy()
                .starts_with("hallway.db");
            if path == but || own {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(path.clone());
            }
            found.insert(path);
        }
    }
    found
}

fn dangerous_names_arrive_as_safe_ones_inside() {
    let lan = Lan::of(2);
    let (ann, bo) = friends(&lan);
    let long = "長".repeat(84);
    let sent: [(&[u8], &str); 26] = [
        (b"...", "_"),
        (b"..\\..\\evil", ".._.._evil"),
        (b"..\\..\\evil2.", ".._.._evil2"),
        (b"C:", "C_"),
        (b"C:\\autoexec.bat", "C__autoexec.bat"),
        (b"\\\\host\\share", "__host_share"),
        (b"file.txt:stream", "file.txt_stream"),
        (b"CON", "_CON"),
        (b"aux.h", "_aux.h"),
        (b"COM1.txt", "_COM1.txt"),
        (b"trailing. .", "trailing"),
        (b" leading", "leading"),
        (b"line\nbreak", "line_break"),
        (b"\x1b[31mred\x07", "_[31mred_"),
        ("exe\u{202e}fdp.scr".as_bytes(), "exe_fdp.scr"),
        ("zero\u{200b}width".as_bytes(), "zero_width"),
        (b"what?*<>|\"", "what______"),
        (b"-rf", "-rf"),
        (b".bashrc", ".bashrc"),
        (
            b".hallway-0123456789abcdef.part",
            "_.hallway-0123456789abcdef.part",
        ),
        (b"README", "README"),
        (b"readme", "readme (2)"),
        ("Zo\u{eb}".as_bytes(), "Zo\u{eb} (2)"),
        ("Zoe\u{308}".as_bytes(), "Zo\u{eb}"),
        (b"caf\xe9", "caf_"),
        (long.as_bytes(), &long[..240]),
    ];
    let root = outbox(&ann).join("corpus");
    fs::create_dir_all(&root).unwrap();
    for (number, (name, _)) in sent.iter().enumerate() {
        fs::write(root.join(OsStr::from_bytes(name)), number.to_string()).unwrap();
    }
    fs::create_dir_all(root.join("d/".repeat(1000))).unwrap();
    // Somebody has put links where the folder would go, and where one of its names would.
    let precious = bo.home().join("precious");
    fs::create_dir_all(&precious).unwrap();
    fs::write(precious.join("README"), "precious").unwrap();
    fs::create_dir_all(downloads(&bo)).unwrap();
    symlink(&precious, downloads(&bo).join("corpus")).unwrap();
    let before = all_but(&bo.home(), &downloads(&bo));

    let id = send(&ann, "Bo", &root);
    let done = until_state(&bo, &id, "done");
    let place = downloads(&bo).join("corpus (2)");
    assert_eq!(done["path"], place.to_str().unwrap());
    for (number, (name, safe)) in sent.iter().enumerate() {
        let read = fs::read_to_string(place.join(safe));
        let read = read.unwrap_or_else(|e| panic!("{safe:?} for {name:?}: {e}"));
        assert_eq!(read, number.to_string(), "{safe:?} for {name:?}");
    }
    // And the folder with those that are too deep to be sent.
    assert_eq!(names(&place).len(), sent.len() + 1);
    bo.until("the parts are gone", hallway_tests::host::PATIENCE, |bo| {
        (names(&downloads(bo)) == ["corpus", "corpus (2)"]).then_some(())
    });
    assert_eq!(all_but(&bo.home(), &downloads(&bo)), before);
    assert_eq!(fs::read(precious.join("README")).unwrap(), b"precious");
}

fn what_is_left_out_is_told_to_both() {
    let lan = Lan::of(2);
    let (ann, bo) = friends(&lan);
    let root = outbox(&ann).join("trip");
    fs::create_dir_all(root.join("locked")).unwrap();
    fs::write(root.join("photo.jpg"), "photo").unwrap();
    symlink("/etc/passwd", root.join("link")).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    fs::write(root.join("secret"), "secret").unwrap();
    for name in ["secret", "locked"] {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o0)).unwrap();
    }
    // The superuser can read everything.
    let is_root = fs::read(root.join("secret")).is_ok();
    let expected = if is_root {
        "2 left out: link, socket"
    } else {
        "4 left out: "
    };
    let id = send(&ann, "Bo", &root);
    for host in [&bo, &ann] {
        let done = until_state(host, &id, "done");
        assert_eq!(done["file"]["left_out"], if is_root { 2 } else { 4 });
        let said = String::from_utf8(host.cli_raw(&["files"]).stdout).unwrap();
        assert!(said.contains(expected), "{said}");
    }
    let arrived = names(&downloads(&bo).join("trip"));
    let more: &[&str] = if is_root {
        &["locked", "photo.jpg", "secret"]
    } else {
        &["photo.jpg"]
    };
    assert_eq!(arrived, more);
}
