//! Sending and changing messages.

use super::{Context, exactly};
use crate::args::SendArgs;
use crate::failure::{Failure, Result};
use crate::{show, text};
use anyhow::anyhow;
use hallway_api::{ReactionRequest, SendRequest};
use hallway_model::{Delivery, MessageId, PeerView, Presence, TEXT_BYTES_MAX};
use std::io::{self, IsTerminal, Read};
use std::time::Duration;

/// How long a person waits for the word "delivered" who did not ask for it: long enough for a
/// slow network, short enough not to be annoyed.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long `--wait` waits for a text when nothing says how long.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn send(cx: &Context<'_>, args: SendArgs) -> Result {
    let mut request = message(&args)?;
    let client = cx.client()?;
    let peer = client.peer(&args.peer).await?;
    request.to = exactly(&peer);
    let (wait, timeout) = match args.wait {
        Some(wait) => (wait.into(), args.timeout.unwrap_or(TIMEOUT)),
        None if peer.state == Presence::Offline => (Delivery::Queued, PATIENCE),
        None => (Delivery::Delivered, PATIENCE),
    };
    request.wait = Some(wait);
    request.timeout_ms = Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    request.client_id = args.client_id;
    let sent = client.send(&request).await?;
    if cx.out.json {
        cx.out.value(&sent)?;
    }
    match args.wait {
        Some(_) if sent.state < wait => Err(fell_short(&peer, sent.state)),
        _ => {
            cx.out.note(&text::sent(&show::label(&peer), sent.state));
            Ok(())
        }
    }
}

fn fell_short(peer: &PeerView, state: Delivery) -> Failure {
    let name = show::label(peer);
    match state {
        Delivery::Queued => Failure::NotDelivered(text::still_queued(&name)),
        Delivery::Sent | Delivery::Delivered | Delivery::Read => {
            Failure::TimedOut(text::no_receipt(&name))
        }
    }
}

fn message(args: &SendArgs) -> Result<SendRequest> {
    let mut request = SendRequest {
        delete: args.delete,
        ..SendRequest::default()
    };
    if let [target, emoji] = args.react.as_slice() {
        request.reaction = Some(reaction(target, emoji, true)?);
    } else if let [target, emoji] = args.unreact.as_slice() {
        request.reaction = Some(reaction(target, emoji, false)?);
    } else if args.delete.is_none() {
        request.text = Some(text_of(&args.text)?);
        request.reply_to = args.reply;
        request.edit = args.edit;
    }
    Ok(request)
}

fn reaction(target: &str, emoji: &str, on: bool) -> Result<ReactionRequest> {
    let target: MessageId = target
        .parse()
        .map_err(|error| Failure::Usage(format!("{target}: {error}")))?;
    Ok(ReactionRequest {
        target,
        emoji: emoji.to_owned(),
        on,
    })
}

/// The words given, or what comes through the pipe.
fn text_of(words: &[String]) -> Result<String> {
    match words {
        [dash] if dash == "-" => read_text(io::stdin().lock()),
        [] if io::stdin().is_terminal() => Err(Failure::Usage(text::NO_TEXT.into())),
        [] => read_text(io::stdin().lock()),
        words => Ok(words.join(" ")),
    }
}

/// A text without the line break that ends the output of a command. It stops reading where the
/// text is too long anyway.
fn read_text(from: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    from.take(TEXT_BYTES_MAX as u64 + 2)
        .read_to_end(&mut bytes)?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.len() > TEXT_BYTES_MAX {
        return Err(anyhow!(text::text_too_long(TEXT_BYTES_MAX)).into());
    }
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(anyhow!(text::STDIN_NOT_TEXT).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> std::result::Result<String, String> {
        read_text(bytes).map_err(|failure| {
            let Failure::Other(why) = failure else {
                panic!("{failure:?}")
            };
            why.to_string()
        })
    }

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_the_text() {
        assert_eq!(read(b"hi\n").unwrap(), "hi");
        assert_eq!(read(b"hi\r\n").unwrap(), "hi");
        assert_eq!(read(b"two\n\n").unwrap(), "two\n");
        assert_eq!(read("王\n".as_bytes()).unwrap(), "王");
    }

    #[test]
    fn a_text_at_the_limit_is_taken_and_one_byte_more_is_not() {
        let longest = "x".repeat(TEXT_BYTES_MAX);
        assert_eq!(read(longest.as_bytes()).unwrap(), longest);
        assert_eq!(read(format!("{longest}\n").as_bytes()).unwrap(), longest);
        let refused = read(format!("{longest}xx").as_bytes()).unwrap_err();
        assert_eq!(refused, text::text_too_long(TEXT_BYTES_MAX));
        assert!(read(format!("{longest}x\n").as_bytes()).is_err());
        let endless = read_text(io::repeat(b'x'));
        assert!(matches!(endless, Err(Failure::Other(_))));
    }

    #[test]
    fn what_is_not_text_is_refused() {
        assert_eq!(read(b"\xff\xfe").unwrap_err(), text::STDIN_NOT_TEXT);
    }
}
