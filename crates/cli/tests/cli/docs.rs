//! Help, manual pages and completions.

use crate::run::{Home, assert_said};

/// Every command the program has.
const COMMANDS: [&str; 36] = [
    "up",
    "open",
    "tui",
    "stop",
    "status",
    "id",
    "name",
    "set-status",
    "peers",
    "connect",
    "send",
    "files",
    "log",
    "tail",
    "call",
    "answer",
    "hang-up",
    "mute",
    "hold",
    "talk",
    "calls",
    "verify",
    "block",
    "unblock",
    "forget",
    "requests",
    "devices",
    "settings",
    "notify",
    "doctor",
    "echo",
    "tokens",
    "autostart",
    "export",
    "completions",
    "man",
];

#[test]
fn help_shows_commands_exit_codes_and_examples() {
    assert_said!(Home::empty().run(&["--help"]).all(), @"
    exit 0
    Talk to the people on your network, without a server.

    `hallway` alone starts your node in the background if it does not run yet, and opens its page, or
    the terminal app where there is no desktop. `hallway up` runs the node in the foreground; all other
    commands speak with it. A peer is named by a name, a tag (four characters), an id, or name~tag where
    two have one name.

    Usage: hallway [OPTIONS] [COMMAND]

    Commands:
      up           Run your node in the foreground, until Ctrl-C or `hallway stop`
      open         Open the page: people, talks, calls and files in a window
      tui          Open the terminal app: people, talks, calls and files
      stop         Stop the node, and wait until it is gone
      status       Show the node: name, port, addresses, sessions, what is wrong
      id           Print your id
      name         Print your name, or take a new one
      set-status   Tell others whether you are there
      peers        List who is here, and whom you know
      connect      Connect to an address, for networks without multicast
      send         Send a message, or change one
      files        List the files that come and go, or decide about one
      log          Show what was written
      tail         Show every event as it happens
      call         Call a peer, and stay until it is over; Ctrl-C hangs up
      answer       Answer the call that rings; one you are in is held
      hang-up      Hang up, give up or decline
      mute         Let nothing of your microphone through
      hold         Hold a call, or go on with it; another you are in is then held
      talk         Be heard in a call while this runs, and muted afterwards
      calls        List the calls there are, and the latest there were
      verify       Compare the safety number with a peer
      block        Let nothing from or to a peer pass
      unblock      Undo a block
      forget       Remove a peer and everything you wrote with them
      requests     List strangers who wrote, and decide
      devices      List microphones and speakers, choose, and try them out
      settings     Show what you have chosen about the node, or change it
      notify       Say whether a peer's messages are notified, or change that
      doctor       Find out what is wrong with this network, or the way to a peer
      echo         Run a test contact that answers what it is sent
      tokens       List the tokens of bots, make one, or revoke one
      autostart    Start the node at login, or no longer
      export       Print everything as JSON Lines, to keep or to move
      completions  Print completions for a shell: commands, options, files and peers
      man          Print the manual page, or write all of them
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Options of every command:
          --home <DIR>
              Folder of the node's data; one node runs in each
              
              [env: HALLWAY_HOME]

          --json
              Print JSON: one object, or one on each line

    Exit codes:
      0  done
      1  anything not listed here
      2  the command line is wrong
      3  the node is not running
      4  refused: blocked, not verified, a call declined, or a name that more than one peer has
      5  queued, but not delivered; or not there to be called
      6  timed out

    Examples:
      hallway                            start, and open the page
      hallway up --name Ann              run your node, and be seen as Ann
      hallway peers                      who is here
      hallway send Bo 'Lunch at noon?'   write to Bo
      hallway log Bo                     what you and Bo wrote
      hallway echo                       a test contact, to try everything alone
    ");
}

#[test]
fn help_of_up() {
    assert_said!(Home::empty().run(&["up", "-h"]).all(), @"
    exit 0
    Run your node in the foreground, until Ctrl-C or `hallway stop`

    Usage: hallway up [OPTIONS]

    Options:
          --name <NAME>             The name others see; it is kept for the next time
          --no-web                  Serve no page for a browser on this computer
          --input <NAME>            The microphone of calls for this run: its name, or a part of it; see
                                    `hallway devices`
          --output <NAME>           The speaker of calls for this run
          --port <P>                TCP and UDP port; 0 for any. Without this: 42550, or another when
                                    that is taken
          --no-mdns                 Neither announce this node nor look for others
          --log <LEVEL>             What to log to stderr: off, error, warn, info (without this), debug,
                                    trace, or a level for a part: warn,hallway_node=debug [env:
                                    HALLWAY_LOG]
          --key-store <KEY_STORE>   Keep the secret keys there, or move them there [possible values:
                                    auto, keyring, file, passphrase]
          --passphrase-file <FILE>  Read the passphrase from this file, not the terminal
      -h, --help                    Print help (see more with '--help')

    Options of every command:
          --home <DIR>  Folder of the node's data; one node runs in each [env: HALLWAY_HOME]
          --json        Print JSON: one object, or one on each line

    Examples:
      hallway up --name Ann
      hallway up --key-store passphrase --passphrase-file ~/.secret
      hallway up --home /tmp/b --port 0 --no-mdns
      hallway up --json | head -1        one line of JSON as soon as the node is ready
    ");
}

#[test]
fn help_of_send() {
    assert_said!(Home::empty().run(&["send", "-h"]).all(), @"
    exit 0
    Send a message, or change one

    Usage: hallway send [OPTIONS] <PEER> [TEXT]...

    Arguments:
      <PEER>     A name, a tag, an id, or name~tag
      [TEXT]...  The text; `-`, or nothing at the end of a pipe, for stdin

    Options:
          --reply <ID>            Answer this message
          --edit <ID>             Put the text in the place of your own message's
          --delete <ID>           Take your own message back
          --react <ID> <EMOJI>    Set an emoji on a message
          --unreact <ID> <EMOJI>  Take your emoji off a message
      -f, --file <PATH>           Send this file or folder; further words are further peers
          --wait <WAIT>           Return once the message has come this far [possible values: queued,
                                  sent, delivered]
          --timeout <S>           Seconds to wait; 10 without this, for files without end
          --client-id <X>         A name for this message: sending it again with the same one sends it
                                  once
      -h, --help                  Print help (see more with '--help')

    Options of every command:
          --home <DIR>  Folder of the node's data; one node runs in each [env: HALLWAY_HOME]
          --json        Print JSON: one object, or one on each line

    Without --wait it waits up to two seconds for delivery when the peer is here, and not at all
    when they are away: the message then goes out when they come back.

    Examples:
      hallway send Bo 'Lunch at noon?'
      uptime | hallway send Bo
      hallway send Bo~[tg] hello --wait delivered --timeout 30
      hallway send Bo 'yes' --reply 5d0c…      answer a message; `log --ids` shows the ids
      hallway send Bo --react 5d0c… 👍
      hallway send Bo --file report.pdf
      hallway send Bo --file photos/ --wait delivered      with a bar, until Bo has all of it
    ");
}

#[test]
fn help_of_log() {
    assert_said!(Home::empty().run(&["log", "-h"]).all(), @"
    exit 0
    Show what was written

    Usage: hallway log [OPTIONS] [PEER]

    Arguments:
      [PEER]  With whom: a name, a tag, an id, or name~tag

    Options:
          --since <T>       From then on: 2026-03-01, '2026-03-01 14:30', 14:30, 2h, 3d, today,
                            yesterday, or milliseconds as in the JSON
          --limit <N>       At most so many, the latest; 50 without this and --since
          --search <WORDS>  Only messages with all of these words
          --ids             Show the ids, for --reply, --edit, --delete and --react
          --mark-read       Also with --json, tell the peer that you have seen it
      -h, --help            Print help

    Options of every command:
          --home <DIR>  Folder of the node's data; one node runs in each [env: HALLWAY_HOME]
          --json        Print JSON: one object, or one on each line

    Examples:
      hallway log Bo
      hallway log Bo --since yesterday
      hallway log Bo --since 2026-03-01 --limit 500 --json
      hallway log --search 午饭            in all conversations
    ");
}

/// The commands below this one, as its help lists them.
fn below(home: &Home, words: &[String]) -> Vec<Vec<String>> {
    let line: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
    let help = home.run(&line).out;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help");
    names
        .map(|name| [words, &[name.to_owned()]].concat())
        .collect()
}

/// Every command there is, with those below others.
pub(crate) fn all_commands(home: &Home) -> Vec<Vec<String>> {
    let (mut found, mut at) = (below(home, &[]), 0);
    while let Some(command) = found.get(at) {
        let more = below(home, &command.clone());
        found.extend(more);
        at += 1;
    }
    found
}

#[test]
fn every_command_shows_examples_of_itself() {
    let home = Home::empty();
    let dir = home.path().join("man");
    assert_eq!(home.run(&["man", "--dir", dir.to_str().unwrap()]).code, 0);
    let all = all_commands(&home);
    assert!(all.len() > COMMANDS.len());
    for command in all {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let help = home.run(&[&words[..], &["--help"]].concat()).out;
        let (_, examples) = help
            .split_once("Examples:\n")
            .unwrap_or_else(|| panic!("{words:?} has no examples"));
        assert!(
            examples.contains(&format!("hallway {}", words.join(" "))),
            "{words:?}: {examples}"
        );
        let page =
            std::fs::read_to_string(dir.join(format!("hallway-{}.1", words.join("-")))).unwrap();
        assert!(page.contains("\n.SH EXAMPLES\n"), "{words:?}");
    }
}

#[test]
fn every_command_has_help_json_and_a_manual_page() {
    let home = Home::empty();
    let all = home.run(&["--help"]).out;
    let dir = home.path().join("man");
    let written = home.run(&["man", "--dir", dir.to_str().unwrap()]);
    assert_eq!(written.code, 0, "{}", written.err);
    for command in COMMANDS {
        assert!(
            all.contains(&format!("\n  {command} ")),
            "{command} is not in --help"
        );
        let help = home.run(&[command, "--help"]);
        assert_eq!(help.code, 0);
        assert!(
            help.out.contains("--json") && help.out.contains("--home"),
            "{command}"
        );
        let page = std::fs::read_to_string(dir.join(format!("hallway-{command}.1"))).unwrap();
        assert!(page.contains(".SH NAME"), "{command}");
    }
    let listed = all.lines().skip_while(|l| *l != "Commands:").skip(1);
    // One more: `help` itself.
    assert_eq!(
        listed.take_while(|l| !l.is_empty()).count(),
        COMMANDS.len() + 1
    );
    assert!(home.run(&["man"]).out.contains(".TH hallway 1"));
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = Home::empty().run(&["completions", shell]);
        assert_eq!(script.code, 0);
        assert!(script.out.contains("COMPLETE"), "{shell}: {}", script.out);
    }
    // Where zsh looks for completions by itself, this line says what for, and the last ones answer.
    let script = Home::empty().run(&["completions", "zsh"]).out;
    assert!(script.starts_with("#compdef hallway\n"), "{script}");
    assert!(
        script.ends_with("_clap_dynamic_completer_hallway \"$@\"\nfi\n"),
        "{script}"
    );
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let home = Home::empty();
    for wrong in [
        &["sned"][..],
        &["send"],
        &["log"],
        &["log", "Bo", "--since", "soon"],
        &["log", "--search", "x", "--limit", "1001"],
        &["send", "Bo", "hi", "--edit", "12"],
        &["send", "Bo", "--react", "12"],
        &["send", "Bo", "--react", "12", "x"],
        &["send", "Bo", "hi", "--wait", "forever"],
        &["send", "Bo", "hi", "--timeout", "3"],
        &["send", "Bo", "hi", "--wait", "sent", "--timeout", "-1"],
        &["name", "a\u{7}b"],
        &["set-status", "asleep"],
        &["up", "--port", "70000"],
        &["up", "--log", "=?"],
        &["verify", "Bo", "1", "--keep-name"],
        &["stop", "--timeout", "soon"],
        &["stop", "--timeout", "nan"],
        &["tail", "--since", "yesterday"],
        &["tail", "--since", "-1"],
        &["calls", "--limit", "-1"],
        &["log", "Bo", "--limit", "many"],
        &["settings", "--accept", "much"],
        &["settings", "--read-receipts", "perhaps"],
        &["notify", "Bo", "perhaps"],
    ] {
        let ran = home.run(wrong);
        assert_eq!(ran.code, 2, "{wrong:?}: {}{}", ran.out, ran.err);
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{wrong:?}");
    }
    assert_said!(home.run(&["name", &"王".repeat(22)]).all(), @"
    exit 2
    -- stderr
    error: invalid value '王王王王王王王王王王王王王王王王王王王王王王' for '[NEW]': this name takes 66 bytes; at most 64 fit (about 21 Chinese characters or 64 Latin letters)

    For more information, try '--help'.
    ");
    assert_said!(home.run(&["log", "Bo", "--since", "soon"]).all(), @r#"
    exit 2
    -- stderr
    hallway: "soon" is no time I know; try 2026-03-01, '2026-03-01 14:30', 14:30, 2h or yesterday
    "#);
    assert_said!(home.run(&["send", "Bo", "hi", "--edit", "12"]).all(), @"
    exit 2
    -- stderr
    error: invalid value '12' for '--edit <ID>': the id of a message or group has 32 digits; this one has 2

    For more information, try '--help'.
    ");
}

#[test]
fn a_failure_is_json_for_who_asks_for_json() {
    let home = Home::empty();
    for (command, code) in [
        (&["status"][..], "not_running"),
        (&["log", "Bo", "--since", "soon"], "usage"),
        (&["tail", "--since", "soon"], "usage"),
        (&["sned"], "usage"),
        (&["tui"], "failed"),
        (&["man", "--dir", "/proc/nowhere"], "failed"),
    ] {
        let ran = home.run(&[command, &["--json"]].concat());
        assert!(ran.out.is_empty() && ran.code != 0, "{command:?}");
        let last = ran.err.lines().last().unwrap();
        let problem: serde_json::Value = serde_json::from_str(last).unwrap();
        assert_eq!(problem["code"], code, "{command:?}");
        assert!(problem["detail"].as_str().unwrap().len() > 10);
    }
}

#[test]
fn what_is_for_other_programs_is_json_for_who_asks_for_json() {
    let home = Home::empty();
    let script = home.run(&["completions", "bash", "--json"]).json();
    assert!(script[0]["script"].as_str().unwrap().contains("complete"));
    let page = home.run(&["man", "--json"]).json();
    assert!(page[0]["page"].as_str().unwrap().contains(".SH NAME"));
    let dir = home.path().join("man");
    let pages = home.run(&["man", "--dir", dir.to_str().unwrap(), "--json"]);
    let pages = pages.json();
    let pages = pages[0]["pages"].as_array().unwrap();
    assert!(pages.contains(&dir.join("hallway-files-accept.1").to_str().unwrap().into()));
    assert_eq!(pages.len(), std::fs::read_dir(&dir).unwrap().count());
}

#[test]
fn without_a_node_it_says_how_to_start_one_and_ends_with_3() {
    let home = Home::empty();
    for command in [
        &["status"][..],
        &["id"],
        &["stop"],
        &["peers", "--watch"],
        &["send", "Bo", "hi"],
        &["tail"],
        &["log", "Bo"],
        &["verify", "Bo"],
        &["requests", "accept", "Bo"],
        &["export"],
    ] {
        assert_eq!(home.run(command).code, 3, "{command:?}");
    }
    assert_said!(home.run(&["status"]).all(), @"
    exit 3
    -- stderr
    hallway: no node is running here (nobody listens on [home]/api.sock). Start it with `hallway up`
    ");
}
