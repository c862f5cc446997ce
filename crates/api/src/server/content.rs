//! What has arrived or is sent, for a browser: whole files or parts of them, and the small pictures
//! of offers.
//!
//! Whatever a file is, nothing in it runs under the page's origin: it is sent as an attachment
//! that the browser must not look into, in a sandbox, and only pictures of a short list may be
//! shown in place.

use super::files::find;
use super::request::{Asked, Segment};
use super::route::ANYTHING;
use super::{Result, off_the_reactor, unreadable};
use crate::problem::ProblemView;
use crate::schema::ContentQuery;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hallway_model::{MessageId, Problem, Refusal, TransferState, TransferView};
use hallway_node::Handle;
use hallway_node::files::{PICTURE_HEAD_BYTES, picture_type};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::sync::Arc;

/// Read at once for a client that takes it.
const PIECE_BYTES: usize = 256 * 1024;

/// RFC 8187, attr-char: all else is percent-encoded.
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// What a small picture may be.
pub(super) const THUMBNAILS: &[&str] = &["image/jpeg", "image/png"];

/// What [`content`] may be: a picture that browsers know, where that is asked for.
pub(super) const CONTENTS: &[&str] = &[
    ANYTHING,
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
];

/// Nothing in it may run, load or be framed, whatever the browser makes of it.
const POLICY: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

pub(super) async fn content(
    State(node): State<Handle>,
    Segment(id): Segment,
    Asked(query): Asked<ContentQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let transfer = find(&node, &id).await?;
    let opened = off_the_reactor(move || open(&transfer)).await?;
    Ok(respond(opened, query.inline, &headers))
}

/// The small picture that came with an offer, as it came: the browser decodes it.
pub(super) async fn thumbnail(
    State(node): State<Handle>,
    Segment(id): Segment,
) -> Result<Response> {
    let none = || {
        let detail = format!("there is no small picture with the transfer {id}");
        ProblemView::refused(&Refusal::new(Problem::NoSuchTransfer, detail))
    };
    let message: MessageId = id.parse().map_err(|_| none())?;
    let found = off_the_reactor(move || node.reader().message(None, &message).map_err(unreadable));
    let found = found.await?.filter(|found| !found.deleted);
    let offer = found.as_ref().and_then(|found| found.message.offer());
    let picture = offer.and_then(|offer| offer.thumbnail.clone());
    let picture = picture.ok_or_else(none)?;
    // Two kinds are agreed upon. What claims to be another is not handed to a decoder at all.
    let media_type = picture_type(&picture).filter(|kind| THUMBNAILS.contains(kind));
    let media_type = media_type.ok_or_else(none)?;
    let headers = [
        (header::CONTENT_TYPE, media_type),
        // A message is never another one.
        (
            header::CACHE_CONTROL,
            "private, max-age=31536000, immutable",
        ),
    ];
    Ok((guarded(), headers, picture).into_response())
}

fn guarded() -> [(header::HeaderName, HeaderValue); 3] {
    [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ]
}

/// A file that has arrived or is sent, as it is now.
struct Opened {
    file: File,
    name: String,
    bytes: u64,
    /// Changes whenever the file does.
    tag: String,
    /// It is a picture that browsers show.
    picture: Option<&'static str>,
}

fn open(transfer: &TransferView) -> Result<Opened> {
    let refused = |problem, detail: &str| ProblemView::refused(&Refusal::new(problem, detail));
    if transfer.incoming && transfer.state != TransferState::Done {
        let detail = "only what has arrived whole can be fetched; `GET files` shows what has";
        return Err(refused(Problem::TransferState, detail));
    }
    let Some(path) = transfer.path.as_deref() else {
        return Err(refused(Problem::FileUnreadable, "nobody knows where it is"));
    };
    if transfer.file.folder {
        let detail = format!("it is a folder; it is at {}", path.display());
        return Err(refused(Problem::TransferState, &detail));
    }
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(flags.bits().cast_signed());
    let opened = options.open(path).and_then(|file| {
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("it is no file any more"));
        }
        let mut head = [0; PICTURE_HEAD_BYTES];
        let length = file.read_at(&mut head, 0)?;
        let picture = picture_type(head.get(..length).unwrap_or_default());
        Ok((file, found, picture))
    });
    let (file, found, picture) = opened.map_err(|error| {
        let detail = format!("{} cannot be read any more: {error}", path.display());
        refused(Problem::FileUnreadable, &detail)
    })?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(Opened {
        file,
        name: name.into_owned(),
        bytes: found.len(),
        tag: tag_of(&found),
        picture,
    })
}

