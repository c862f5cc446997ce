//! Other users of this machine are kept out, by the mode of the socket and by who they are.

use crate::node::TestNode;
use std::fs::{Permissions, set_permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

/// Tells the other half of the test, which runs as another user, where the socket is.
const SOCKET: &str = "HALLWAY_TEST_SOCKET";
/// `nobody` nearly everywhere; whether the user has a name does not matter.
const OTHER_USER: &str = "65534";

#[test]
fn as_another_user() {
    let Some(socket) = std::env::var_os(SOCKET) else {
        return;
    };
    let met = match UnixStream::connect(socket) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => "denied".to_owned(),
        Err(error) => error.to_string(),
        Ok(mut stream) => {
            // The node may have closed before this is written.
            let _ = stream.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: h\r\n\r\n");
            let mut reply = Vec::new();
            match stream.read_to_end(&mut reply) {
                Ok(_) if !reply.is_empty() => "answered".to_owned(),
                _ => "closed".to_owned(),
            }
        }
    };
    writeln!(std::io::stdout(), "<{met}>").unwrap();
}

/// Becoming another user takes root, which CI is; elsewhere the listener's unit tests remain.
#[tokio::test]
async fn another_user_is_turned_away() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let node = TestNode::start("Ann").await;
    let home = node.socket.parent().unwrap();
    open(home.parent().unwrap(), 0o755);
    assert_eq!(
        met_by_another_user(&node.socket).await,
        "denied",
        "the home is closed"
    );
    open(home, 0o755);
    assert_eq!(
        met_by_another_user(&node.socket).await,
        "denied",
        "the socket is closed"
    );
    open(&node.socket, 0o666);
    assert_eq!(
        met_by_another_user(&node.socket).await,
        "closed",
        "the node looks who it is"
    );
    node.client.status().await.unwrap();
}

fn open(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

async fn met_by_another_user(socket: &Path) -> String {
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        OTHER_USER,
        "--regid",
        OTHER_USER,
        "--clear-groups",
        "--",
    ]);
    command.arg(std::env::current_exe().unwrap());
    command
        .args(["--exact", "users::as_another_user", "--nocapture"])
        .env(SOCKET, socket);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let (_, met) = said.split_once('<').unwrap_or_else(|| panic!("{said}"));
    met.split('>').next().unwrap().to_owned()
}
