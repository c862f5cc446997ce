//! The page: its files, embedded in the program, and the routes that serve them.
//!
//! Nothing is built: a browser reads these files as they are. The page may load nothing from
//! elsewhere and run no script but these (Content Security Policy Level 3, Trusted Types).
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64ct::{Base64, Encoding};
use ring::digest::{SHA256, digest};

/// A file of the page.
struct Asset {
    path: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($(($path:literal, $media_type:expr),)*) => {
        [$(Asset {
            path: $path,
            media_type: $media_type,
            bytes: include_bytes!(concat!("../assets/", $path)),
        },)*]
    };
}

static ASSETS: [Asset; 25] = assets![
    ("index.html", HTML),
    ("style.css", CSS),
    ("icon.svg", SVG),
    ("vendor/preact.mjs", SCRIPT),
    ("vendor/hooks.mjs", SCRIPT),
    ("vendor/htm.mjs", SCRIPT),
    ("app/main.js", SCRIPT),
    ("app/api.js", SCRIPT),
    ("app/state.js", SCRIPT),
    ("app/format.js", SCRIPT),
    ("app/languages.js", SCRIPT),
    ("app/html.js", SCRIPT),
    ("app/people.js", SCRIPT),
    ("app/talk.js", SCRIPT),
    ("app/composer.js", SCRIPT),
    ("app/calls.js", SCRIPT),
    ("app/files.js", SCRIPT),
    ("app/transfers.js", SCRIPT),
    ("app/uploads.js", SCRIPT),
    ("app/dialogs.js", SCRIPT),
    ("app/dialog.js", SCRIPT),
    ("app/qr.js", SCRIPT),
    ("app/settings.js", SCRIPT),
    ("app/verify.js", SCRIPT),
    ("app/writing.js", SCRIPT),
];

/// The routes of the page.
pub fn router() -> Router {
    let policy = HeaderValue::try_from(policy()).expect("the policy is plain ASCII");
    ASSETS.iter().fold(Router::new(), |routes, asset| {
        let tag = HeaderValue::try_from(tag_of(asset)).expect("a quoted hexadecimal number");
        let policy = policy.clone();
        let serve = get(async move |headers: HeaderMap| serve(asset, &tag, &policy, &headers));
        match asset.path {
            "index.html" => routes.route("/", serve),
            path => routes.route(&format!("/{path}"), serve),
        }
    })
}

fn serve(asset: &Asset, tag: &HeaderValue, policy: &HeaderValue, headers: &HeaderMap) -> Response {
    let fixed = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(asset.media_type),
        ),
        (header::CONTENT_SECURITY_POLICY, policy.clone()),
        (header::ETAG, tag.clone()),
        // Another version of the program serves other files under the same names.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        // What `frame-ancestors` says, for who does not know it.
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ];
    if headers.get(header::IF_NONE_MATCH) == Some(tag) {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    (fixed, asset.bytes).into_response()
}

/// What the page may do. Its one inline script is the import map, known by its hash.
fn policy() -> String {
    let map = import_map(ASSETS[0].bytes);
    format!(
        "default-src 'none'; script-src 'self' 'sha256-{}'; style-src 'self'; \
         img-src 'self' blob: data:; connect-src 'self'; frame-ancestors 'none'; \
         base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
        Base64::encode_string(digest(&SHA256, map).as_ref())
    )
}

/// What stands between the tags of the import map.
fn import_map(page: &'static [u8]) -> &'static [u8] {
    const OPEN: &str = "<script type=\"importmap\">";
    let page = std::str::from_utf8(page).expect("the page is UTF-8");
    let map = page
        .split_once(OPEN)
        .and_then(|(_, rest)| rest.split_once("</script>"));
    map.expect("the page has an import map").0.as_bytes()
}

fn tag_of(asset: &Asset) -> String {
    let hash = digest(&SHA256, asset.bytes);
    format!("\"{}\"", hex::encode(hash.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use std::collections::BTreeSet;
    use std::path::Path;
    use tower::ServiceExt;

    async fn get(path: &str, tag: Option<&HeaderValue>) -> Response {
        let mut request = Request::get(path);
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let request = request.body(Body::empty()).unwrap();
        router().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn the_page_comes_with_its_policy_and_is_not_sent_twice() {
        let page = get("/", None).await;
        assert_eq!(page.status(), StatusCode::OK);
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let tag = page.headers()[header::ETAG].clone();
        let body = page.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, ASSETS[0].bytes);
        assert_eq!(
            get("/", Some(&tag)).await.status(),
            StatusCode::NOT_MODIFIED
        );
        assert_eq!(get("/nothing", None).await.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn every_file_of_the_page_is_served_and_nothing_else() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let mut found = BTreeSet::new();
        for directory in ["", "app", "vendor"] {
            for entry in std::fs::read_dir(root.join(directory)).unwrap() {
                let path = entry.unwrap().path();
                let name = path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                let kept = name.ends_with(".LICENSE") || name.ends_with("SHA256SUMS");
                if path.is_file() && !kept {
                    found.insert(name);
                }
            }
        }
        let served: BTreeSet<String> = ASSETS.iter().map(|asset| asset.path.to_owned()).collect();
        assert_eq!(served, found);
    }

    #[test]
    fn the_libraries_are_the_published_ones() {
        let sums = include_str!("../assets/vendor/SHA256SUMS");
        let mut checked = 0;
        for asset in ASSETS
            .iter()
            .filter(|asset| asset.path.starts_with("vendor/"))
        {
            let sum = hex::encode(digest(&SHA256, asset.bytes));
            let name = asset.path.trim_start_matches("vendor/");
            assert!(sums.contains(&format!("{sum}  {name}")), "{name} is {sum}");
            checked += 1;
        }
        assert_eq!(checked, 3);
    }

    #[test]
    fn nothing_in_the_page_needs_what_the_policy_forbids() {
        for asset in ASSETS.iter().filter(|asset| asset.path.starts_with("app/")) {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            for forbidden in [
                "innerHTML",
                "dangerouslySetInnerHTML",
                "eval(",
                "document.cookie",
                "http://",
                "https://",
            ] {
                assert!(!text.contains(forbidden), "{}: {forbidden}", asset.path);
            }
        }
    }
}
