//! Attacks on the loopback port of a real node: other pages, other users, other names.

use crate::run::{Home, friends};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

/// A node with its page, and what its own page holds.
struct Port {
    port: u16,
    token: String,
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    fn code(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// One exchange with these headers and no others.
fn raw(port: u16, line: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut text = format!(
        "{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream
        .write_all(format!("{text}\r\n{body}").as_bytes())
        .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    Reply {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// The port of the page and a ticket for it.
fn invited(home: &Home) -> (u16, String) {
    let printed = home.run(&["open", "--print"]);
    assert_eq!(printed.code, 0, "{}", printed.err);
    let url = printed
        .out
        .trim()
        .strip_prefix("http://127.0.0.1:")
        .unwrap();
    let (port, ticket) = url.split_once("/#ticket=").unwrap();
    (port.parse().unwrap(), ticket.to_owned())
}

fn exchange(port: u16, ticket: &str, headers: &[(&str, &str)]) -> Reply {
    let host = format!("127.0.0.1:{port}");
    let mut all = vec![
        ("Host", host.as_str()),
        ("Content-Type", "application/json"),
    ];
    all.extend(headers);
    raw(
        port,
        "POST /api/v1/ticket",
        &all,
        &json!({ "ticket": ticket }).to_string(),
    )
}

impl Port {
    fn of(home: &Home) -> Self {
        let (port, ticket) = invited(home);
        let reply = exchange(port, &ticket, &[]);
        assert_eq!(reply.status, 200, "{}", reply.body);
        let value: Value = serde_json::from_str(&reply.body).unwrap();
        let token = value["token"].as_str().unwrap().to_owned();
        Self { port, token }
    }

    /// With the right host, and these headers.
    fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let host = format!("127.0.0.1:{}", self.port);
        let mut all = vec![("Host", host.as_str())];
        all.extend(headers);
        raw(self.port, line, &all, body)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

#[test]
fn a_name_that_was_rebound_leads_nowhere() {
    let home = Home::up("Ann");
    let port = Port::of(&home);
    let bearer = port.bearer();
    for (host, status) in [
        (format!("127.0.0.1:{}", port.port), 200),
        (format!("localhost:{}", port.port), 200),
        (format!("evil.example:{}", port.port), 421),
        (format!("127.0.0.1.evil.example:{}", port.port), 421),
        (format!("[::1]:{}", port.port), 421),
        ("127.0.0.1".into(), 421),
        (String::new(), 421),
    ] {
        for line in ["GET /api/v1/status", "GET /"] {
            let headers = [("Host", host.as_str()), ("Authorization", bearer.as_str())];
            let reply = raw(port.port, line, &headers, "");
            assert_eq!(reply.status, status, "{line} at {host:?}: {}", reply.body);
        }
    }
    // Two names, of which one is right, in either order and in either place.
    let own = format!("127.0.0.1:{}", port.port);
    let evil = "evil.example";
    for (line, names) in [
        ("GET /api/v1/status", &[evil, &own][..]),
        ("GET /api/v1/status", &[&own, evil]),
        ("GET http://evil.example/api/v1/status", &[&own]),
    ] {
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend(names.iter().map(|name| ("Host", *name)));
        let two = raw(port.port, line, &headers, "");
        assert_eq!(two.code(), "wrong_host", "{line} {names:?}");
    }
}

#[test]
fn connections_that_ask_nothing_stop_nobody() {
    let home = Home::up("Ann");
    let port = Port::of(&home);
    let half: Vec<TcpStream> = (0..400)
        .map(|n| {
            let mut stream = TcpStream::connect(("127.0.0.1", port.port)).unwrap();
            if n % 2 == 0 {
                // It may be away already.
                let _ = stream.write_all(b"POST /api/v1/ticket HTTP/1.1\r\nX-Slow: ");
            }
            stream
        })
        .collect();
    let bearer = port.bearer();
    let reply = port.ask("GET /api/v1/status", &[("Authorization", &bearer)], "");
    assert_eq!(reply.status, 200);
    assert_eq!(home.run(&["status"]).code, 0);
    // Nor do they keep it from stopping.
    assert_eq!(home.run(&["stop"]).code, 0);
    drop(half);
}

#[test]
fn other_pages_send_nothing() {
    let (ann, _bo) = friends("Bo");
    let port = Port::of(&ann);
    let bearer = port.bearer();
    let message = r#"{"to":"Bo","text":"from another page"}"#;
    let post = "POST /api/v1/messages";
    let evil = ("Origin", "http://evil.example");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let plain = ("Content-Type", "text/plain");
    let json = ("Content-Type", "application/json");
    let cross = ("Sec-Fetch-Site", "cross-site");
    let other_port = ("Origin", "http://127.0.0.1:1");
    let token = ("Authorization", bearer.as_str());
    for (headers, code) in [
        // A form that posts itself, in a browser of today and of yesterday.
        (vec![evil, cross, form], "foreign_page"),
        (vec![evil, plain], "foreign_page"),
        (vec![("Origin", "null"), plain], "foreign_page"),
        (vec![plain], "no_token"),
        (vec![json, ("Sec-Fetch-Site", "same-site")], "foreign_page"),
        // Not even one that has got hold of the token, nor another server of this host.
        (vec![evil, json, token], "foreign_page"),
        (vec![other_port, json, token], "foreign_page"),
        (vec![cross, json, token], "foreign_page"),
        (
            vec![("Sec-Fetch-Site", "none"), json, token],
            "foreign_page",
        ),
        // What a form can send is no JSON.
        (vec![plain, token], "wrong_media_type"),
        (vec![form, token], "wrong_media_type"),
    ] {
        let reply = port.ask(post, &headers, message);
        assert_eq!(reply.code(), code, "{headers:?}: {}", reply.body);
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    let preflight = port.ask(
        "OPTIONS /api/v1/messages",
        &[evil, ("Access-Control-Request-Method", "POST")],
        "",
    );
    assert_eq!(preflight.code(), "foreign_page");
    assert_eq!(preflight.header("access-control-allow-origin"), None);
    assert!(!ann.run(&["log", "Bo"]).out.contains("another page"));
    let own = format!("http://127.0.0.1:{}", port.port);
    let sent = port.ask(
        post,
        &[
            ("Origin", &own),
            ("Sec-Fetch-Site", "same-origin"),
            json,
            token,
        ],
        message,
    );
    assert_eq!(sent.status, 200, "{}", sent.body);
}

#[test]
fn the_page_stands_in_no_frame_and_runs_nothing_but_itself() {
    let home = Home::up("Ann");
    let port = Port::of(&home);
    for (site, destination) in [
        ("cross-site", "iframe"),
        ("same-site", "frame"),
        ("cross-site", "embed"),
        ("cross-site", "document"),
    ] {
        let reply = port.ask(
            "GET /",
            &[("Sec-Fetch-Site", site), ("Sec-Fetch-Dest", destination)],
            "",
        );
        assert_eq!(reply.code(), "foreign_page", "{site} {destination}");
    }
    // A browser that does not say so is told by the page itself.
    for path in ["/", "/app/main.js", "/style.css", "/icon.svg"] {
        let reply = port.ask(&format!("GET {path}"), &[], "");
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(
            reply.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        let policy = reply.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{path}: {policy}"
        );
        assert_eq!(reply.header("set-cookie"), None);
    }
}

#[test]
fn a_token_counts_in_its_header_and_nowhere_else() {
    let home = Home::up("Ann");
    let port = Port::of(&home);
    let (token, bearer) = (&port.token, port.bearer());
    let right = port.ask("GET /api/v1/status", &[("Authorization", &bearer)], "");
    assert_eq!(right.status, 200);
    for line in [
        format!("GET /api/v1/status?token={token}"),
        format!("GET /api/v1/status?access_token={token}"),
        format!("GET /api/v1/events?since=0&token={token}"),
        "GET /metrics".into(),
        "GET /api/v1/openapi.json".into(),
        "POST /api/v1/open".into(),
        "GET /api/v1/tokens".into(),
    ] {
        assert_eq!(port.ask(&line, &[], "").code(), "no_token", "{line}");
    }
    let cookie = format!("token={token}");
    let basic = format!("Basic {token}");
    for headers in [
        vec![("Cookie", cookie.as_str())],
        vec![("Authorization", basic.as_str())],
        vec![("Authorization", token.as_str())],
        vec![("Authorization", "Bearer ")],
        vec![
            ("Authorization", bearer.as_str()),
            ("Authorization", bearer.as_str()),
        ],
        vec![("X-Forwarded-For", "127.0.0.1")],
    ] {
        let reply = port.ask("GET /api/v1/status", &headers, "");
        assert_eq!(reply.code(), "no_token", "{headers:?}");
    }
    // The page's token is not what lies beside it, and is told in no answer.
    assert!(!right.body.contains(token.as_str()));
}

#[test]
fn a_ticket_is_good_for_one_page() {
    let home = Home::up("Ann");
    let (port, ticket) = invited(&home);
    // Whoever tries it from elsewhere does not use it up.
    let foreign = exchange(port, &ticket, &[("Origin", "http://evil.example")]);
    assert_eq!(foreign.code(), "foreign_page");
    assert_eq!(exchange(port, "00", &[]).code(), "no_token");
    assert_eq!(exchange(port, &ticket, &[]).status, 200);
    assert_eq!(exchange(port, &ticket, &[]).code(), "no_token");
}

#[test]
fn a_bot_comes_in_by_the_port_and_stays_in_its_conversation() {
    let (ann, bo) = friends("Bo");
    let made = ann.run(&["tokens", "add", "bot", "--send", "--in", "Bo", "--json"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let made = &made.json()[0];
    let port = Port::of(&ann);
    assert_eq!(made["url"], format!("http://127.0.0.1:{}", port.port));
    assert_eq!(made["token"]["conversations"], json!([bo.ready["id"]]));
    let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    let send = |to: &str| {
        let body = json!({ "to": to, "text": "beep" }).to_string();
        port.ask("POST /api/v1/messages", &headers, &body)
    };
    assert_eq!(send("Bo").status, 200);
    assert_eq!(send("Ann").code(), "not_allowed");
    for line in [
        "GET /api/v1/log?peer=Bo",
        "GET /metrics",
        "POST /api/v1/open",
        "POST /api/v1/tokens",
        "POST /api/v1/stop",
    ] {
        assert_eq!(
            port.ask(line, &headers, "{}").code(),
            "not_allowed",
            "{line}"
        );
    }
    assert_eq!(ann.run(&["tokens", "revoke", "bot"]).code, 0);
    assert_eq!(send("Bo").code(), "no_token");
}

/// Becoming another user takes root, which CI is; elsewhere the unit tests of the port remain.
#[test]
fn another_user_of_this_host_is_turned_away_with_any_token() {
    if std::fs::metadata("/proc/self")
        .map(|me| std::os::unix::fs::MetadataExt::uid(&me))
        .unwrap()
        != 0
    {
        return;
    }
    let home = Home::up("Ann");
    let port = Port::of(&home);
    let mut script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{0} && printf 'GET /api/v1/status HTTP/1.0\\r\\nHost: \
         127.0.0.1:{0}\\r\\nAuthorization: {1}\\r\\n\\r\\n' >&3 && cat <&3",
        port.port,
        port.bearer(),
    );
    let as_user_with = |user: &str, script: &str| {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            user,
            "--regid",
            user,
            "--clear-groups",
            "--",
            "bash",
            "-c",
            script,
        ]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let as_user = |user: &str| as_user_with(user, &script);
    assert!(as_user("0").contains("200 OK"));
    // `nobody` nearly everywhere; whether the user has a name does not matter.
    assert_eq!(as_user("65534"), "");
    // Nor by the same address in the notation of the other protocol.
    script = script.replace("/dev/tcp/127.0.0.1/", "/dev/tcp/::ffff:127.0.0.1/");
    let as_other = |user: &str| as_user_with(user, &script);
    assert!(as_other("0").contains("200 OK"));
    assert_eq!(as_other("65534"), "");
}
