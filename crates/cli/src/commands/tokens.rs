//! Tokens of bots.

use super::{Context, names};
use crate::args::{TokenArgs, TokensCommand};
use crate::failure::Result;
use crate::out::{Paint, table};
use crate::show::Names;
use crate::{safe, text};
use hallway_api::{TokenRequest, TokenView};
use hallway_model::Name;

pub(super) async fn tokens(cx: &Context<'_>, command: Option<TokensCommand>) -> Result {
    match command {
        None => list(cx).await,
        Some(TokensCommand::Add(args)) => add(cx, args).await,
        Some(TokensCommand::Revoke { name }) => revoke(cx, &name).await,
    }
}

async fn list(cx: &Context<'_>) -> Result {
    let client = cx.client()?;
    let tokens = client.tokens().await?;
    if cx.out.json {
        cx.out.values(&tokens)?;
    } else if tokens.is_empty() {
        cx.out.note(text::NO_TOKENS);
    } else {
        let names = names(&client).await?;
        let rows: Vec<_> = tokens.iter().map(|token| row(&names, token)).collect();
        cx.out.text(&table(cx.out, &rows))?;
    }
    Ok(())
}

/// What it is called, what it may do, and where.
fn row(names: &Names, token: &TokenView) -> [(Paint, String); 3] {
    let rights = [
        (token.read, text::TOKEN_READS),
        (token.send, text::TOKEN_SENDS),
        (token.metrics, text::TOKEN_METRICS),
    ];
    let rights = rights
        .iter()
        .filter(|(has, _)| *has)
        .map(|(_, right)| *right);
    let rights: Vec<_> = rights.collect();
    let place = match &token.conversations {
        _ if !(token.read || token.send) => String::new(),
        None => text::TOKEN_EVERYWHERE.to_owned(),
        Some(peers) => {
            let peers: Vec<_> = peers.iter().map(|peer| names.of(peer)).collect();
            text::token_in(&peers.join(", "))
        }
    };
    [
        (Paint::Bold, safe::one_line(token.name.as_str())),
        (Paint::Plain, rights.join(", ")),
        (Paint::Plain, place),
    ]
}

/// The secret is the result; all else is talk.
async fn add(cx: &Context<'_>, args: TokenArgs) -> Result {
    let request = TokenRequest {
        name: args.name,
        read: args.read,
        send: args.send,
        metrics: args.metrics,
        conversations: Some(args.conversations).filter(|peers| !peers.is_empty()),
    };
    let made = cx.client()?.add_token(&request).await?;
    let name = safe::one_line(made.token.name.as_str());
    cx.out.note(&text::token_made(&name, made.url.as_deref()));
    Ok(cx.out.either(&made, || made.secret.clone())?)
}

async fn revoke(cx: &Context<'_>, name: &Name) -> Result {
    let token = cx.client()?.revoke_token(name).await?;
    cx.out
        .note(&text::token_revoked(&safe::one_line(name.as_str())));
    if cx.out.json {
        cx.out.value(&token)?;
    }
    Ok(())
}
