//! One route: receives what was written, compiles it once, and hands on what it decides about an event.

use nexus_plugin_api::{Event, Outcome, PluginError};

use super::ID;
use super::action::Action;
use super::config;
use super::misfit::{Misfit, each};
use crate::admission::rules;
use crate::config::Selector;
use crate::expression::{Case, Expression};

/// How long a route's name may be, in bytes.
const LONGEST_NAME: usize = 64;

/// A route, ready for events.
#[derive(Debug)]
pub(super) struct Route {
    name: String,
    when: Option<Expression>,
    actions: Vec<Action>,
}

impl Route {
    /// Compiles one.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn compile(written: &config::Route) -> Result<Self, Vec<Misfit>> {
        let when = written.when.as_ref().map(|when| {
            let condition = Expression::condition(when);
            condition.map_err(|fault| vec![Misfit::new(fault)])
        });
        let actions = written.actions.iter().enumerate();
        let actions = actions.map(|(at, action)| {
            let compiled = Action::compile(action);
            let compiled = compiled.and_then(|action| expect_no_circle(written, action));
            (at.to_string(), compiled)
        });
        let types = written.types.iter().enumerate();
        let types = types.map(|(at, one)| (at.to_string(), expect_type(one)));
        let (name, types) = (expect_name(&written.name), each(types).map(drop));
        let when = each(when.map(|when| ("when", when)));
        let actions = each([("actions", each(actions))]);
        let mut misfits: Vec<Misfit> = [each([("name", name)]), each([("types", types)])]
            .into_iter()
            .filter_map(Result::err)
            .flatten()
            .collect();
        match (when, actions) {
            (Ok(mut when), Ok(mut actions)) if misfits.is_empty() => Ok(Self {
                name: written.name.clone(),
                when: when.pop(),
                actions: actions.pop().unwrap_or_default(),
            }),
            (when, actions) => {
                misfits.extend(when.err().into_iter().flatten());
                misfits.extend(actions.err().into_iter().flatten());
                Err(misfits)
            }
        }
    }

    /// What follows from an event.
    ///
    /// # Errors
    /// When its condition cannot be judged, or an action not be filled; permanent.
    pub(super) fn decide(&self, event: &Event) -> Result<Outcome, PluginError> {
        let case = Case::of(event).ok_or_else(|| {
            PluginError::permanent("malformed_event", "the payload cannot be read once more")
        })?;
        if let Some(when) = &self.when {
            let judged = when.holds(&case).map_err(|reason| {
                let name = &self.name;
                let message = format!("`when` of the route `{name}` cannot be judged: {reason}");
                PluginError::permanent("condition_failed", message)
            })?;
            if !judged {
                return Ok(Outcome::skip("when is false"));
            }
        }
        let mut outcome = Outcome::done();
        for (number, action) in self.actions.iter().enumerate() {
            let effect = action.effect(&case).map_err(|misfit| {
                let misfit = misfit.within(&number.to_string()).within("actions");
                let message = format!("the route `{}` cannot be filled {misfit}", self.name);
                PluginError::permanent("template_failed", message)
            })?;
            outcome.effects.push(effect);
        }
        Ok(outcome)
    }
}

fn refuse(reason: String) -> Result<(), Vec<Misfit>> {
    Err(vec![Misfit::new(reason)])
}

/// Whether a route, a receiver or a rule may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(plain)
}

fn expect_name(name: &str) -> Result<(), Vec<Misfit>> {
    match is_name(name) {
        true => Ok(()),
        false => refuse(format!(
            "must be 1 to {LONGEST_NAME} of a-z, 0-9, `-` and `_`, such as `urgent-mail`"
        )),
    }
}

fn expect_type(one: &Selector) -> Result<(), Vec<Misfit>> {
    let is_type = match one {
        Selector::Any => true,
        Selector::Below(prefix) => rules::is_event_type(&format!("{prefix}x")),
        Selector::Exact(name) => rules::is_event_type(name),
    };
    match is_type {
        true => Ok(()),
        false => refuse(format!("is the name of no type: it {}", rules::TYPE)),
    }
}

/// Refuses an action whose event would come to its own route again.
fn expect_no_circle(written: &config::Route, action: Action) -> Result<Action, Vec<Misfit>> {
    let comes_back = |event_type: &&str| {
        let of_type = written.types.iter().any(|one| one.matches(event_type));
        let of_source =
            written.sources.is_empty() || written.sources.iter().any(|one| one.matches(ID));
        of_type && of_source
    };
    match action.emits().filter(comes_back) {
        None => Ok(action),
        Some(_) => {
            let reason = format!(
                "is a type that this route takes itself, for ever; emit another, or name `sources` without `{ID}`"
            );
            Err(vec![Misfit::new(reason).within("type").within("emit")])
        }
    }
}
