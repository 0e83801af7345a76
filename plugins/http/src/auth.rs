//! Signing in: receives what a target says of it, hands on headers, and the texts that nobody must read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_plugin_api::{ConfigSchema, PluginError, Services};
use ring::hmac;
use serde::Deserialize;

use crate::headers::checked_name;

/// What stands before a secret of Standard Webhooks.
const SIGNING_PREFIX: &str = "whsec_";

const WEBHOOK_ID: &str = "webhook-id";
const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
const WEBHOOK_SIGNATURE: &str = "webhook-signature";

/// How a request signs in: one of these, each with the name of a secret in `[plugins.http.secrets]`; none when all are
/// left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// The secret is a token: `Authorization: Bearer TOKEN`.
    pub bearer: Option<String>,
    /// The secret is a password.
    pub basic: Option<Basic>,
    /// The secret stands in a header of its own.
    pub header: Option<Header>,
    /// The secret signs the request as Standard Webhooks do: `whsec_` and base64.
    pub hmac: Option<String>,
}

/// A user and a password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// Who.
    pub user: String,
    /// The secret that holds the password.
    pub secret: String,
}

/// A header with a secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The header's name, such as `X-Api-Key`.
    pub name: String,
    /// The secret that it holds.
    pub secret: String,
}

/// A request's headers that sign in.
#[derive(Default)]
pub(crate) struct Signed {
    pub(crate) headers: Vec<(String, String)>,
    /// What must not be told, in every form that it was sent in.
    pub(crate) hidden: Vec<String>,
}

impl Auth {
    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), String> {
        let given = [
            self.bearer.is_some(),
            self.basic.is_some(),
            self.header.is_some(),
            self.hmac.is_some(),
        ];
        if given.iter().filter(|given| **given).count() > 1 {
            return Err("`auth` says several ways to sign in; one is used".to_owned());
        }
        if let Some(header) = &self.header {
            checked_name(&header.name).map_err(|why| format!("`auth`: {why}"))?;
        }
        match &self.basic {
            Some(basic) if basic.user.contains(|c: char| c == ':' || c.is_control()) => {
                Err("`auth.basic.user` holds a colon or a control character".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The secret that is used, if one is.
    pub(crate) fn secret(&self) -> Option<&str> {
        let basic = self.basic.as_ref().map(|basic| &basic.secret);
        let header = self.header.as_ref().map(|header| &header.secret);
        let used = self.bearer.as_ref().or(basic).or(header);
        used.or(self.hmac.as_ref()).map(String::as_str)
    }

    /// The headers that are set beside those that no target can name, in lower case.
    pub(crate) fn header_names(&self) -> Vec<String> {
        match (&self.header, &self.hmac) {
            (Some(header), _) => vec![header.name.to_ascii_lowercase()],
            (None, Some(_)) => [WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE]
                .map(str::to_owned)
                .to_vec(),
            (None, None) => Vec::new(),
        }
    }

    /// The headers of a request with this body. `id` is the same for every attempt.
    pub(crate) async fn sign(
        &self,
        services: &Services,
        id: &str,
        now: i64,
        body: &[u8],
    ) -> Result<Signed, PluginError> {
        let Some(name) = self.secret() else {
            return Ok(Signed::default());
        };
        let secret = services.secret(name).await?;
        if secret.is_empty() || secret.contains(char::is_control) {
            let told = format!("the secret `{name}` is empty or holds a control character");
            return Err(PluginError::permanent("unusable_secret", told));
        }
        let headers = match (&self.basic, &self.header) {
            _ if self.hmac.is_some() => signature(name, &secret, id, now, body)?,
            (Some(basic), _) => {
                let pair = STANDARD.encode(format!("{}:{secret}", basic.user));
                vec![("authorization".to_owned(), format!("Basic {pair}"))]
            }
            (_, Some(header)) => vec![(header.name.to_ascii_lowercase(), secret.clone())],
            _ => vec![("authorization".to_owned(), format!("Bearer {secret}"))],
        };
        let mut hidden = vec![secret];
        if self.basic.is_some() {
            let sent = headers
                .iter()
                .filter_map(|(_, value)| value.strip_prefix("Basic "));
            hidden.extend(sent.map(str::to_owned));
        }
        Ok(Signed { headers, hidden })
    }
}

/// Standard Webhooks: what is signed is `id.time.body`.
fn signature(
    name: &str,
    secret: &str,
    id: &str,
    now: i64,
    body: &[u8],
) -> Result<Vec<(String, String)>, PluginError> {
    let key = secret.strip_prefix(SIGNING_PREFIX);
    let key = key
        .and_then(|key| STANDARD.decode(key).ok())
        .ok_or_else(|| {
            let told = format!("the secret `{name}` is not `{SIGNING_PREFIX}` and base64");
            PluginError::permanent("unusable_secret", told)
        })?;
    // The dot is what parts the three.
    let id = id.replace('.', "-");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let mut signing = hmac::Context::with_key(&key);
    signing.update(format!("{id}.{now}.").as_bytes());
    signing.update(body);
    let signature = format!("v1,{}", STANDARD.encode(signing.sign()));
    Ok(vec![
        (WEBHOOK_ID.to_owned(), id),
        (WEBHOOK_TIMESTAMP.to_owned(), now.to_string()),
        (WEBHOOK_SIGNATURE.to_owned(), signature),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_standards_own() {
        let headers = signature(
            "s",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(headers.unwrap()[2].1, expected);
        let error = signature("s", "whsec_no base64", "", 0, b"").unwrap_err();
        assert!(!error.message.contains("no base64"), "{error}");
    }
}
