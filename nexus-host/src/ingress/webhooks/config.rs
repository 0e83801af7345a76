//! `[[webhooks]]`: senders whose signed webhooks become events without a plugin. It holds the settings
//! only.

use std::collections::HashMap;

use nexus_plugin_api::Priority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pick::{Pick, Pointer};
use super::verify::Verifier;
use crate::admission::rules;
use crate::config::{HumanDuration, Secret, Section};

/// A secret with less bytes can be guessed by whoever has seen something that was signed with it.
const SHORT_SECRET: usize = 16;

/// How many secrets one webhook may have: the one in use, and those that are on their way in or out.
pub(super) const MOST_SECRETS: usize = 4;

/// A sender whose webhooks come to `POST /v1/hooks/NAME` and become events, once their signature has
/// been checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "scheme"]))]
pub struct Webhook {
    /// Where it is received: `/v1/hooks/NAME`. Unique among webhooks and the sources of plugins; letters,
    /// digits, `.`, `_` and `-`, at most 128.
    pub name: String,
    /// The source of its events. Default the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How a request proves who sent it.
    pub scheme: Scheme,
    /// What is shared with the sender, each `{ env = "NAME" }` or `{ file = "PATH" }`: one to four, of
    /// which any may have signed, so that they can be changed without a gap. Default none, which only
    /// `scheme = "none"` takes.
    #[serde(skip_serializing)]
    pub secrets: Vec<Secret>,
    /// The header with the signature, for "hmac"; with the secret, for "bearer". Default none for "hmac",
    /// which needs one, and `Authorization` for "bearer".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// What precedes the signature or the secret in its header, such as "sha256=". Default nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How the signature is written, for "hmac". Default "hex".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// The hash of the signature, for "hmac". Default "sha256".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// What is signed, for "hmac", with `{body}` and `{timestamp}` in it, such as
    /// "v0:{timestamp}:{body}". Default "{body}", with `timestamp_header` "{timestamp}.{body}".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
    /// The header with the time of the signature, for "hmac": seconds or milliseconds since 1970.
    /// Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<String>,
    /// How far that time may be from now, before or after, for "standard" and for "hmac" with
    /// `timestamp_header`. More than 0; default "5m".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<HumanDuration>,
    /// The type of its events. Either this or `type_from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// Where the type is found: `header:NAME`, or a JSON pointer into the body such as "/event". What
    /// stands there is put in lower case; `/` and `:` become dots, and other characters that no type has
    /// become `_`. Default `header:X-GitHub-Event` for "github".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_from: Option<Pick>,
    /// What precedes a type that was found, with a dot between. Default the name; "" for nothing, and then
    /// the sender chooses among all types but the hub's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_prefix: Option<String>,
    /// Where in the body the payload is, as a JSON pointer. Default the whole body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Pointer>,
    /// Where the id is found that tells a repeated delivery: `header:NAME` or a JSON pointer. A UUID is
    /// the event's id as it is; from anything else and the source one is derived. Default `webhook-id` for
    /// "standard", where it cannot be changed, `header:X-GitHub-Delivery` for "github", and otherwise a
    /// new id for each delivery; with `timestamp_header` the same for the same time and body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_from: Option<Pick>,
    /// Where the event's time is found: RFC 3339, or seconds or milliseconds since 1970. Default the time
    /// of arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_from: Option<Pick>,
    /// How urgent its events are. Default "normal".
    #[schemars(schema_with = "crate::config::priorities")]
    pub priority: Priority,
    /// Where the correlation id is found. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_from: Option<Pick>,
    /// Where the partition key is found. Default none: the lane is the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_from: Option<Pick>,
    /// Where in the body a text is found that the sender wants to have back, as a JSON pointer such as
    /// "/challenge", for senders that ask so whether the address is right. A signed request with a text there
    /// makes no event and is answered with it. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge_from: Option<Pointer>,
    /// How many events it may bring per second, more than 0. Default no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1_000_000_000))]
    pub rate: Option<f64>,
    /// How many events it may bring at once before `rate` holds it back, at least 1; only with `rate`.
    /// Default one second's worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub burst: Option<u32>,
}