fn tag_of(found: &Metadata) -> String {
    let (ino, len) = (found.ino(), found.len());
    let (s, ns) = (found.mtime(), found.mtime_nsec());
    format!("\"{ino:x}-{len:x}-{s:x}-{ns:x}\"")
}

fn respond(opened: Opened, inline: bool, asked: &HeaderMap) -> Response {
    let shown = opened.picture.filter(|_| inline);
    let way = if shown.is_some() {
        "inline"
    } else {
        "attachment"
    };
    let disposition = disposition(way, &opened.name);
    let tag = HeaderValue::try_from(&opened.tag).expect("a tag is hexadecimal in quotes");
    let fixed = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(shown.unwrap_or(ANYTHING)),
        ),
        (header::CONTENT_DISPOSITION, disposition),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        ),
        (header::ETAG, tag.clone()),
    ];
    if asked.get(header::IF_NONE_MATCH) == Some(&tag) {
        return (StatusCode::NOT_MODIFIED, guarded(), fixed).into_response();
    }
    // A part of another version of the file would not fit to what the client has.
    let same = asked
        .get(header::IF_RANGE)
        .is_none_or(|known| *known == tag);
    let range = asked.get(header::RANGE).filter(|_| same);
    let wanted = range.map_or(Wanted::All, |range| wanted(range, opened.bytes));
    let (status, first, bytes) = match wanted {
        Wanted::All => (StatusCode::OK, 0, opened.bytes),
        Wanted::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Wanted::Nothing => {
            let range = [(header::CONTENT_RANGE, format!("bytes */{}", opened.bytes))];
            return (range, ProblemView::no_such_range(opened.bytes)).into_response();
        }
    };
    let mut response = (status, guarded(), fixed, body(opened.file, first, bytes)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, bytes.into());
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{}", first + bytes - 1, opened.bytes);
        let range = HeaderValue::try_from(range).expect("numbers are visible ASCII");
        headers.insert(header::CONTENT_RANGE, range);
    }
    response
}

/// A part of a file, read as fast as the client takes it.
fn body(file: File, first: u64, bytes: u64) -> Body {
    let file = Arc::new(file);
    let end = first + bytes;
    let pieces = stream::try_unfold(first, move |at| {
        let file = file.clone();
        async move {
            let length = usize::try_from(end - at)
                .unwrap_or(usize::MAX)
                .min(PIECE_BYTES);
            if length == 0 {
                return Ok(None);
            }
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; length];
                file.read_exact_at(&mut piece, at)?;
                Ok::<_, io::Error>(Bytes::from(piece))
            });
            let piece = read.await.map_err(io::Error::other)??;
            Ok::<_, io::Error>(Some((piece, at + length as u64)))
        }
    });
    Body::from_stream(pieces)
}

/// What of a file a request is about.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// All of it; also where the range is of a kind that we may ignore.
    All,
    /// From one byte to another, both included.
    Part { first: u64, last: u64 },
    /// What is not in it.
    Nothing,
}

