//! What the README shows to those who write scripts, run as it stands there.

use crate::run::{Home, friends};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;

const README: &str = include_str!("../../../../README.md");

/// The blocks of code in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let open = format!("```{language}\n");
    README
        .split(open.as_str())
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect()
}

/// The one block in this language that has this in it.
fn block(language: &str, part: &str) -> &'static str {
    let found: Vec<_> = blocks(language)
        .into_iter()
        .filter(|block| block.contains(part))
        .collect();
    assert_eq!(
        found.len(),
        1,
        "{part} is in {} blocks of the README",
        found.len()
    );
    found[0]
}

/// Runs a script as a person would, with `hallway` on their path.
fn bash(home: &Home, folder: &Path, script: &str) -> Child {
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_hallway"), bin.join("hallway")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    Command::new("bash")
        .args(["-e", "-o", "pipefail", "-c", script])
        .current_dir(folder)
        .env("PATH", path)
        .env("HALLWAY_HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn lines(child: &mut Child) -> std::io::Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

#[test]
fn the_pipe_into_jq_prints_texts() {
    let (ann, bo) = friends("Bo");
    let folder = TempDir::new().unwrap();
    let script = block("sh", "tail --json | jq");
    let line = script.lines().find(|line| line.contains("| jq")).unwrap();
    let mut child = bash(&ann, folder.path(), line);
    let mut printed = lines(&mut child);
    let (heard, first) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        heard.send(printed.next().unwrap().unwrap()).unwrap();
        printed.count()
    });
    // When it has begun to listen, nobody tells: it hears one of these.
    let said = (0..).find_map(|n| {
        bo.tell("Ann", &format!("lunch {n}"));
        first.try_recv().ok()
    });
    assert!(said.unwrap().starts_with("lunch "));
    assert_eq!(ann.run(&["stop"]).code, 0);
    assert!(child.wait().unwrap().success());
    reader.join().unwrap();
}

#[test]
fn the_bot_answers_once() {
    let bot = block("python", "urllib");
    assert!(bot.lines().count() <= 20, "{} lines", bot.lines().count());
    let (ann, bo) = friends("Bo");
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("bot.py"), bot).unwrap();
    let mut events = bo.follow(&["tail", "--json", "--since", "0"]);
    let mut child = bash(&ann, folder.path(), block("sh", "bot.py"));
    bo.tell("Ann", "not for a bot");
    bo.tell("Ann", "ping");
    let answer = events.until(|event| event["message"]["text"] == "pong");
    assert_eq!(answer["message"]["reply_to"]["text"], json!("ping"));
    // It is started again and hears everything again, and does not repeat itself.
    ann.run(&["stop"]);
    assert!(child.wait().unwrap().success());
    let mut ann = ann;
    ann.ended();
    ann.start(&["--key-store", "file"]);
    assert_eq!(bo.run(&["connect", &ann.address()]).code, 0);
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("bot.py"), bot).unwrap();
    assert_eq!(ann.run(&["tokens", "revoke", "ping-bot"]).code, 0);
    let mut child = bash(&ann, folder.path(), block("sh", "bot.py"));
    bo.tell("Ann", "ping");
    events.until(|event| event["message"]["text"] == "pong");
    let pongs = || ann.run(&["log", "Bo"]).out.matches("pong").count();
    assert_eq!(pongs(), 2);
    ann.run(&["stop"]);
    assert!(child.wait().unwrap().success());
}
