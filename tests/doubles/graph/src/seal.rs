//! Resource data that only its receiver can read: receives the certificate of a subscription and a message, hands on
//! `encryptedContent` as Graph makes it: a fresh AES-256 key, RSA-OAEP with SHA-1 around it, AES-256-CBC with PKCS7
//! and the key's first 16 bytes as its start, HMAC-SHA256 over the result.

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::Refusal;

/// What is wrong with resource data that was changed on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tampered {
    /// A bit of the data.
    Data,
    /// A bit of its signature.
    Signature,
    /// A bit of the key around it.
    Key,
    /// It names another certificate.
    Certificate,
}

/// The certificate for which data is sealed.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) id: String,
    /// Its public key, as a `SubjectPublicKeyInfo`.
    key: Vec<u8>,
}

/// A message that was sealed.
struct Sealed {
    data: Vec<u8>,
    signature: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    /// Reads an X.509 certificate, base64 of DER.
    pub(crate) fn read(text: &str, id: String) -> Result<Self, Refusal> {
        let refused = || Refusal::bad("encryptionCertificate is no certificate with an RSA key.");
        let der = STANDARD.decode(text).map_err(|_| refused())?.into();
        let read = webpki::EndEntityCert::try_from(&der).map_err(|_| refused())?;
        let key = read.subject_public_key_info().as_ref().to_vec();
        PublicEncryptingKey::from_der(&key).map_err(|_| refused())?;
        Ok(Self { id, key })
    }

    /// `encryptedContent` for a message.
    pub(crate) fn sealed(&self, message: &Value, tampered: Option<Tampered>) -> Value {
        let sealed = self.seal(message.to_string().into_bytes());
        let Sealed {
            mut data,
            mut signature,
            mut key,
        } = sealed.expect("a key that was read before seals");
        let mut id = self.id.clone();
        match tampered {
            Some(Tampered::Data) => data[0] ^= 1,
            Some(Tampered::Signature) => signature[0] ^= 1,
            Some(Tampered::Key) => key[9] ^= 1,
            Some(Tampered::Certificate) => id.push_str("-of-before"),
            None => {}
        }
        json!({
            "data": STANDARD.encode(data),
            "dataSignature": STANDARD.encode(signature),
            "dataKey": STANDARD.encode(key),
            "encryptionCertificateId": id,
            "encryptionCertificateThumbprint": "07293748CC064953A3052FB978C735FB89E61C3D",
        })
    }

    fn seal(&self, mut data: Vec<u8>) -> Result<Sealed, Unspecified> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key)?;
        let mut start = [0; 16];
        start.copy_from_slice(&key[..16]);
        let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &key)?)?;
        let start = EncryptionContext::Iv128(FixedLength::from(start));
        cipher.less_safe_encrypt(&mut data, start)?;
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &data);
        let public = PublicEncryptingKey::from_der(&self.key).map_err(|_| Unspecified)?;
        let public = OaepPublicEncryptingKey::new(public)?;
        let mut sealed = vec![0; public.ciphertext_size()];
        let sealed = public
            .encrypt(&OAEP_SHA1_MGF1SHA1, &key, &mut sealed, None)?
            .to_vec();
        Ok(Sealed {
            data,
            signature: signature.as_ref().to_vec(),
            key: sealed,
        })
    }
}
