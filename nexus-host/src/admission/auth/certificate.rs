//! TLS certificates: receives one whose chain was verified when its connection began, hands on the client
//! whose it is, and until when. It verifies nothing itself but the time, which goes on.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};

use super::super::config::Client;
use super::ClientScope;
use super::failure::{Failure, Reason};

/// `2.5.4.3`, the common name, in DER.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Texts in UTF-8 or a part of it: UTF8String, PrintableString, IA5String.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];

/// A certificate that somebody shows and that is good still.
pub(super) struct Shown {
    /// The client whose it is.
    pub(super) client: Result<Arc<ClientScope>, Failure>,
    /// When it is good no longer.
    pub(super) end: DateTime<Utc>,
}

/// The configured clients, by their certificates.
pub(super) struct Certificates {
    by_digest: HashMap<[u8; 32], Arc<ClientScope>>,
    by_name: HashMap<String, Arc<ClientScope>>,
}

impl Certificates {
    pub(super) fn new(clients: &[(&Client, Arc<ClientScope>)]) -> Self {
        let by_digest = clients.iter().filter_map(|(client, scope)| {
            Some((*client.certificate_sha256?.as_bytes(), scope.clone()))
        });
        let by_name = clients.iter().filter_map(|(client, scope)| {
            let name = client.certificate_subject.as_ref()?;
            Some((name.to_ascii_lowercase(), scope.clone()))
        });
        Self {
            by_digest: by_digest.collect(),
            by_name: by_name.collect(),
        }
    }

    /// What a certificate says at this time.
    ///
    /// # Errors
    /// When it has expired since its connection began.
    pub(super) fn judge(&self, der: &[u8], now: DateTime<Utc>) -> Result<Shown, Failure> {
        let client = self.find(der);
        let Some(end) = end_of(der) else {
            let message = "until when the certificate is good cannot be read";
            return Err(Failure::new(Reason::UnknownCertificate, message));
        };
        if now < end {
            return Ok(Shown { client, end });
        }
        let message = "the certificate has expired; connect with a new one";
        let failure = Failure::new(Reason::ExpiredCertificate, message);
        Err(match client {
            Ok(client) => failure.of(client.id()),
            Err(_) => failure,
        })
    }

    /// The client whose certificate it is.
    ///
    /// # Errors
    /// When it is nobody's, or that of two.
    pub(super) fn find(&self, der: &[u8]) -> Result<Arc<ClientScope>, Failure> {
        let digest: [u8; 32] = Sha256::digest(der).into();
        let mut found = self.by_digest.get(&digest);
        if !self.by_name.is_empty() {
            for name in names(der) {
                let named = self.by_name.get(&name.to_ascii_lowercase());
                match (found, named) {
                    (Some(one), Some(other)) if one.id() != other.id() => {
                        let message = "the certificate is that of two clients; make one for each";
                        return Err(Failure::new(Reason::TwoIdentities, message));
                    }
                    _ => found = found.or(named),
                }
            }
        }
        found.cloned().ok_or_else(|| {
            let message = "the certificate is not that of a client; give a client its name as \
                           certificate_subject, or its digest as certificate_sha256";
            Failure::new(Reason::UnknownCertificate, message)
        })
    }
}

/// When a certificate is good no longer: right after the second that it names as its last. `None` for
/// what is no certificate.
pub(crate) fn end_of(der: &[u8]) -> Option<DateTime<Utc>> {
    let mut rest = der;
    let (_, mut certificate) = element(&mut rest, &[SEQUENCE])?;
    let (_, mut signed) = element(&mut certificate, &[SEQUENCE])?;
    // Its version and number, how it is signed, and by whom.
    for tag in [VERSION, INTEGER, SEQUENCE, SEQUENCE] {
        element(&mut signed, &[tag])?;
    }
    let (_, mut validity) = element(&mut signed, &[SEQUENCE])?;
    let times = [UTC_TIME, GENERALIZED_TIME];
    let _begin = element(&mut validity, &times)?;
    let (kind, last) = element(&mut validity, &times)?;
    let last = str::from_utf8(last).ok()?;
    // One kind leaves the century out, as RFC 5280 (4.1.2.5.1) says.
    let century = match kind {
        UTC_TIME if last < "50" => "20",
        UTC_TIME => "19",
        _ => "",
    };
    let last = NaiveDateTime::parse_from_str(&format!("{century}{last}"), "%Y%m%d%H%M%SZ").ok()?;
    last.and_utc().checked_add_signed(TimeDelta::seconds(1))
}

/// The common names and the DNS names in it.
fn names(der: &[u8]) -> Vec<String> {
    let der = CertificateDer::from(der);
    let Ok(certificate) = webpki::EndEntityCert::try_from(&der) else {
        return Vec::new();
    };
    let mut names: Vec<String> = certificate.valid_dns_names().map(str::to_owned).collect();
    names.extend(common_names(certificate.subject()).unwrap_or_default());
    names
}

/// Walks a subject: sets of pairs of an object id and a text.
fn common_names(mut subject: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    while !subject.is_empty() {
        let mut set = element(&mut subject, &[SET])?.1;
        while !set.is_empty() {
            let mut pair = element(&mut set, &[SEQUENCE])?.1;
            let (_, kind) = element(&mut pair, &[OBJECT_ID])?;
            if kind == COMMON_NAME {
                let (_, text) = element(&mut pair, &TEXTS)?;
                names.push(str::from_utf8(text).ok()?.to_owned());
            }
        }
    }
    Some(names)
}

/// Takes one element of one of these kinds from the front.
fn element<'d>(rest: &mut &'d [u8], tags: &[u8]) -> Option<(u8, &'d [u8])> {
    let [tag, length, after @ ..] = *rest else {
        return None;
    };
    let (length, after) = match *length {
        short @ 0..=0x7f => (usize::from(short), after),
        0x81 => (usize::from(*after.first()?), &after[1..]),
        0x82 => {
            let [high, low, after @ ..] = after else {
                return None;
            };
            (usize::from(u16::from_be_bytes([*high, *low])), after)
        }
        _ => return None,
    };
    let (content, after) = after.split_at_checked(length)?;
    *rest = after;
    tags.contains(tag).then_some((*tag, content))
}

#[cfg(test)]
pub(super) mod tests;