/// RFC 9110, section 14. Several ranges at once may be answered with all of it.
fn wanted(range: &HeaderValue, bytes: u64) -> Wanted {
    let spec = range
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("bytes="));
    let Some((from, to)) = spec.and_then(|spec| spec.trim().split_once('-')) else {
        return Wanted::All;
    };
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More than fits is beyond any end.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = match (number(from), number(to)) {
        (Some(first), Some(last)) if first <= last => (first, last),
        (Some(first), None) if to.is_empty() => (first, u64::MAX),
        (None, Some(suffix)) if from.is_empty() => match suffix {
            0 => return Wanted::Nothing,
            suffix => (bytes.saturating_sub(suffix), u64::MAX),
        },
        _ => return Wanted::All,
    };
    if first >= bytes {
        return Wanted::Nothing;
    }
    let last = last.min(bytes - 1);
    Wanted::Part { first, last }
}

/// RFC 6266: the name in ASCII for old readers, and whole for all others.
fn disposition(way: &str, name: &str) -> HeaderValue {
    let plain: String = name
        .chars()
        .map(|c| match c {
            // Some readers decode percent signs, and some end at a backslash.
            '"' | '\\' | '%' => '_',
            ' '..='~' => c,
            _ => '_',
        })
        .collect();
    let whole = utf8_percent_encode(name, ATTRIBUTE);
    let value = format!("{way}; filename=\"{plain}\"; filename*=UTF-8''{whole}");
    HeaderValue::try_from(value).expect("only visible ASCII is left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_what_the_standard_says() {
        let of = |range: &str, bytes| wanted(&HeaderValue::from_str(range).unwrap(), bytes);
        let part = |first, last| Wanted::Part { first, last };
        for (range, bytes, expected) in [
            ("bytes=0-0", 10, part(0, 0)),
            ("bytes=0-", 10, part(0, 9)),
            ("bytes=3-5", 10, part(3, 5)),
            ("bytes=9-", 10, part(9, 9)),
            ("bytes=3-99", 10, part(3, 9)),
            ("bytes=3-18446744073709551616", 10, part(3, 9)),
            ("bytes=-3", 10, part(7, 9)),
            ("bytes=-99", 10, part(0, 9)),
            ("bytes= 1-2", 10, part(1, 2)),
            // Beyond the end, and nothing at all.
            ("bytes=10-", 10, Wanted::Nothing),
            ("bytes=99999999999999999999-", 10, Wanted::Nothing),
            ("bytes=-0", 10, Wanted::Nothing),
            ("bytes=0-", 0, Wanted::Nothing),
            ("bytes=-1", 0, Wanted::Nothing),
            // Not a range, or one that may be ignored.
            ("bytes=5-3", 10, Wanted::All),
            ("bytes=-", 10, Wanted::All),
            ("bytes=+1-2", 10, Wanted::All),
            ("bytes=0-1,3-4", 10, Wanted::All),
            ("lines=0-1", 10, Wanted::All),
            ("bytes", 10, Wanted::All),
            ("bytes=a-b", 10, Wanted::All),
            ("bytes=--1", 10, Wanted::All),
        ] {
            assert_eq!(of(range, bytes), expected, "{range} of {bytes}");
        }
    }

    #[test]
    fn no_name_breaks_out_of_its_header() {
        for (name, expected) in [
            (
                "a b.pdf",
                "attachment; filename=\"a b.pdf\"; filename*=UTF-8''a%20b.pdf",
            ),
            (
                "报.png",
                "attachment; filename=\"_.png\"; filename*=UTF-8''%E6%8A%A5.png",
            ),
            (
                "a\";x=\"b\\\r\nSet-Cookie: c%41",
                "attachment; filename=\"a_;x=_b___Set-Cookie: c_41\"; \
                 filename*=UTF-8''a%22%3Bx%3D%22b%5C%0D%0ASet-Cookie%3A%20c%2541",
            ),
            (
                "\u{202e}gnp.exe'",
                "attachment; filename=\"_gnp.exe'\"; filename*=UTF-8''%E2%80%AEgnp.exe%27",
            ),
        ] {
            assert_eq!(disposition("attachment", name), expected);
        }
    }
}