/// How a request proves who sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scheme {
    /// Standard Webhooks: the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, or the
    /// same with `svix-`. Secrets are `whsec_…` (shared) or `whpk_…` (the sender's public key).
    #[default]
    Standard,
    /// GitHub: `X-Hub-Signature-256`.
    Github,
    /// An HMAC in a header of the sender's choice.
    Hmac,
    /// The secret itself in a header.
    Bearer,
    /// Nothing: whoever reaches the hub may send. For networks where nobody else is.
    None,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Github => "github",
            Self::Hmac => "hmac",
            Self::Bearer => "bearer",
            Self::None => "none",
        }
    }

    /// The keys beyond those of every scheme that it knows.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Standard => &["secrets", "tolerance"],
            Self::Github => &["secrets", "id_from"],
            Self::Hmac => &[
                "secrets",
                "header",
                "prefix",
                "encoding",
                "algorithm",
                "signed",
                "timestamp_header",
                "tolerance",
                "id_from",
            ],
            Self::Bearer => &["secrets", "header", "prefix", "id_from"],
            Self::None => &["id_from"],
        }
    }
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Encoding {
    /// Hexadecimal digits.
    #[default]
    Hex,
    /// Base64, with `+` and `/` and padding.
    Base64,
}

/// The hash of a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Algorithm {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
    /// SHA-1, for senders that know nothing better; `nexus check` warns of it.
    Sha1,
}

impl Webhook {
    /// The source of its events.
    pub fn source(&self) -> &str {
        self.source.as_deref().unwrap_or(&self.name)
    }

