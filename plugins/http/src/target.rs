//! One target, ready to be asked: receives its configuration, hands on requests with everything in its place.

use std::path::PathBuf;
use std::time::Duration;

use nexus_plugin_api::PluginError;
use nexus_plugin_api::outgoing::{Answer, Method};
use serde_json::Value;

use crate::address::Address;
use crate::auth::Auth;
use crate::config::{TargetConfig, invalid};
use crate::content::{Content, Filled};
use crate::headers::{Headers, checked_name};

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) method: Method,
    pub(crate) headers: Headers,
    pub(crate) auth: Auth,
    pub(crate) content: Option<Content>,
    /// `None` for none.
    pub(crate) idempotency_header: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) expect: Vec<u16>,
    pub(crate) reply_event: Option<String>,
    pub(crate) authorities: Option<PathBuf>,
}

impl Target {
    /// Reads a target, or says what is wrong with it.
    pub(crate) fn read(name: &str, config: TargetConfig) -> Result<Self, PluginError> {
        Self::checked(config).map_err(|why| invalid(format!("`targets.{name}`: {why}")))
    }

    fn checked(config: TargetConfig) -> Result<Self, String> {
        let address: Address = config.url.parse().map_err(|why| format!("`url` {why}"))?;
        let method = method(&config.method)?;
        let headers = Headers::read(&config.headers)?;
        config.auth.check()?;
        if config.auth.secret().is_some() && !address.is_within_a_domain() {
            return Err(
                "`url` leads wherever the values say, and `auth` would send the secret there; write the \
                 domain that its host ends in, such as `{values.shop}.example.org`"
                    .to_owned(),
            );
        }
        let content = Content::read(&config)?;
        if let Some(content) = content.as_ref().filter(|_| !takes_body(&method)) {
            let name = content.name();
            return Err(format!("`{name}` is not sent with {method}; leave it out"));
        }
        let idempotency_header = match config.idempotency_header.as_str() {
            "" => None,
            name => Some(checked_name(name).map_err(|why| format!("`idempotency_header`: {why}"))?),
        };
        let of_auth = config.auth.header_names();
        if let Some(both) = idempotency_header.iter().find(|own| of_auth.contains(own)) {
            return Err(format!(
                "`idempotency_header` is `{both}`, which `auth` sets"
            ));
        }
        let mut own = idempotency_header.iter().chain(&of_auth);
        if let Some(twice) = own.find(|own| headers.has(own)) {
            return Err(format!(
                "header `{twice}` is set by the target itself; leave it out"
            ));
        }
        if config.timeout.0.is_zero() {
            return Err("`timeout` is 0s".to_owned());
        }
        if let Some(status) = config.expect.iter().find(|s| !(200..=599).contains(*s)) {
            return Err(format!("`expect` holds {status}; a status is 200 to 599"));
        }
        let is_type = |text: &String| {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
            let of_letters = |part: &str| !part.is_empty() && part.bytes().all(plain);
            text.len() <= 200 && !text.starts_with("nexus.") && text.split('.').all(of_letters)
        };
        if let Some(wrong) = config.reply_event.as_ref().filter(|text| !is_type(text)) {
            return Err(format!(
                "`reply_event` is `{wrong}`, which is no type of an event"
            ));
        }
        Ok(Self {
            address,
            method,
            headers,
            auth: config.auth,
            content,
            idempotency_header,
            timeout: config.timeout.0,
            expect: config.expect,
            reply_event: config.reply_event,
            authorities: config.authorities,
        })
    }

    /// Whether an answer means success.
    pub(crate) fn is_expected(&self, answer: &Answer) -> bool {
        match self.expect.is_empty() {
            true => (200..300).contains(&answer.status()),
            false => self.expect.contains(&answer.status()),
        }
    }

    /// The body that is sent: what the effect brings, else the target's own.
    pub(crate) fn body(
        &self,
        values: &Value,
        brought: Option<&Value>,
    ) -> Result<Option<Filled>, PluginError> {
        let unusable = |told| Err(PluginError::permanent("invalid_request", told));
        match (brought, &self.content) {
            (Some(_), _) if !takes_body(&self.method) => unusable(format!(
                "`body` is not sent with {}; leave it out",
                self.method
            )),
            (Some(_), Some(content @ (Content::Form(_) | Content::Text(_)))) => unusable(format!(
                "`body` is JSON, and the target sends `{}`; bring `values`",
                content.name()
            )),
            (Some(body), _) => Filled::json(body).map(Some),
            (None, Some(content)) => content.fill(values).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// A method by its name.
pub(crate) fn method(name: &str) -> Result<Method, String> {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
    ];
    let found = known.into_iter().find(|method| method.as_str() == name);
    found
        .ok_or_else(|| format!("`method` is `{name}`; it is GET, POST, PUT, PATCH, DELETE or HEAD"))
}

fn takes_body(method: &Method) -> bool {
    ![Method::GET, Method::HEAD].contains(method)
}
