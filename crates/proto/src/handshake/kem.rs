//! ML-KEM-768 (FIPS 203) from libcrux as snow's `Kem`.

use libcrux_ml_kem::mlkem768::{self, MlKem768Ciphertext, MlKem768PrivateKey, MlKem768PublicKey};
use snow::{
    Error,
    types::{Kem, Random},
};
use zeroize::{Zeroize, Zeroizing};

pub(super) const PUBLIC_KEY_BYTES: usize = 1184;
pub(super) const CIPHERTEXT_BYTES: usize = 1088;
const SECRET_KEY_BYTES: usize = 2400;
const SHARED_SECRET_BYTES: usize = 32;

/// One use of ML-KEM-768: as initiator it makes a key pair, as responder it encapsulates.
///
/// snow hands no randomness to `encapsulate` and lets `generate` not fail, so both seeds are
/// given beforehand.
pub(super) struct MlKem768 {
    key_seed: Zeroizing<[u8; 64]>,
    encapsulation_seed: Zeroizing<[u8; 32]>,
    secret: Option<Secret>,
    public: MlKem768PublicKey,
}

/// A decapsulation key that is wiped when dropped.
struct Secret(Box<MlKem768PrivateKey>);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0[0..SECRET_KEY_BYTES].zeroize();
    }
}

impl MlKem768 {
    pub(super) fn new(
        key_seed: Zeroizing<[u8; 64]>,
        encapsulation_seed: Zeroizing<[u8; 32]>,
    ) -> Self {
        Self {
            key_seed,
            encapsulation_seed,
            secret: None,
            public: MlKem768PublicKey::default(),
        }
    }
}

