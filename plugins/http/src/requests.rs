//! The integration: receives requests, sends them, and hands on what was answered.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::Utc;
use nexus_plugin_api::outgoing::{self, Access, Answer, Client, Guard, Method, Url};
use nexus_plugin_api::{
    Component, Context, Contract, Health, Integration, NewEvent, PluginError, Reply, Services,
    Setup,
};
use parking_lot::Mutex;
use serde_json::Value;

use crate::answered::{Answered, text, told};
use crate::auth::Signed;
use crate::config::{Config, ten_seconds};
use crate::content::Filled;
use crate::request::Request;
use crate::target::{Target, method};

/// Longer than any target waits: each has a time of its own.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// How much of a refusal is told, in characters.
const TOLD: usize = 300;

/// Where a request without a target says that it goes.
const ANY_URL: &str = "url";

/// Asks other systems.
#[derive(Debug)]
pub struct Requests {
    targets: BTreeMap<String, Target>,
    allow_any_url: bool,
    guard: Guard,
    services: Services,
    /// By authorities, and whether they are guarded. As many as the configuration makes.
    clients: Mutex<BTreeMap<(Option<PathBuf>, bool), Client>>,
}

/// A request with everything in its place.
struct Ready<'a> {
    name: &'a str,
    url: Url,
    method: Method,
    headers: Vec<(String, String)>,
    body: Option<Filled>,
    timeout: Duration,
    target: Option<&'a Target>,
}

impl Component for Requests {
    type Config = Config;

    fn new(config: Config, setup: &Setup) -> Result<Self, PluginError> {
        let guard = Guard::new(&config.networks()?);
        let read = config.targets.into_iter().map(|(name, target)| {
            let target = Target::read(&name, target)?;
            Ok((name, target))
        });
        Ok(Self {
            targets: read.collect::<Result<_, PluginError>>()?,
            allow_any_url: config.allow_any_url,
            guard,
            services: setup.services().clone(),
            clients: Mutex::default(),
        })
    }

    async fn health_check(&self) -> Health {
        if self.targets.is_empty() && !self.allow_any_url {
            return Health::not_configured(
                "write [plugins.http.config.targets.NAME] url = \"https://...\"",
            );
        }
        for (name, target) in &self.targets {
            if let Some(secret) = target.auth.secret()
                && let Err(error) = self.services.secret(secret).await
            {
                let reason = format!("the target `{name}` cannot sign in: {}", error.message);
                return Health::Degraded { reason };
            }
        }
        Health::Ready
    }
}

impl Integration for Requests {
    const NAME: &'static str = "http";
    type Request = Request;

    async fn deliver(&self, ctx: &Context, request: Request) -> Result<Reply, PluginError> {
        let ready = match &request.url {
            Some(_) => self.of_url(ctx, &request)?,
            None => self.of_target(ctx, &request)?,
        };
        let name = ready.name;
        let (target, mut hidden) = (ready.target, Vec::new());
        let answer = self.send(ctx, ready, &mut hidden).await;
        let answer = answer.map_err(|error| of(name, error))?;
        let is_expected = match target {
            Some(target) => target.is_expected(&answer),
            None => (200..300).contains(&answer.status()),
        };
        if !is_expected {
            return Err(of(name, refusal(&answer, &hidden)));
        }
        let reply = Reply::noted(format!("{name} answered {}", answer.status()));
        let Some(event_type) = target.and_then(|target| target.reply_event.as_ref()) else {
            return Ok(reply);
        };
        let answered = Answered::of(name, &answer, &hidden);
        Ok(reply.with_event(match event_type == Answered::TYPE {
            true => NewEvent::of(&answered)?,
            false => NewEvent::new(event_type, &answered)?,
        }))
    }
}

