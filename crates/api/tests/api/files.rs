//! Files through the API: uploads as a browser sends them, and what has arrived.

use crate::node::TestNode;
use crate::talk::{friends, until};
use hallway_api::{LogQuery, OfferRequest, SendRequest, TakeRequest};
use hallway_model::{EventKind, TransferState, TransferView};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// One white pixel.
pub(crate) const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// A reply with a body of any bytes.
pub(crate) struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) async fn begin(node: &TestNode, line: &str, headers: &str) -> UnixStream {
    let mut stream = UnixStream::connect(&node.socket).await.unwrap();
    let head = format!("{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

pub(crate) async fn reply(mut stream: UnixStream) -> Reply {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = bytes[end + 4..].to_vec();
    let reply = Reply {
        status,
        head,
        body: Vec::new(),
    };
    if reply.header("transfer-encoding") == Some("chunked") {
        body = dechunk(&body);
    }
    Reply { body, ..reply }
}

fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        whole.extend(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    whole
}

pub(crate) async fn get(node: &TestNode, path: &str, headers: &str) -> Reply {
    reply(begin(node, &format!("GET /api/v1/{path}"), headers).await).await
}

pub(crate) async fn upload(node: &TestNode, query: &str, body: &[u8]) -> Reply {
    let line = format!("POST /api/v1/files/upload?{query}");
    let headers = format!("Content-Length: {}\r\n", body.len());
    let mut stream = begin(node, &line, &headers).await;
    // The server may refuse before all of it is sent.
    let _ = stream.write_all(body).await;
    reply(stream).await
}

fn spool(node: &TestNode) -> PathBuf {
    node.home().join("uploads")
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Waits for the disk, of whose changes no event tells.
async fn until_entries(folder: &Path, count: usize) {
    while entries(folder) != count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn transfer(state: TransferState) -> impl Fn(&EventKind) -> Option<TransferView> {
    move |kind| {
        let EventKind::Transfer { transfer } = kind else {
            return None;
        };
        (transfer.state == state).then(|| TransferView::clone(transfer))
    }
}

/// What Bo gets of a file that Ann uploads.
pub(crate) async fn arrived(
    ann: &TestNode,
    bo: &TestNode,
    query: &str,
    body: &[u8],
) -> TransferView {
    let mut events = bo.client.events(None).await.unwrap();
    let sent = upload(ann, query, body).await;
    assert_eq!(sent.status, 200, "{}", sent.json());
    let offered = until(&mut events, transfer(TransferState::Offered)).await;
    let take = TakeRequest::default();
    bo.client.take_file(&offered.id, &take).await.unwrap();
    until(&mut events, transfer(TransferState::Done)).await
}

#[tokio::test]
async fn a_picture_goes_from_browser_to_browser() {
    let (ann, _, bo, _) = friends().await;
    let query = "to=Bo&name=..%2F..%2Fa%22b%0D%0A%E6%8A%A5.gif";
    let done = arrived(&ann, &bo, query, GIF).await;
    assert_eq!(done.file.name, ".._.._a_b__报.gif");
    assert_eq!(done.file.media_type.as_deref(), Some("image/gif"));
    assert!(done.file.thumbnail);
    let query = LogQuery {
        peer: Some("Ann".into()),
        limit: Some(1),
        ..LogQuery::default()
    };
    let said = bo.client.log(&query).await.unwrap();
    assert!(said[0].file.as_ref().unwrap().thumbnail);
    let place = done.path.unwrap();
    assert_eq!(std::fs::read(&place).unwrap(), GIF);
    // Whoever has sent it can still look at it. What is no picture is needed no more.
    arrived(&ann, &bo, "to=Bo&name=x.txt", b"text").await;
    until_entries(&spool(&ann), 1).await;
    let sent = get(&ann, &format!("files/{}/content?inline=true", done.id), "").await;
    assert_eq!((sent.status, sent.body.as_slice()), (200, GIF));

    for node in [&ann, &bo] {
        let small = get(node, &format!("files/{}/thumbnail", done.id), "").await;
        assert_eq!(
            (small.status, small.header("content-type")),
            (200, Some("image/jpeg"))
        );
        assert!(small.body.starts_with(b"\xff\xd8\xff"));
        assert_eq!(small.header("x-content-type-options"), Some("nosniff"));
    }

    let path = format!("files/{}/content", done.id);
    let whole = get(&bo, &path, "").await;
    assert_eq!((whole.status, whole.body.as_slice()), (200, GIF));
    assert_eq!(
        whole.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(
        whole.header("content-disposition"),
        Some(
            "attachment; filename=\".._.._a_b___.gif\"; filename*=UTF-8''.._.._a_b__%E6%8A%A5.gif"
        )
    );
    assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
    assert!(
        whole
            .header("content-security-policy")
            .unwrap()
            .contains("sandbox")
    );
    assert_eq!(
        whole.header("content-length"),
        Some(GIF.len().to_string().as_str())
    );
    let shown = get(&bo, &format!("{path}?inline=true"), "").await;
    assert_eq!(shown.header("content-type"), Some("image/gif"));
    assert!(
        shown
            .header("content-disposition")
            .unwrap()
            .starts_with("inline;")
    );

    let tag = whole.header("etag").unwrap();
    let part = get(&bo, &path, "Range: bytes=3-5\r\n").await;
    assert_eq!(
        (part.status, part.body.as_slice()),
        (206, b"89a".as_slice())
    );
    let range = format!("bytes 3-5/{}", GIF.len());
    assert_eq!(part.header("content-range"), Some(range.as_str()));
    let same = format!("Range: bytes=-1\r\nIf-Range: {tag}\r\n");
    assert_eq!(get(&bo, &path, &same).await.body, b";");
    let other = "Range: bytes=-1\r\nIf-Range: \"x\"\r\n";
    assert_eq!(get(&bo, &path, other).await.body, GIF);
    let behind = get(&bo, &path, &format!("Range: bytes={}-\r\n", GIF.len())).await;
    assert_eq!(
        (behind.status, behind.code().as_str()),
        (416, "no_such_range")
    );
    let range = format!("bytes */{}", GIF.len());
    assert_eq!(behind.header("content-range"), Some(range.as_str()));
    let known = get(&bo, &path, &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!((known.status, known.body.len()), (304, 0));

    // What it was replaced by is another file, and a link is nobody's business.
    std::fs::write(&place, "other").unwrap();
    assert_eq!(get(&bo, &path, &same).await.body, b"other");
    std::fs::remove_file(&place).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &place).unwrap();
    let refused = get(&bo, &path, "").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (422, "file_unreadable")
    );

    // Taken back, it goes with the next that is over.
    let take_back = SendRequest {
        to: "Bo".into(),
        delete: Some(done.id.parse().unwrap()),
        ..SendRequest::default()
    };
    ann.client.send(&take_back).await.unwrap();
    arrived(&ann, &bo, "to=Bo&name=y.txt", b"text").await;
    until_entries(&spool(&ann), 0).await;
}

#[tokio::test]
async fn a_page_in_a_file_is_never_shown_and_a_program_never_opened() {
    let (ann, _, bo, _) = friends().await;
    let page = b"<script>alert(1)</script>";
    let done = arrived(&ann, &bo, "to=Bo&name=x.html", page).await;
    assert_eq!((done.file.media_type, done.file.thumbnail), (None, false));
    let shown = get(&bo, &format!("files/{}/content?inline=true", done.id), "").await;
    assert_eq!(
        shown.header("content-type"),
        Some("application/octet-stream")
    );
    assert!(
        shown
            .header("content-disposition")
            .unwrap()
            .starts_with("attachment;")
    );
    let none = get(&bo, &format!("files/{}/thumbnail", done.id), "").await;
    assert_eq!(none.code(), "no_such_transfer");
    let json = "\nContent-Type: application/json";
    let open = format!("POST /api/v1/files/{}/open{json}", done.id);
    let (status, body) = bo.http(&open, "{}").await;
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("could_be_a_program"), "{body}");
}

#[tokio::test]
async fn one_upload_goes_to_several() {
    let (ann, _, bo, _) = friends().await;
    let cy = TestNode::start("Cy").await;
    ann.meet(&cy).await;
    let sent = upload(&ann, "to=Bo&to=Cy&name=x&client_id=1", b"hello").await;
    let transfers: Vec<TransferView> = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(transfers.len(), 2);
    assert_eq!(transfers[0].path, transfers[1].path);
    assert_eq!(entries(&spool(&ann)), 1);
    // The same request again offers nothing new, and leaves nothing.
    let again = upload(&ann, "to=Bo&to=Cy&name=x&client_id=1", b"hello").await;
    let again: Vec<TransferView> = serde_json::from_slice(&again.body).unwrap();
    let ids = |all: &[TransferView]| all.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&transfers));
    assert_eq!(entries(&spool(&ann)), 1);
    // It is there until the last of them has decided.
    ann.client.cancel_file(&transfers[0].id).await.unwrap();
    ann.client.cancel_file(&transfers[1].id).await.unwrap();
    until_entries(&spool(&ann), 0).await;
    drop(bo);
}

#[tokio::test]
async fn an_upload_is_refused_before_it_is_sent() {
    let ann = TestNode::start("Ann").await;
    let bo = TestNode::start("Bo").await;
    ann.meet(&bo).await;
    let too_many = "to=Bo&".repeat(65) + "name=x";
    for (query, status, code) in [
        ("", 400, "bad_request"),
        ("to=Bo", 400, "bad_request"),
        ("name=x", 400, "bad_request"),
        ("to=Bo&name=", 400, "bad_request"),
        ("to=Bo&name=x&nmae=y", 400, "bad_request"),
        ("to=Bo&name=x&name=y", 400, "bad_request"),
        (&too_many, 400, "bad_request"),
        ("to=Nobody&name=x", 404, "no_such_peer"),
    ] {
        let refused = upload(&ann, query, b"").await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (status, code),
            "{query}"
        );
    }
    // More than any disk holds: not a byte of it is awaited.
    let line = "POST /api/v1/files/upload?to=Bo&name=x";
    let headers = format!("Content-Length: {}\r\n", 1_u64 << 60);
    let refused = reply(begin(&ann, line, &headers).await).await;
    assert_eq!((refused.status, refused.code().as_str()), (507, "storage"));
    assert_eq!(entries(&spool(&ann)), 0);
}

