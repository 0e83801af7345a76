//! Mail that comes along with notifications: receives what Graph has sealed for the configured certificate, hands on
//! the message.
//!
//! RSA-OAEP (SHA-1) opens the key; HMAC-SHA256 over the data must be right, or nothing more is looked at; AES-256-CBC
//! with PKCS7, the key's first 16 bytes its start, opens the data.

use std::path::PathBuf;

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{KeyPair, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nexus_plugin_api::{PluginError, Services};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::config::Config;
use crate::mail::Message;
use crate::notification::Sealed;

/// How many characters of its hash a certificate is named by.
const NAME_CHARS: usize = 32;

/// See the module.
#[derive(Debug)]
pub(crate) struct Sealing {
    file: Option<PathBuf>,
    services: Services,
    certificate: OnceCell<Certificate>,
    key: OnceCell<OaepPrivateDecryptingKey>,
}

/// The certificate, as Graph is told it.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// Base64 of DER.
    pub(crate) text: String,
    /// Its name, which notifications give back; another certificate has another.
    pub(crate) id: String,
}

/// Why a message was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// It is sealed for another certificate than the configured one.
    NotOurs,
    /// It is genuine, and does not read as a message.
    Unreadable,
    /// It is not to be believed, and why.
    Refused(&'static str),
}

impl Sealing {
    pub(crate) fn new(config: &Config, services: &Services) -> Self {
        Self {
            file: config.encryption_certificate.clone(),
            services: services.clone(),
            certificate: OnceCell::new(),
            key: OnceCell::new(),
        }
    }

    /// The certificate, where one is configured.
    pub(crate) async fn certificate(&self) -> Result<Option<&Certificate>, PluginError> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        let read = self.certificate.get_or_try_init(|| async {
            let told = |why: &dyn std::fmt::Display| {
                let told = format!("`encryption_certificate`, {}: {why}", file.display());
                PluginError::retryable("no_certificate", told)
            };
            let text = tokio::fs::read(file).await.map_err(|error| told(&error))?;
            let der = CertificateDer::from_pem_slice(&text).map_err(|error| told(&error))?;
            let mut id = hex::encode(digest(&SHA256, &der));
            id.truncate(NAME_CHARS);
            let text = STANDARD.encode(&der);
            Ok::<_, PluginError>(Certificate { text, id })
        });
        Ok(Some(read.await?))
    }

    /// Opens a message, which goes by the name that the notification has for it where it says none.
    ///
    /// # Errors
    /// When the certificate or its key cannot be had, which may be mended.
    pub(crate) async fn open(
        &self,
        sealed: &Sealed,
        message_id: &str,
    ) -> Result<Result<Message, Unopened>, PluginError> {
        match self.certificate().await? {
            Some(certificate) if certificate.id == sealed.certificate_id => {
                let opened = opened(self.key().await?, sealed).map_err(Unopened::Refused);
                Ok(opened.and_then(|plain| read(&plain, message_id)))
            }
            _ => Ok(Err(Unopened::NotOurs)),
        }
    }

    /// The certificate's key.
    ///
    /// # Errors
    /// When it cannot be had, which may be mended.
    pub(crate) async fn key(&self) -> Result<&OaepPrivateDecryptingKey, PluginError> {
        let read = self.key.get_or_try_init(|| async {
            let told = |why: &dyn std::fmt::Display| {
                let told = format!("`encryption_key` under [plugins.outlook.secrets]: {why}");
                PluginError::retryable("no_key", told)
            };
            let text = self.services.secret("encryption_key").await;
            let text = text.map_err(|error| told(&error))?;
            let der = PrivateKeyDer::from_pem_slice(text.as_bytes());
            let key = match der.map_err(|_| told(&"it is no PEM of a private key"))? {
                PrivateKeyDer::Pkcs8(der) => {
                    PrivateDecryptingKey::from_pkcs8(der.secret_pkcs8_der())
                }
                PrivateKeyDer::Pkcs1(der) => of_pkcs1(der.secret_pkcs1_der()),
                _ => return Err(told(&"it is no RSA key")),
            };
            let key = key.and_then(|key| OaepPrivateDecryptingKey::new(key).map_err(Into::into));
            key.map_err(|error| told(&format!("it is no RSA key: {error}")))
        });
        read.await
    }
}

/// A key that is written as `BEGIN RSA PRIVATE KEY`.
fn of_pkcs1(der: &[u8]) -> Result<PrivateDecryptingKey, KeyRejected> {
    let der: Pkcs8V1Der<'_> = KeyPair::from_der(der)?.as_der()?;
    PrivateDecryptingKey::from_pkcs8(der.as_ref())
}

fn read(plain: &[u8], message_id: &str) -> Result<Message, Unopened> {
    let unreadable = |_| Unopened::Unreadable;
    let mut message: Map<String, Value> = serde_json::from_slice(plain).map_err(unreadable)?;
    if message.get("id").is_none_or(Value::is_null) {
        message.insert("id".to_owned(), message_id.into());
    }
    serde_json::from_value(Value::Object(message)).map_err(unreadable)
}

fn opened(key: &OaepPrivateDecryptingKey, sealed: &Sealed) -> Result<Vec<u8>, &'static str> {
    let decoded = |text: &str, what| STANDARD.decode(text).map_err(|_| what);
    let wrapped = decoded(
        &sealed.data_key,
        "the dataKey of a sealed mail is no base64",
    )?;
    let mut data = decoded(&sealed.data, "the data of a sealed mail is no base64")?;
    let signature = decoded(
        &sealed.data_signature,
        "the dataSignature of a sealed mail is no base64",
    )?;
    let mut room = vec![0; key.min_output_size()];
    let secret: [u8; 32] = key
        .decrypt(&OAEP_SHA1_MGF1SHA1, &wrapped, &mut room, None)
        .ok()
        .and_then(|secret| (&*secret).try_into().ok())
        .ok_or("the dataKey of a sealed mail does not open")?;
    hmac::verify(
        &hmac::Key::new(hmac::HMAC_SHA256, &secret),
        &data,
        &signature,
    )
    .map_err(|_| "the dataSignature of a sealed mail is wrong")?;
    let unreadable = "the data of a sealed mail does not open";
    let mut start = [0; 16];
    start.copy_from_slice(&secret[..16]);
    let plain = UnboundCipherKey::new(&AES_256, &secret)
        .and_then(PaddedBlockDecryptingKey::cbc_pkcs7)
        .map_err(|_| unreadable)?
        .decrypt(
            &mut data,
            DecryptionContext::Iv128(FixedLength::from(start)),
        )
        .map_err(|_| unreadable)?;
    Ok(plain.to_vec())
}