    /// What is allowed but deserves a second thought, as `nexus check` says it.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.scheme == Scheme::None {
            warnings.push(format!(
                "webhook `{}` has scheme = \"none\": whoever reaches the hub can send its events",
                self.name
            ));
        }
        let is_short = |secret: &Secret| secret.expose().len() < SHORT_SECRET;
        if self.secrets.iter().any(is_short) {
            warnings.push(format!(
                "webhook `{}` has a secret of less than {SHORT_SECRET} bytes, which can be guessed: give it \
                 and its sender a longer one",
                self.name
            ));
        }
        if self.algorithm == Some(Algorithm::Sha1) {
            warnings.push(format!(
                "webhook `{}` has algorithm = \"sha1\": use \"sha256\" as soon as its sender can",
                self.name
            ));
        }
        if self.scheme == Scheme::Hmac && self.timestamp_header.is_none() && self.id_from.is_none()
        {
            warnings.push(format!(
                "webhook `{}` has neither timestamp_header nor id_from: a request that was recorded \
                 can be sent again",
                self.name
            ));
        }
        warnings
    }

    /// The keys that are given and that not every scheme knows.
    fn own_keys(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            ("secrets", !self.secrets.is_empty()),
            ("header", self.header.is_some()),
            ("prefix", self.prefix.is_some()),
            ("encoding", self.encoding.is_some()),
            ("algorithm", self.algorithm.is_some()),
            ("signed", self.signed.is_some()),
            ("timestamp_header", self.timestamp_header.is_some()),
            ("tolerance", self.tolerance.is_some()),
            ("id_from", self.id_from.is_some()),
        ];
        given
            .into_iter()
            .filter(|(_, given)| *given)
            .map(|(key, _)| key)
    }

    fn check(&self, section: &mut Section<'_, '_>) {
        if !rules::is_source(&self.name) {
            let message = format!("as a part of a path and as a source it {}", rules::SOURCE);
            section.refuse("name", message, "write a name such as \"billing\"");
        }
        if self
            .source
            .as_deref()
            .is_some_and(|text| !rules::is_source(text))
        {
            section.refuse("source", rules::SOURCE, "or leave it out");
        }
        self.check_scheme(section);
        self.check_type(section);
        if self
            .challenge_from
            .as_ref()
            .is_some_and(|place| place.last().is_none())
        {
            let message = "names no member that could be answered";
            section.refuse(
                "challenge_from",
                message,
                "write one such as \"/challenge\"",
            );
        }
        if self.challenge_from.is_some() && self.scheme == Scheme::None {
            section.refuse_together(
                &["challenge_from", "scheme"],
                "`challenge_from` does not go with scheme = \"none\": anybody would be answered",
                "take one of the two out",
            );
        }
        if self.burst.is_some() && self.rate.is_none() {
            section.refuse_together(
                &["burst", "rate"],
                "burst needs rate",
                "give the events per second as `rate`, or leave `burst` out",
            );
        }
    }

    fn check_scheme(&self, section: &mut Section<'_, '_>) {
        let scheme = self.scheme.as_str();
        let mut fits = true;
        for key in self.own_keys() {
            if !self.scheme.keys().contains(&key) {
                fits = false;
                let message = format!("`{key}` does not go with scheme = \"{scheme}\"");
                section.refuse_together(&[key, "scheme"], message, "take one of the two out");
            }
        }
        let mut needs = |key: &str, of: &str| {
            fits = false;
            let message = format!("{of} needs `{key}`");
            section.refuse_together(&[key, "scheme"], message, "add it");
        };
        if self.scheme == Scheme::Hmac && self.header.is_none() {
            needs("header", "scheme = \"hmac\"");
        }
        if self.scheme == Scheme::Bearer && self.prefix.is_some() && self.header.is_none() {
            needs("header", "a `prefix`");
        }
        if self.scheme == Scheme::Hmac
            && self.tolerance.is_some()
            && self.timestamp_header.is_none()
        {
            needs("timestamp_header", "a `tolerance`");
        }
        if self.scheme != Scheme::None && self.secrets.is_empty() {
            fits = false;
            let message = format!("scheme = \"{scheme}\" needs at least one secret");
            let help = "write secrets = [{ env = \"NAME\" }] or [{ file = \"PATH\" }]";
            section.refuse_together(&["secrets", "scheme"], message, help);
        }
        if self.secrets.len() > MOST_SECRETS {
            fits = false;
            let message = format!("must be at most {MOST_SECRETS}");
            section.refuse("secrets", message, "take out those that are no longer used");
        }
        if let Some(tolerance) = self.tolerance {
            section.positive("tolerance", tolerance.get());
        }
        if fits && let Err(fault) = Verifier::new(self) {
            section.refuse(fault.key, fault.message, fault.help);
        }
    }

    fn check_type(&self, section: &mut Section<'_, '_>) {
        match (&self.r#type, &self.type_from) {
            (Some(_), Some(_)) => section.refuse_together(
                &["type", "type_from"],
                "either `type` or `type_from` says the type of its events",
                "take one of the two out",
            ),
            (None, None) if self.scheme != Scheme::Github => section.refuse_together(
                &["type", "type_from"],
                "the type of its events is not said",
                "add `type`, or `type_from` to find it in each request",
            ),
            (Some(_), None) if self.type_prefix.is_some() => section.refuse_together(
                &["type_prefix", "type"],
                "type_prefix is for types that type_from finds",
                "write the whole type as `type`",
            ),
            _ => {}
        }
        let mut own = |key: &str, text: &str| {
            if !rules::is_event_type(text) {
                section.refuse(key, rules::TYPE, "write such a type");
            } else if rules::is_reserved(text) {
                let message = "types that begin with `nexus.` are the hub's own";
                section.refuse(key, message, "choose another");
            }
        };
        if let Some(event_type) = &self.r#type {
            own("type", event_type);
        }
        match self.type_prefix.as_deref() {
            None | Some("") => {}
            Some(prefix) => {
                let prefix = prefix.strip_suffix('.').unwrap_or(prefix);
                own("type_prefix", &format!("{prefix}.x"));
            }
        }
    }
}

/// Objects to webhooks that cannot be told apart, and to what does not go together in one.
pub(crate) fn check_webhooks(webhooks: &[Webhook], section: &mut Section<'_, '_>) {
    let mut names = HashMap::new();
    for (index, webhook) in webhooks.iter().enumerate() {
        if let Some(first) = names.insert(&webhook.name, index) {
            let place = section.index(first).place_of("name");
            let message = format!("is the name of another webhook, at {place}");
            section
                .index(index)
                .refuse("name", message, "give each webhook its own");
        }
        webhook.check(&mut section.index(index));
    }
}

#[cfg(test)]
mod tests;