impl Requests {
    fn of_target<'a>(
        &'a self,
        ctx: &'a Context,
        request: &'a Request,
    ) -> Result<Ready<'a>, PluginError> {
        let name = match (&request.target, ctx.target()) {
            (Some(said), Some(meant)) if said != meant => {
                let told =
                    format!("the effect's target is `{meant}`, and its request's is `{said}`");
                return Err(unusable(told));
            }
            (Some(name), _) => name.as_str(),
            (None, Some(name)) => name,
            (None, None) => return Err(unusable("`target` is missing")),
        };
        let Some(target) = self.targets.get(name) else {
            let told =
                format!("there is no target `{name}`; write [plugins.http.config.targets.{name}]");
            return Err(PluginError::permanent("unknown_target", told));
        };
        if request.method.is_some() {
            return Err(unusable("`method` is the target's own; leave it out"));
        }
        let ready = || {
            Ok(Ready {
                name,
                url: with_query(&target.address.fill(&request.values)?, &request.query)?,
                method: target.method.clone(),
                headers: target.headers.fill(&request.values)?,
                body: target.body(&request.values, request.body.as_ref())?,
                timeout: target.timeout,
                target: Some(target),
            })
        };
        ready().map_err(|error| of(name, error))
    }

    fn of_url<'a>(&'a self, ctx: &Context, request: &'a Request) -> Result<Ready<'a>, PluginError> {
        let url = request.url.as_deref().unwrap_or_default();
        if !self.allow_any_url {
            let told =
                "a request with a `url` of its own is refused; `allow_any_url = true` would let it";
            return Err(PluginError::permanent("not_allowed", told));
        }
        if request.target.is_some() || ctx.target().is_some() || !request.values.is_null() {
            return Err(unusable("`url` goes with neither `target` nor `values`"));
        }
        url.parse::<outgoing::Target>()
            .map_err(outgoing::Refused::into_plugin_error)?;
        let method = request.method.as_deref().unwrap_or("POST");
        let method = self::method(method).map_err(unusable)?;
        if request.body.is_some() && [Method::GET, Method::HEAD].contains(&method) {
            return Err(unusable(format!(
                "`body` is not sent with {method}; leave it out"
            )));
        }
        Ok(Ready {
            name: ANY_URL,
            url: with_query(url, &request.query)?,
            method,
            headers: Vec::new(),
            body: request.body.as_ref().map(Filled::json).transpose()?,
            timeout: ten_seconds().0,
            target: None,
        })
    }

    async fn send(
        &self,
        ctx: &Context,
        ready: Ready<'_>,
        hidden: &mut Vec<String>,
    ) -> Result<Answer, PluginError> {
        let bytes = match &ready.body {
            Some(body) => body.bytes.as_slice(),
            None => &[],
        };
        let signed = match ready.target {
            Some(target) => {
                let (id, now) = (ctx.idempotency_key(), Utc::now().timestamp());
                target.auth.sign(&self.services, id, now, bytes).await?
            }
            None => Signed::default(),
        };
        *hidden = signed.hidden;
        let client = self.client(ready.target);
        let mut request = client.request(ready.method, ready.url.as_str()).await?;
        let has_type = ready.headers.iter().any(|(name, _)| name == "content-type");
        if let Some(body) = ready.body.as_ref().filter(|_| !has_type) {
            request = request.header("content-type", body.content_type);
        }
        for (name, value) in ready.headers.iter().chain(&signed.headers) {
            request = request.header(name, value);
        }
        let key_header = match ready.target {
            Some(target) => target.idempotency_header.as_deref(),
            None => Some("idempotency-key"),
        };
        if let Some(name) = key_header.filter(|_| !ctx.idempotency_key().is_empty()) {
            request = request.header(name, ctx.idempotency_key());
        }
        if let Some(body) = ready.body {
            request = request.body(body.bytes);
        }
        let asked = tokio::time::timeout(ready.timeout, client.ask(request));
        asked.await.unwrap_or_else(|_| {
            let told = format!("no whole answer within {:?}", ready.timeout);
            Err(PluginError::retryable("timeout", told))
        })
    }

    /// A client that is guarded where it is an event that chooses the host.
    fn client(&self, target: Option<&Target>) -> Client {
        let is_guarded = target.is_none_or(|target| target.address.host_is_chosen());
        let authorities = target.and_then(|target| target.authorities.clone());
        let mut clients = self.clients.lock();
        let client = clients
            .entry((authorities.clone(), is_guarded))
            .or_insert_with(|| {
                Client::new(Access {
                    authorities,
                    guard: is_guarded.then(|| self.guard.clone()),
                    timeout: PATIENCE,
                    ..Access::default()
                })
            });
        client.clone()
    }
}

/// The URL with further pairs in its query.
fn with_query(url: &str, query: &BTreeMap<String, Value>) -> Result<Url, PluginError> {
    let mut url: Url = url
        .parse()
        .map_err(|error| PluginError::permanent("invalid_url", format!("no URL: {error}")))?;
    for (name, value) in query {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => {
                let told = format!("`query.{name}` is neither text nor a number nor true or false");
                return Err(unusable(told));
            }
        };
        url.query_pairs_mut().append_pair(name, &text);
    }
    Ok(url)
}

/// What an answer means that was not expected.
fn refusal(answer: &Answer, hidden: &[String]) -> PluginError {
    let body = told(answer, hidden);
    let text: String = text(&body).trim().chars().take(TOLD).collect();
    let told = match text.is_empty() {
        true => format!("answered {}", answer.status()),
        false => format!("answered {}: {text}", answer.status()),
    };
    match (200..300).contains(&answer.status()) {
        true => PluginError::permanent("unexpected_status", told),
        false => PluginError {
            message: told,
            ..answer.refusal()
        },
    }
}

/// The error with the target's name.
fn of(name: &str, error: PluginError) -> PluginError {
    PluginError {
        message: format!("{name}: {}", error.message),
        ..error
    }
}

fn unusable(message: impl std::fmt::Display) -> PluginError {
    PluginError::permanent("invalid_request", message)
}
