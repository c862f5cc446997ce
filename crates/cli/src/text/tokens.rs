//! The words about tokens of bots.

/// What `--help` says of them.
pub(crate) mod help {
    pub(crate) const TOKENS: &str = "List the tokens of bots, make one, or revoke one";
    pub(crate) const TOKENS_AFTER: &str = "\
A bot that holds a token may do with the API what the token says and nothing else: it sees no
other conversation, no settings, no files, no calls and no tokens. `hallway status` and everything
else here needs none.

Examples:
  hallway tokens
  hallway tokens add lunch-bot --read --send --in Bo Cy
  hallway tokens revoke lunch-bot";
    pub(crate) const TOKENS_ADD: &str = "Make a token, and print its secret this once";
    pub(crate) const TOKENS_ADD_AFTER: &str = "\
The secret goes to the header `Authorization: Bearer`, on the address that is shown or on the
socket `api.sock` in the home. Nobody can read it again: keep it where only the bot can.

Examples:
  hallway tokens add lunch-bot --read --send --in Bo Cy
  hallway tokens add alarms --send --in Bo > ~/.alarms.token
  hallway tokens add prometheus --metrics";
    pub(crate) const TOKENS_NAME: &str = "What the token is called";
    pub(crate) const TOKENS_READ: &str = "It may read, and hear what happens";
    pub(crate) const TOKENS_SEND: &str = "It may send texts, replies and reactions";
    pub(crate) const TOKENS_METRICS: &str = "It may read /metrics, for Prometheus";
    pub(crate) const TOKENS_IN: &str = "Only in the conversations with these; in all without this";
    pub(crate) const TOKENS_REVOKE: &str = "Make a token good no more; what its bot does ends";
    pub(crate) const TOKENS_REVOKE_AFTER: &str = "\
Examples:
  hallway tokens revoke lunch-bot";
}

pub(crate) const NO_TOKENS: &str = "No tokens";
pub(crate) const TOKEN_READS: &str = "reads";
pub(crate) const TOKEN_SENDS: &str = "sends";
pub(crate) const TOKEN_METRICS: &str = "metrics";
pub(crate) const TOKEN_EVERYWHERE: &str = "in all conversations";

pub(crate) fn token_in(names: &str) -> String {
    format!("with {names}")
}

pub(crate) fn token_made(name: &str, url: Option<&str>) -> String {
    match url {
        Some(url) => format!("This is the secret of {name}, told only now; its API is at {url}"),
        None => format!("This is the secret of {name}, told only now; its API is on the socket"),
    }
}

pub(crate) fn token_revoked(name: &str) -> String {
    format!("{name} is good no more")
}