impl Kem for MlKem768 {
    fn name(&self) -> &'static str {
        "MLKEM768"
    }

    fn pub_len(&self) -> usize {
        PUBLIC_KEY_BYTES
    }

    fn ciphertext_len(&self) -> usize {
        CIPHERTEXT_BYTES
    }

    fn shared_secret_len(&self) -> usize {
        SHARED_SECRET_BYTES
    }

    fn generate(&mut self, _: &mut dyn Random) {
        let (secret, public) = mlkem768::generate_key_pair(*self.key_seed).into_parts();
        self.secret = Some(Secret(Box::new(secret)));
        self.public = public;
    }

    fn pubkey(&self) -> &[u8] {
        self.public.as_ref()
    }

    fn encapsulate(
        &self,
        pubkey: &[u8],
        shared_secret_out: &mut [u8],
        ciphertext_out: &mut [u8],
    ) -> Result<(usize, usize), Error> {
        let key = MlKem768PublicKey::try_from(pubkey).map_err(|_| Error::Kem)?;
        // FIPS 203 section 7.2, the modulus check.
        if !mlkem768::validate_public_key(&key) {
            return Err(Error::Kem);
        }
        let (ciphertext, shared) = mlkem768::encapsulate(&key, *self.encapsulation_seed);
        let shared = Zeroizing::new(shared);
        shared_secret_out.copy_from_slice(shared.as_slice());
        ciphertext_out.copy_from_slice(ciphertext.as_ref());
        Ok((SHARED_SECRET_BYTES, CIPHERTEXT_BYTES))
    }

    fn decapsulate(&self, ciphertext: &[u8], shared_secret_out: &mut [u8]) -> Result<usize, Error> {
        let secret = self.secret.as_ref().ok_or(Error::Kem)?;
        let ciphertext = MlKem768Ciphertext::try_from(ciphertext).map_err(|_| Error::Kem)?;
        let shared = Zeroizing::new(mlkem768::decapsulate(&secret.0, &ciphertext));
        shared_secret_out.copy_from_slice(shared.as_slice());
        Ok(SHARED_SECRET_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ml_kem::kem::{Decapsulate, KeyExport, KeyInit, TryKeyInit};
    use proptest::prelude::*;

    type OtherSecret = ml_kem::DecapsulationKey<ml_kem::MlKem768>;
    type OtherPublic = ml_kem::EncapsulationKey<ml_kem::MlKem768>;

    struct NoRandom;

    impl Random for NoRandom {
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Error> {
            Err(Error::Rng)
        }
    }

    fn kem(key_seed: [u8; 64], encapsulation_seed: [u8; 32]) -> MlKem768 {
        let mut kem = MlKem768::new(key_seed.into(), encapsulation_seed.into());
        kem.generate(&mut NoRandom);
        kem
    }

    fn encapsulate(kem: &MlKem768, key: &[u8]) -> Result<([u8; 32], [u8; 1088]), Error> {
        let (mut shared, mut ciphertext) = ([0; 32], [0; 1088]);
        let lengths = kem.encapsulate(key, &mut shared, &mut ciphertext)?;
        assert_eq!(lengths, (32, 1088));
        Ok((shared, ciphertext))
    }

    fn decapsulate(kem: &MlKem768, ciphertext: &[u8]) -> [u8; 32] {
        let mut shared = [0; 32];
        assert_eq!(kem.decapsulate(ciphertext, &mut shared), Ok(32));
        shared
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// libcrux and ml-kem, two implementations without a common line, agree on every byte.
        #[test]
        fn both_implementations_agree(seed: [u8; 32], z: [u8; 32], m: [u8; 32], at in 0..1088usize) {
            let mut key_seed = [0; 64];
            key_seed[..32].copy_from_slice(&seed);
            key_seed[32..].copy_from_slice(&z);
            let ours = kem(key_seed, m);
            let secret = OtherSecret::new(&key_seed.into());
            let public = secret.encapsulation_key();
            prop_assert_eq!(ours.pubkey(), &public.to_bytes()[..]);

            let (shared, ciphertext) = encapsulate(&ours, &public.to_bytes()).unwrap();
            let (their_ciphertext, their_shared) = public.encapsulate_deterministic(&m.into());
            prop_assert_eq!(&ciphertext[..], their_ciphertext.as_slice());
            prop_assert_eq!(&shared[..], their_shared.as_slice());
            prop_assert_eq!(decapsulate(&ours, &their_ciphertext), shared);
            prop_assert_eq!(&secret.decapsulate_slice(&ciphertext).unwrap()[..], &shared[..]);

            // A changed ciphertext gives both the same secret, and not the one that was sent.
            let mut changed = ciphertext;
            changed[at] ^= 1;
            let rejected = decapsulate(&ours, &changed);
            prop_assert_ne!(rejected, shared);
            prop_assert_eq!(&secret.decapsulate_slice(&changed).unwrap()[..], &rejected[..]);
        }
    }

    #[test]
    fn keys_that_fail_the_modulus_check_are_refused() {
        let ours = kem([1; 64], [2; 32]);
        let mut key = ours.pubkey().to_vec();
        assert!(encapsulate(&ours, &key).is_ok());
        // Twelve bits hold up to 4095; a coefficient is below q = 3329. The first two
        // coefficients are in the first three bytes, the last two in bytes 1149 to 1151.
        for (at, coefficient) in [(0, 3329u32), (0, 4095), (1149, 3329), (1149, 4095)] {
            let good = key.clone();
            key[at..at + 3].copy_from_slice(&coefficient.to_le_bytes()[..3]);
            assert_eq!(encapsulate(&ours, &key), Err(Error::Kem));
            assert!(OtherPublic::new_from_slice(&key).is_err());
            key[at..at + 3].copy_from_slice(&3328u32.to_le_bytes()[..3]);
            assert!(encapsulate(&ours, &key).is_ok());
            key = good;
        }
        assert_eq!(encapsulate(&ours, &key[1..]), Err(Error::Kem));
        assert_eq!(ours.decapsulate(&[0; 1087], &mut [0; 32]), Err(Error::Kem));
    }

    #[test]
    fn nothing_is_decapsulated_without_a_key() {
        let fresh = MlKem768::new([0; 64].into(), [0; 32].into());
        assert_eq!(fresh.decapsulate(&[0; 1088], &mut [0; 32]), Err(Error::Kem));
    }
}