#[tokio::test]
async fn an_upload_that_is_broken_off_leaves_nothing() {
    let (ann, _, _bo, _) = friends().await;
    let line = "POST /api/v1/files/upload?to=Bo&name=x";
    let mut stream = begin(&ann, line, "Content-Length: 1000000\r\n").await;
    stream.write_all(&[0; 1000]).await.unwrap();
    until_entries(&spool(&ann), 1).await;
    drop(stream);
    until_entries(&spool(&ann), 0).await;
    assert!(ann.client.files().await.unwrap().is_empty());
}

#[tokio::test]
async fn any_bytes_arrive_whole_however_slowly_they_come() {
    let (ann, _, bo, _) = friends().await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let done = arrived(&ann, &bo, "to=Bo&name=big.bin", &body).await;
    let path = format!("/api/v1/files/{}/content", done.id);
    let mut stream = begin(&bo, &format!("GET {path}"), "").await;
    // Reads a little at a time: the node waits for its reader.
    let mut got = Vec::new();
    let mut piece = vec![0; 10_007];
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        if read == 0 {
            break;
        }
        got.extend(&piece[..read]);
    }
    assert!(got.ends_with(&body));
    let line = "POST /api/v1/files/upload?to=Bo&name=chunked";
    let mut stream = begin(&ann, line, "Transfer-Encoding: chunked\r\n").await;
    for chunk in ["3\r\nabc\r\n", "2\r\nde\r\n", "0\r\n\r\n"] {
        stream.write_all(chunk.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
    }
    let sent = reply(stream).await;
    assert_eq!(sent.json()[0]["file"]["bytes"], 5);
}

