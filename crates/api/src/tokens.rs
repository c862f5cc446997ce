//! Tokens for bots: each has a name, says what its holder may do and in which conversations, and
//! is kept as a hash, so that whoever reads the file cannot use it.

use crate::gate::same;
use crate::problem::ProblemView;
use crate::schema::{TokenSecretView, TokenView};
use hallway_model::{Name, PeerId, WallTime};
use hallway_node::home::{Home, write_atomic};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, watch};

/// Tokens of one node: more than anybody keeps apart, and each request looks through all of them.
pub(crate) const TOKENS_MAX: usize = 64;
/// What the holder of one token may ask at once: a bot listens once and sends now and then, and all
/// tokens together leave room for the person among the connections there may be.
pub(crate) const REQUESTS_MAX: usize = 6;
/// Bytes of a token: beyond guessing, so that a plain hash keeps it as well as a slow one.
const SECRET_BYTES: usize = 32;
/// By this people and scanners for secrets know what they have found.
const PREFIX: &str = "hallway_";
const FILE: &str = "tokens.json";

/// All tokens of a node.
#[derive(Debug)]
pub(crate) struct Tokens {
    path: PathBuf,
    all: Mutex<Vec<Arc<Token>>>,
}

/// One token, for as long as it is good and somebody uses it.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) view: TokenView,
    hash: String,
    revoked: watch::Sender<bool>,
    /// Room for so many requests at once.
    pub(crate) room: Arc<Semaphore>,
}

/// How a token is on disk.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    view: TokenView,
    sha256: String,
}

impl Token {
    fn new(kept: Kept) -> Arc<Self> {
        Arc::new(Self {
            view: kept.view,
            hash: kept.sha256,
            revoked: watch::Sender::new(false),
            room: Arc::new(Semaphore::new(REQUESTS_MAX)),
        })
    }

    /// Whether the conversation with this peer is one of its own.
    pub(crate) fn sees(&self, peer: &PeerId) -> bool {
        let conversations = self.view.conversations.as_ref();
        conversations.is_none_or(|conversations| conversations.contains(peer))
    }

    /// Resolves once the token is good no more.
    pub(crate) async fn revoked(self: Arc<Self>) {
        // The sender is our own: it is there for as long as this is awaited.
        let _ = self.revoked.subscribe().wait_for(|revoked| *revoked).await;
    }
}

impl Tokens {
    /// The tokens of this home. What cannot be read opens nothing.
    pub(crate) fn load(home: &Home) -> Self {
        let path = home.path().join(FILE);
        let kept: Vec<Kept> = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "no token is good any more");
                Vec::new()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "tokens cannot be read");
                Vec::new()
            }
        };
        let all = Mutex::new(kept.into_iter().map(Token::new).collect());
        Self { path, all }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Token>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token that this is the secret of.
    pub(crate) fn find(&self, secret: &str) -> Option<Arc<Token>> {
        let hash = hash_of(secret);
        self.all()
            .iter()
            .find(|token| same(&token.hash, &hash))
            .cloned()
    }

    /// What there are, the oldest first.
    pub(crate) fn list(&self) -> Vec<TokenView> {
        self.all().iter().map(|token| token.view.clone()).collect()
    }

    /// Makes a token. Its secret is told now and never again. Blocks on the disk.
    pub(crate) fn add(&self, mut view: TokenView) -> Result<TokenSecretView, ProblemView> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| ProblemView::internal(error.to_string()))?;
        let secret = format!("{PREFIX}{}", hex::encode(bytes));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        view.created = WallTime(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        let mut all = self.all();
        if all.iter().any(|token| token.view.name == view.name) {
            return Err(ProblemView::token_exists(&view.name));
        }
        if all.len() >= TOKENS_MAX {
            return Err(ProblemView::too_many_tokens(TOKENS_MAX));
        }
        let kept = Kept {
            view: view.clone(),
            sha256: hash_of(&secret),
        };
        all.push(Token::new(kept));
        if let Err(problem) = self.write(&all) {
            all.pop();
            return Err(problem);
        }
        Ok(TokenSecretView {
            secret,
            token: view,
            url: None,
        })
    }

    /// Makes a token good no more, and ends what its holder is doing. Blocks on the disk.
    pub(crate) fn revoke(&self, name: &Name) -> Result<TokenView, ProblemView> {
        let mut all = self.all();
        let found = all.iter().position(|token| token.view.name == *name);
        let at = found.ok_or_else(|| ProblemView::no_such_token(name))?;
        let token = all.remove(at);
        // Whatever the disk says: from now on it opens nothing.
        token.revoked.send_replace(true);
        self.write(&all)?;
        Ok(token.view.clone())
    }

    fn write(&self, all: &[Arc<Token>]) -> Result<(), ProblemView> {
        let kept = all.iter().map(|token| Kept {
            view: token.view.clone(),
            sha256: token.hash.clone(),
        });
        let kept: Vec<Kept> = kept.collect();
        let bytes = serde_json::to_vec_pretty(&kept).expect("plain fields become JSON");
        write_atomic(&self.path, &bytes).map_err(|error| ProblemView::storage(error.to_string()))
    }
}

