//! The question of a route: receives what was written, holds what is known of it before any event to its bounds, and
//! hands on the question for an event.

use std::time::Duration;

use nexus_plugin_api::approval::{Choice, Question, Tone};
use nexus_plugin_api::{Priority, one_line};
use serde_json::Value;

use super::config;
use super::misfit::{Misfit, each};
use super::template::{Template, Text};
use crate::approvals::{self, LONGEST_BODY, LONGEST_CONTEXT, LONGEST_LABEL, LONGEST_TITLE};
use crate::expression::Case;

/// The title of a question for which its event has none.
const UNTITLED: &str = "(no title)";

/// A question, ready for events.
#[derive(Debug)]
pub(super) struct Ask {
    title: Text,
    body: Text,
    choices: Vec<(String, Text, Tone)>,
    unanswered: Option<String>,
    expires_after: Option<Duration>,
    priority: Priority,
    context: Template,
}

impl Ask {
    /// Compiles one.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn compile(written: &config::Ask) -> Result<Self, Vec<Misfit>> {
        approvals::check(&outline(written)).map_err(|fault| vec![Misfit::new(fault)])?;
        let choices = written.choices.iter().enumerate();
        let choices = choices.map(|(at, choice)| {
            let label = each([("label", Text::compile(&choice.label))]);
            let choice = label.map(|mut label| (choice.id.clone(), label.remove(0), choice.tone));
            (at.to_string(), choice)
        });
        let mut choices = each([("choices", each(choices))])?;
        let mut texts = each([
            ("title", Text::compile(&written.title)),
            ("body", Text::compile(&written.body)),
        ])?;
        let mut context = each([("context", Template::compile(&written.context))])?;
        Ok(Self {
            body: texts.remove(1),
            title: texts.remove(0),
            choices: choices.remove(0),
            unanswered: written.unanswered.clone(),
            expires_after: written.expires_after.map(|time| time.get()),
            priority: written.priority,
            context: context.remove(0),
        })
    }

    /// How many placeholders it has.
    pub(super) fn placeholders(&self) -> usize {
        let labels = self.choices.iter().map(|(_, label, _)| label);
        let texts = labels.chain([&self.title, &self.body]);
        texts.map(Text::placeholders).sum::<usize>() + self.context.placeholders()
    }

    /// The question for an event. What a person reads is cut where it is too long, and something stands for what is
    /// empty: neither a long subject nor none is a reason to ask nothing.
    ///
    /// # Errors
    /// Where it cannot be filled.
    pub(super) fn question(&self, case: &Case) -> Result<Question, Misfit> {
        let title = self.title.fill_at("title", case)?;
        let body = self.body.fill_at("body", case)?;
        let choices = self.choices.iter().enumerate();
        let choices: Result<Vec<Choice>, Misfit> = choices
            .map(|(at, (id, label, tone))| {
                let label = label.fill_at("label", case);
                let label = label.map_err(|misfit| misfit.within(&at.to_string()))?;
                let label = cut(or(&one_line(&label), id), LONGEST_LABEL);
                let mut choice = Choice::new(id, label);
                choice.tone = *tone;
                Ok(choice)
            })
            .collect();
        let context = self.context.make(case, LONGEST_CONTEXT);
        let context = context.map_err(|misfit| misfit.within("context"))?;
        let context: Value = context
            .parse()
            .map_err(|error| Misfit::new(error.to_string()).within("context"))?;
        let mut question = Question::new(cut(or(&one_line(&title), UNTITLED), LONGEST_TITLE))
            .body(cut(&without_controls(&body), LONGEST_BODY))
            .with_priority(self.priority)
            .context(context);
        question.choices = choices.map_err(|misfit| misfit.within("choices"))?;
        question.unanswered.clone_from(&self.unanswered);
        Ok(match self.expires_after {
            Some(time) => question.expires_after(time),
            None => question,
        })
    }
}

/// What is known of it before any event: something stands for every text with a placeholder.
fn outline(written: &config::Ask) -> Question {
    let shown = |text: &str| match text.contains("{{") {
        true => "…".to_owned(),
        false => text.to_owned(),
    };
    let choices = written.choices.iter().map(|written| {
        let mut choice = Choice::new(&written.id, shown(&written.label));
        choice.tone = written.tone;
        choice
    });
    let mut question = Question::new(shown(&written.title)).body(shown(&written.body));
    question.choices = choices.collect();
    question.unanswered.clone_from(&written.unanswered);
    match written.expires_after {
        Some(time) => question.expires_after(time.get()),
        None => question,
    }
}

/// A body has lines, and no other control characters.
fn without_controls(text: &str) -> String {
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    text.replace(is_control, " ")
}

/// The text, or another where there is nothing to read in it.
fn or<'t>(text: &'t str, other: &'t str) -> &'t str {
    match text.trim() {
        "" => other,
        text => text,
    }
}

fn cut(text: &str, longest: usize) -> String {
    match text.chars().nth(longest) {
        None => text.to_owned(),
        Some(_) => {
            let kept = text.chars().take(longest - 1);
            kept.chain(['…']).collect()
        }
    }
}
