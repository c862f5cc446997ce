//! The key of the database, and how a file shows that it belongs to a key.

use sha2::{Digest, Sha256};
use std::fmt::{self, Write};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// Bytes at the start of a database that are not encrypted: the salt of SQLCipher.
pub(crate) const SALT_BYTES: usize = 16;

/// The half of the salt that is random.
const NONCE_BYTES: usize = 8;

/// Keeps the check value apart from every other use of the key.
const DOMAIN: &[u8] = b"hallway database key check 1";

/// The key the database is encrypted with. It is wiped from memory when dropped and never
/// printed.
#[derive(Clone, ZeroizeOnDrop)]
pub struct DatabaseKey([u8; 32]);

impl DatabaseKey {
    /// Takes 32 random bytes as the key.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A fresh salt for a database under this key: random, then a check value of key and
    /// randomness. So a wrong key is told from a damaged file without a file beside it.
    pub(crate) fn new_salt(&self) -> Result<[u8; SALT_BYTES], getrandom::Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        Ok(self.salt(nonce))
    }

    /// Whether a database that starts like this was made under this key.
    pub(crate) fn fits(&self, salt: &[u8; SALT_BYTES]) -> bool {
        let (nonce, _) = salt.split_first_chunk().expect("the salt is longer");
        self.salt(*nonce) == *salt
    }

    fn salt(&self, nonce: [u8; NONCE_BYTES]) -> [u8; SALT_BYTES] {
        let check = Sha256::new()
            .chain_update(DOMAIN)
            .chain_update(self.0)
            .chain_update(nonce)
            .finalize();
        let mut salt = [0; SALT_BYTES];
        salt[..NONCE_BYTES].copy_from_slice(&nonce);
        salt[NONCE_BYTES..].copy_from_slice(&check[..SALT_BYTES - NONCE_BYTES]);
        salt
    }

    /// The statement that hands the key to SQLCipher, as it is and not as a passphrase; for a new
    /// database with its salt.
    pub(crate) fn pragma(&self, salt: Option<&[u8; SALT_BYTES]>) -> Zeroizing<String> {
        let hex = 2 * (self.0.len() + SALT_BYTES);
        // Room for all of it, so that no copy is left behind when it grows.
        let mut sql = Zeroizing::new(String::with_capacity(hex + 32));
        sql.push_str("PRAGMA key = \"x'");
        for byte in self.0.iter().chain(salt.into_iter().flatten()) {
            write!(sql, "{byte:02x}").expect("a string takes everything");
        }
        sql.push_str("'\"");
        sql
    }
}

impl fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_fits_its_key_only_and_any_changed_byte_shows() {
        let key = DatabaseKey::new([7; 32]);
        let salt = key.new_salt().unwrap();
        assert!(key.fits(&salt));
        assert!(!DatabaseKey::new([8; 32]).fits(&salt));
        for at in 0..SALT_BYTES {
            let mut changed = salt;
            changed[at] ^= 1;
            assert!(!key.fits(&changed));
        }
        assert_ne!(salt, key.new_salt().unwrap());
    }

    #[test]
    fn the_key_is_not_printed() {
        let printed = format!("{:?}", DatabaseKey::new([0xab; 32]));
        assert_eq!(printed, "DatabaseKey(…)");
    }

    #[test]
    fn the_pragma_never_reallocates() {
        let key = DatabaseKey::new([0xab; 32]);
        let sql = key.pragma(Some(&[0xcd; SALT_BYTES]));
        assert!(sql.len() <= 2 * (32 + SALT_BYTES) + 32);
        assert!(sql.ends_with("cdcd'\"") && sql.starts_with("PRAGMA key = \"x'abab"));
    }
}
