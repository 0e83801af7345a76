//! TLS to a hub: receives files with certificates, hands on what a connection needs, and says in plain words
//! why one did not come about. It trusts nobody whom neither the system nor the user names.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};

use crate::failure::Failure;

/// Whom to believe that he is the hub.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trust<'f> {
    /// Whoever the authorities in a file vouch for.
    Authorities(&'f Path),
    /// Whoever has the certificate in a file, which is the hub's own, under any name.
    Own(&'f Path),
    /// Whoever the system's authorities vouch for.
    System,
}

/// A client's own certificate and its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity<'f> {
    pub(crate) certificate: &'f Path,
    pub(crate) key: &'f Path,
}

/// What connections need.
///
/// # Errors
/// When a file cannot be used.
pub(crate) fn config(
    trust: Trust<'_>,
    identity: Option<Identity<'_>>,
) -> Result<Arc<ClientConfig>, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = verifier(trust, &provider)?;
    let unusable = |error: Error| Failure::usage(format!("TLS cannot be set up: {error}"));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let chain = certificates("--cert", certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                Failure::usage(format!(
                    "--cert-key: {} cannot be used: {error}",
                    key.display()
                ))
            })?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                Failure::usage(format!("--cert and --cert-key do not go together: {error}"))
            })?
        }
    };
    Ok(Arc::new(config))
}

fn verifier(
    trust: Trust<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Failure> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::Own(file) => {
            let chain = certificates("server.tls.certificate", file)?;
            // There is one, or it would have been refused.
            let own = chain
                .into_iter()
                .next()
                .unwrap_or_else(|| Vec::new().into());
            let provider = provider.clone();
            return Ok(Arc::new(Pinned { own, provider }));
        }
        Trust::Authorities(file) => {
            for authority in certificates("--ca", file)? {
                roots.add(authority).map_err(|error| {
                    Failure::usage(format!("--ca: {} cannot be used: {error}", file.display()))
                })?;
            }
        }
        Trust::System => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(Failure::usage(
            "this system names no authorities for certificates; name the hub's with --ca",
        ));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    match verifier.build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(Failure::usage(format!("TLS cannot be set up: {error}"))),
    }
}

fn certificates(what: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let refused = |why: String| {
        let file = file.display();
        Failure::usage(format!("{what}: {file} cannot be used: {why}"))
    };
    match read {
        Ok(none) if none.is_empty() => Err(refused("there is no certificate in it".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(refused(error.to_string())),
    }
}

/// Believes whoever has one certificate and its key. Which name that is made out to, and by whom, says
/// nothing more: the file is the hub's own.
#[derive(Debug)]
struct Pinned {
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *shown == self.own {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Why TLS did not come about, and what to do about it; `None` for what is no matter of TLS.
pub(crate) fn explained(error: &(dyn std::error::Error + 'static), host: &str) -> Option<String> {
    let mut cause = Some(error);
    while let Some(one) = cause {
        if let Some(error) = one.downcast_ref::<Error>() {
            return Some(told(error, host));
        }
        // An error of reading or writing does not name what it holds as its cause.
        let held = one.downcast_ref::<std::io::Error>();
        let held = held.and_then(std::io::Error::get_ref);
        cause = match held {
            Some(held) => Some(held),
            None => one.source(),
        };
    }
    None
}

fn told(error: &Error, host: &str) -> String {
    match error {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!(
                    "its certificate is not made out to `{host}`; name it with --url as its certificate does"
                )
            }
            CertificateError::UnknownIssuer => {
                "its certificate was issued by nobody who is trusted; name its authority with --ca"
                    .to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet; check the clocks".to_owned()
            }
            CertificateError::ApplicationVerificationFailure => {
                "its certificate is another one than that in server.tls.certificate; name its \
                 authority with --ca"
                    .to_owned()
            }
            other => format!("its certificate cannot be trusted: {other}"),
        },
        Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure,
        ) => "it wants a client's certificate; show one with --cert and --cert-key".to_owned(),
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError,
        ) => "it does not take the certificate of --cert".to_owned(),
        Error::InvalidMessage(_) => {
            "what answers there speaks no TLS; write http:// if the hub serves plain text"
                .to_owned()
        }
        other => format!("TLS failed: {other}"),
    }
}