#[tokio::test]
async fn what_has_not_arrived_or_is_a_folder_is_not_fetched() {
    let (ann, _, bo, _) = friends().await;
    let mut events = bo.client.events(None).await.unwrap();
    let folder = ann.home().join("some folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("x"), "y").unwrap();
    let offer = OfferRequest {
        to: "Bo".into(),
        path: folder,
        client_id: None,
    };
    ann.client.offer(&offer).await.unwrap();
    let offered = until(&mut events, transfer(TransferState::Offered)).await;
    let path = format!("files/{}/content", offered.id);
    for node in [&ann, &bo] {
        let early = get(node, &path, "").await;
        assert_eq!(
            (early.status, early.code().as_str()),
            (409, "transfer_state")
        );
    }
    bo.client
        .take_file(&offered.id, &TakeRequest::default())
        .await
        .unwrap();
    until(&mut events, transfer(TransferState::Done)).await;
    let refused = get(&bo, &path, "").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (409, "transfer_state")
    );
    assert!(
        refused.json()["detail"]
            .as_str()
            .unwrap()
            .contains("folder")
    );
    for (path, code) in [
        ("files/0/content", "no_such_transfer"),
        ("files/..%2F/thumbnail", "no_such_transfer"),
    ] {
        assert_eq!(get(&bo, path, "").await.code(), code);
    }
}
