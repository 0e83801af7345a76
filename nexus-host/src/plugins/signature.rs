//! Signatures of plugin files: receives a file's bytes and what lies beside it as `NAME.sig`, hands on who has
//! signed them, or why that counts for nothing.
//!
//! A signature is what `ssh-keygen -Y sign -n nexus-plugin` writes (the format "sshsig" of OpenSSH, as text), made
//! with an Ed25519 key: over `SSHSIG`, the namespace `nexus-plugin`, and the SHA-512 or SHA-256 of the file. The
//! namespace keeps a signature that the same key has made for something else from counting here.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData, PrivateKey};
use ssh_key::public::{Ed25519PublicKey, KeyData};
use ssh_key::{Algorithm, HashAlg, LineEnding, SshSig};

use super::refusal::{Refusal, RefusalCode as Code};
use crate::config::InvalidValue;

/// What a signature of a plugin file is for.
pub const NAMESPACE: &str = "nexus-plugin";

/// A signature is a few lines; a longer file is something else.
pub(super) const LONGEST: u64 = 16 * 1024;

/// Where the signature of a file lies: beside it, under its whole name and `.sig`.
pub fn file_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// Whose signatures are believed: an Ed25519 key, written as OpenSSH writes public keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(ssh_key::PublicKey);

impl PublicKey {
    /// As `[plugins] trusted_keys` has it, and a file of OpenSSH.
    pub fn to_line(&self) -> String {
        // Written as it was read, which can be done again.
        self.0.to_openssh().unwrap_or_default()
    }

    fn bytes(&self) -> Option<&[u8; 32]> {
        self.0.key_data().ed25519().map(|key| &key.0)
    }
}

impl FromStr for PublicKey {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let key = ssh_key::PublicKey::from_openssh(text).map(Self);
        key.ok().filter(|key| key.bytes().is_some()).ok_or(InvalidValue(
            "is not an Ed25519 public key; write the line from its file, such as \"ssh-ed25519 AAAA... name\"",
        ))
    }
}

/// The fingerprint, and the name that stands behind the key.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.fingerprint(HashAlg::Sha256))?;
        match self.0.comment() {
            "" => Ok(()),
            name => write!(f, " ({name})"),
        }
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_line())
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for PublicKey {
    fn schema_name() -> Cow<'static, str> {
        "PublicKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "nexus-public-key" })
    }
}

/// Which of the keys has signed these bytes.
///
/// # Errors
/// When none has.
pub(super) fn verify<'k>(
    signature: &[u8],
    bytes: &[u8],
    keys: &'k [PublicKey],
) -> Result<&'k PublicKey, Refusal> {
    let signature = SshSig::from_pem(signature).map_err(|error| {
        bad(format!(
            "expected a signature of OpenSSH's kind, found something else ({error})"
        ))
    })?;
    if signature.namespace() != NAMESPACE {
        return Err(bad(format!(
            "expected a signature for {NAMESPACE}, found one for `{}`",
            signature.namespace()
        )));
    }
    let signer = signature.public_key();
    let known = keys.iter().find(|key| key.0.key_data() == signer);
    let Some((key, public)) = known.and_then(|key| Some((key, key.bytes()?))) else {
        let found = signer.fingerprint(HashAlg::Sha256);
        return Err(bad(format!(
            "it is signed with {found}, which is not among the trusted keys"
        )));
    };
    let signed = SshSig::signed_data(NAMESPACE, signature.hash_alg(), bytes);
    let signed = signed.map_err(|error| bad(format!("the signature is of no use: {error}")))?;
    UnparsedPublicKey::new(&ED25519, public)
        .verify(&signed, signature.signature_bytes())
        .map_err(|_| bad(format!("it is not what {key} has signed")))?;
    Ok(key)
}

/// A signature that counts for nothing.
pub(super) fn bad(reason: String) -> Refusal {
    let help = "put the signed file back, or sign this one with a key of [plugins] trusted_keys";
    Refusal::new(Code::BadSignature, reason, help)
}

/// A key to sign with.
pub struct SigningKey(PrivateKey);

impl SigningKey {
    /// Makes a new one, with a name for people.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate(name: &str) -> Result<Self, SigningError> {
        let mut seed = [0; Ed25519PrivateKey::BYTE_SIZE];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| SigningError::NoRandomNumbers)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed);
        let pair = pair.map_err(|_| SigningError::NoRandomNumbers)?;
        let mut public = [0; Ed25519PublicKey::BYTE_SIZE];
        public.copy_from_slice(pair.public_key().as_ref());
        let pair = Ed25519Keypair {
            public: Ed25519PublicKey(public),
            private: Ed25519PrivateKey::from_bytes(&seed),
        };
        Ok(Self(PrivateKey::new(KeypairData::Ed25519(pair), name)?))
    }

    /// Reads one from a private key file of OpenSSH.
    ///
    /// # Errors
    /// When it is none, is encrypted, or is of another kind.
    pub fn from_openssh(text: &str) -> Result<Self, SigningError> {
        let key = PrivateKey::from_openssh(text)?;
        if key.is_encrypted() {
            return Err(SigningError::Encrypted);
        }
        match key.algorithm() {
            Algorithm::Ed25519 => Ok(Self(key)),
            other => Err(SigningError::OtherKind(other.to_string())),
        }
    }

    /// The private key as OpenSSH writes it. Whoever has it can sign.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn expose(&self) -> Result<impl std::ops::Deref<Target = String> + use<>, SigningError> {
        Ok(self.0.to_openssh(LineEnding::LF)?)
    }

    /// What belongs to it in `[plugins] trusted_keys`.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key().clone())
    }

    /// Signs a plugin file's bytes: what to write to the file beside it.
    ///
    /// # Errors
    /// When the key does not agree with itself.
    pub fn sign(&self, bytes: &[u8]) -> Result<String, SigningError> {
        let KeypairData::Ed25519(pair) = self.0.key_data() else {
            return Err(SigningError::OtherKind(self.0.algorithm().to_string()));
        };
        let seed = pair.private.to_bytes();
        let signing = Ed25519KeyPair::from_seed_and_public_key(&seed, &pair.public.0);
        let signing = signing.map_err(|_| SigningError::Contradiction)?;
        let hash = HashAlg::Sha512;
        let signed = SshSig::signed_data(NAMESPACE, hash, bytes)?;
        let signature = signing.sign(&signed).as_ref().to_vec();
        let signature = ssh_key::Signature::new(Algorithm::Ed25519, signature)?;
        let public = KeyData::Ed25519(pair.public);
        let signature = SshSig::new(public, NAMESPACE, hash, signature)?;
        Ok(signature.to_pem(LineEnding::LF)?)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// Why there is no key to sign with, or no signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// The system has no random numbers.
    #[error("the system has no random numbers to give")]
    NoRandomNumbers,
    /// It does not parse.
    #[error("expected a private key as OpenSSH writes it, found something else ({0})")]
    Malformed(String),
    /// It can only be used with its passphrase.
    #[error("the key is encrypted; sign with `ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE`")]
    Encrypted,
    /// It is no Ed25519 key.
    #[error("expected an Ed25519 key, found one of the kind {0}")]
    OtherKind(String),
    /// Its public part belongs to another key.
    #[error("the key's two parts do not belong together")]
    Contradiction,
}

// Not by `#[from]`: as it is built here, it is none of the standard library's errors.
impl From<ssh_key::Error> for SigningError {
    fn from(error: ssh_key::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Whether a text is a key.
pub(crate) fn check_public_key(text: &str) -> Result<(), InvalidValue> {
    text.parse::<PublicKey>().map(drop)
}

#[cfg(test)]
mod tests;