fn hash_of(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::create(Some(&dir.path().join("home"))).unwrap();
        (dir, home)
    }

    fn view(name: &str) -> TokenView {
        TokenView {
            name: Name::new(name).unwrap(),
            read: true,
            send: false,
            metrics: false,
            conversations: Some(vec![PeerId([1; 32])]),
            created: WallTime(0),
        }
    }

    #[test]
    fn a_token_outlives_its_node_and_its_secret_is_nowhere() {
        let (_dir, home) = home();
        let made = Tokens::load(&home).add(view("bot")).unwrap();
        let path = home.path().join(FILE);
        let kept = std::fs::read_to_string(&path).unwrap();
        let digits = made.secret.strip_prefix(PREFIX).unwrap();
        assert_eq!(digits.len(), 2 * SECRET_BYTES);
        assert!(!kept.contains(digits));
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let again = Tokens::load(&home);
        let found = again.find(&made.secret).unwrap();
        assert_eq!(found.view, made.token);
        assert!(found.sees(&PeerId([1; 32])) && !found.sees(&PeerId([2; 32])));
        // The hash in the file is no secret.
        assert!(again.find(&found.hash).is_none() && again.find("").is_none());
    }

    #[tokio::test]
    async fn a_revoked_token_opens_nothing_now_and_after_a_restart() {
        let (_dir, home) = home();
        let tokens = Tokens::load(&home);
        let (made, other) = (
            tokens.add(view("bot")).unwrap(),
            tokens.add(view("b")).unwrap(),
        );
        let held = tokens.find(&made.secret).unwrap();
        assert_eq!(tokens.revoke(&made.token.name).unwrap(), made.token);
        held.revoked().await;
        for tokens in [tokens, Tokens::load(&home)] {
            assert!(tokens.find(&made.secret).is_none());
            assert!(tokens.find(&other.secret).is_some());
            assert_eq!(
                &*tokens.revoke(&made.token.name).unwrap_err().code,
                "no_such_token"
            );
        }
    }

    #[test]
    fn a_name_is_used_once_and_there_are_not_too_many() {
        let (_dir, home) = home();
        let tokens = Tokens::load(&home);
        for n in 0..TOKENS_MAX {
            tokens.add(view(&n.to_string())).unwrap();
        }
        assert_eq!(&*tokens.add(view("0")).unwrap_err().code, "token_exists");
        assert_eq!(&*tokens.add(view("x")).unwrap_err().code, "too_many_tokens");
        assert_eq!(tokens.list().len(), TOKENS_MAX);
    }

    #[test]
    fn what_cannot_be_kept_is_not_there() {
        let (_dir, home) = home();
        let tokens = Tokens::load(&home);
        std::fs::create_dir(home.path().join(FILE)).unwrap();
        assert_eq!(&*tokens.add(view("bot")).unwrap_err().code, "storage");
        assert!(tokens.list().is_empty());
    }

    #[test]
    fn a_damaged_file_opens_nothing() {
        let (_dir, home) = home();
        std::fs::write(home.path().join(FILE), "[{\"name\":").unwrap();
        assert!(Tokens::load(&home).list().is_empty());
    }
}
