//! An issuer's public keys: receives a JWK set, answers whether a signature is right. It takes no
//! secret key, and uses no key for an algorithm that it is not meant for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;

use super::super::config::Algorithm;

/// The most keys that are looked at.
const MOST: usize = 100;

/// The public keys of an issuer.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<PublicKey>);

/// One of them.
#[derive(Debug)]
pub(super) struct PublicKey {
    kid: Option<String>,
    alg: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Written {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a JWK set. Keys of kinds that are not known here, or for other uses, are passed over; there may
    /// be none left.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(text: &[u8]) -> Result<Self, &'static str> {
        let written: Written = serde_json::from_slice(text).map_err(|_| "it is not a JWK set")?;
        let jwks = written.keys.into_iter().take(MOST);
        let keys = jwks.filter_map(|jwk| serde_json::from_value::<Jwk>(jwk).ok());
        Ok(Self(keys.filter_map(PublicKey::of).collect()))
    }

    /// Whether there is no key in it that is of use.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key with that id; without one, the only key there is for the algorithm.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&PublicKey> {
        let named = |key: &&PublicKey| kid.is_none() || key.kid.as_deref() == kid;
        let mut suitable = self
            .0
            .iter()
            .filter(|key| key.suits(algorithm))
            .filter(named);
        let first = suitable.next()?;
        suitable.next().is_none().then_some(first)
    }
}

impl PublicKey {
    fn of(jwk: Jwk) -> Option<Self> {
        let verifies = |uses: &Vec<String>| uses.iter().any(|one| one == "verify");
        if jwk.r#use.as_deref().is_some_and(|one| one != "sig")
            || !jwk.key_ops.as_ref().is_none_or(verifies)
        {
            return None;
        }
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
        let point = |length: usize| {
            let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
            let fits = x.len() == length && y.len() == length;
            fits.then(|| [vec![4], x, y].concat())
        };
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Material::Rsa {
                n: bytes(&jwk.n)?,
                e: bytes(&jwk.e)?,
            },
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&jwk.x)?),
            _ => return None,
        };
        Some(Self {
            kid: jwk.kid,
            alg: jwk.alg,
            material,
        })
    }

    fn suits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let of_kind = match self.material {
            Material::Rsa { .. } => {
                matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512)
            }
            Material::P256(_) => algorithm == ES256,
            Material::P384(_) => algorithm == ES384,
            Material::Ed25519(_) => algorithm == EdDSA,
        };
        of_kind
            && self
                .alg
                .as_deref()
                .is_none_or(|alg| alg == algorithm.as_str())
    }

    /// Whether the signature is right. An RSA key of less than 2048 bits verifies nothing.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let plain = |kind: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(kind, key).verify(message, signature)
        };
        let verified = match &self.material {
            Material::Rsa { n, e } => match rsa(algorithm) {
                Some(kind) => RsaPublicKeyComponents { n, e }.verify(kind, message, signature),
                None => return false,
            },
            Material::P256(key) => plain(&signature::ECDSA_P256_SHA256_FIXED, key),
            Material::P384(key) => plain(&signature::ECDSA_P384_SHA384_FIXED, key),
            Material::Ed25519(key) => plain(&signature::ED25519, key),
        };
        verified.is_ok() && self.suits(algorithm)
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
