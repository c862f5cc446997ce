//! Tokens of bots at the command line.

use crate::run::{Home, assert_said, friends};

#[test]
fn tokens_are_made_listed_and_revoked() {
    let (ann, _bo) = friends("Bo");
    assert_said!(ann.run(&["tokens"]).all(), @"
    exit 0
    -- stderr
    No tokens
    ");
    let made = ann.run(&[
        "tokens",
        "add",
        "lunch bot",
        "--read",
        "--send",
        "--in",
        "Bo",
    ]);
    assert_eq!(made.code, 0, "{}", made.err);
    // Only the secret, so that it can go to a file.
    let secret = made.out.trim();
    assert!(
        secret.starts_with("hallway_") && secret.len() == 72,
        "{secret}"
    );
    assert!(
        made.err.contains("lunch bot") && !made.err.contains(secret),
        "{}",
        made.err
    );
    ann.run(&["tokens", "add", "all", "--read"]);
    ann.run(&["tokens", "add", "prometheus", "--metrics"]);
    assert_said!(ann.run(&["tokens"]).all(), @"
    exit 0
    lunch bot   reads, sends  with Bo
    all         reads         in all conversations
    prometheus  metrics
    ");
    assert!(!ann.run(&["tokens", "--json"]).out.contains(secret));
    assert_said!(ann.run(&["tokens", "revoke", "lunch bot"]).all(), @"
    exit 0
    -- stderr
    lunch bot is good no more
    ");
    assert_said!(ann.run(&["tokens", "revoke", "lunch bot"]).all(), @"
    exit 1
    -- stderr
    hallway: there is no token lunch bot; `hallway tokens` lists them
    ");
    assert_eq!(ann.run(&["tokens", "--json"]).json().len(), 2);
}

#[test]
fn a_token_for_nothing_or_nobody_is_not_made() {
    let home = Home::up("Ann");
    assert_eq!(home.run(&["tokens", "add", "bot"]).code, 2);
    assert_eq!(home.run(&["tokens", "add", "--read"]).code, 2);
    assert_eq!(
        home.run(&["tokens", "add", "bot", "--read", "--in", "Nobody"])
            .code,
        1
    );
    assert!(home.run(&["tokens", "--json"]).out.is_empty());
}
