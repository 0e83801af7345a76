//! What looks like an attack on whoever reads it: receives an admitted payload, hands on the names of the
//! patterns that it fits and where. It never changes a payload, and never repeats what it found.
//!
//! Patterns are a hint and not a wall: they miss what is new, and hit what is harmless. So by default an
//! event that fits one goes on, marked in its journal.

#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod patterns;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock};

use memchr::{memchr, memchr_iter, memmem};
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde::{Deserialize, Serialize};

use super::config::{Limits, OnSuspicion, Pattern};
use super::envelope::escaped;
use super::rejection::{Code, MAX_VIOLATIONS, Rejection, Violation};
use super::strict_json::Tree;
use patterns::{BUILT_IN, LONGEST_TRIGGER, SHORT_TRIGGERS, TRIGGERS};

/// What one regular expression may take once compiled, in bytes.
const LARGEST_REGEX: usize = 1 << 20;

/// What all regular expressions of the configuration may take together.
const LARGEST_SET: usize = 16 << 20;

/// So much is put in lower case at once, on the stack.
const WINDOW: usize = 2_048;

/// The longest pointer that is told, in bytes; a deeper place is told by what is above it.
const LONGEST_POINTER: usize = 512;

const CONSTANT: &str = "a constant, which a test compiles";

static FILTER: LazyLock<Regex> = LazyLock::new(|| {
    let texts = TRIGGERS.map(regex::escape).join("|");
    RegexBuilder::new(&texts)
        .unicode(false)
        .build()
        .expect(CONSTANT)
});

static KNOWN: LazyLock<RegexSet> = LazyLock::new(|| {
    let texts = BUILT_IN.map(|pattern| pattern.regex);
    RegexSetBuilder::new(texts)
        .unicode(false)
        .build()
        .expect(CONSTANT)
});

/// A place in an event that fits a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// The pattern's name.
    pub pattern: String,
    /// JSON Pointer from the event's root, such as `/payload/body`.
    pub pointer: String,
}

/// The patterns, and what is done about each.
pub(super) struct Suspicion {
    known: [OnSuspicion; BUILT_IN.len()],
    own: Option<Own>,
}

/// The patterns of the configuration.
struct Own {
    set: RegexSet,
    patterns: Vec<(Arc<str>, OnSuspicion)>,
}

/// Why a regular expression cannot be used, in a few words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unusable(pub(super) String);

impl Suspicion {
    /// The patterns of these limits. One that cannot be used, which checking the configuration refuses, is
    /// told in the log and left out.
    pub(super) fn new(limits: &Limits) -> Self {
        let mut known = [limits.suspicious; BUILT_IN.len()];
        for pattern in &limits.patterns {
            if let Some(at) = place_of_known(&pattern.name) {
                known[at] = pattern.action;
            }
        }
        let own = own(&limits.patterns).unwrap_or_else(|Unusable(reason)| {
            tracing::error!(reason, "limits.patterns cannot be used");
            None
        });
        Self { known, own }
    }

    /// Looks through a payload, given as text and as the tree it was read into.
    pub(super) fn look(&self, text: &[u8], payload: &Tree<'_>) -> Found {
        let mut search = Search {
            suspicion: self,
            known: self.look_for_known(text),
            found: Found::default(),
        };
        if search.known != Where::Nowhere || self.own.is_some() {
            let root = Path {
                above: None,
                step: Step::Key("payload"),
            };
            search.visit(payload, &root);
        }
        search.found
    }

    /// One look at the whole text, which nearly always settles it: what is written without escapes stands
    /// there as it is.
    fn look_for_known(&self, text: &[u8]) -> Where {
        if self.known.iter().all(|action| *action == OnSuspicion::Off) {
            Where::Nowhere
        } else if has_trigger(text) {
            Where::Anywhere
        } else if memchr(b'\\', text).is_some() {
            Where::Escaped
        } else {
            Where::Nowhere
        }
    }
}

/// Which places of a payload fit a pattern.
#[derive(Debug, Default)]
pub(super) struct Found {
    flags: Vec<Flag>,
    /// Those of patterns for which an event is refused.
    refused: Vec<Flag>,
}

impl Found {
    /// Every place, whatever is to be done about it.
    pub(super) fn all(self) -> Vec<Flag> {
        self.flags.into_iter().chain(self.refused).collect()
    }

    /// The places of an event that goes on.
    ///
    /// # Errors
    /// When it fits a pattern that is to be refused, with every such place.
    pub(super) fn judged(self) -> Result<Vec<Flag>, Rejection> {
        if self.refused.is_empty() {
            return Ok(self.flags);
        }
        let violations = self.refused.into_iter().map(|flag| {
            let message = format!("fits the pattern `{}`", flag.pattern);
            Violation::new(flag.pointer, message)
        });
        let message = "the payload holds what [limits] refuses; see `errors`";
        Err(Rejection::new(Code::ContractViolation, message).with_errors(violations.collect()))
    }
}

/// Which strings may fit a pattern of the hub.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    Nowhere,
    /// Those with escapes.
    Escaped,
    Anywhere,
}

/// One walk through a payload.
struct Search<'s> {
    suspicion: &'s Suspicion,
    known: Where,
    found: Found,
}

/// The way to a value, on the stack: it is written out only when something is found.
struct Path<'p> {
    above: Option<&'p Path<'p>>,
    step: Step<'p>,
}

enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

impl Search<'_> {
    fn visit(&mut self, value: &Tree<'_>, path: &Path<'_>) {
        if self.found.refused.len() == MAX_VIOLATIONS {
            return;
        }
        match value {
            Tree::String(text) => self.look_at(text, matches!(text, Cow::Owned(_)), path),
            Tree::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let step = Step::Index(index);
                    let above = Some(path);
                    self.visit(item, &Path { above, step });
                }
            }
            Tree::Object(members) => {
                for (key, value) in members.iter() {
                    let above = Some(path);
                    let step = Step::Key(key);
                    let path = Path { above, step };
                    self.look_at(key, matches!(key, Cow::Owned(_)), &path);
                    self.visit(value, &path);
                }
            }
            Tree::Null | Tree::Bool(_) | Tree::Number(_) => {}
        }
    }

    /// `is_escaped`: it was written with escapes; the parser copies a string only to take them out.
    fn look_at(&mut self, text: &str, is_escaped: bool, path: &Path<'_>) {
        let bytes = text.as_bytes();
        let worth_it = match self.known {
            Where::Anywhere => true,
            Where::Escaped => is_escaped && has_trigger(bytes),
            Where::Nowhere => false,
        };
        if worth_it && KNOWN.is_match(bytes) {
            for at in KNOWN.matches(bytes) {
                self.note(BUILT_IN[at].name, self.suspicion.known[at], path);
            }
        }
        if let Some(own) = &self.suspicion.own
            && own.set.is_match(bytes)
        {
            for at in own.set.matches(bytes) {
                let (name, action) = &own.patterns[at];
                self.note(name, *action, path);
            }
        }
    }

    fn note(&mut self, pattern: &str, action: OnSuspicion, path: &Path<'_>) {
        let list = match action {
            OnSuspicion::Flag => &mut self.found.flags,
            OnSuspicion::Refuse => &mut self.found.refused,
            OnSuspicion::Off => return,
        };
        if list.len() < MAX_VIOLATIONS {
            list.push(Flag {
                pattern: pattern.to_owned(),
                pointer: path.pointer(),
            });
        }
    }
}

impl Path<'_> {
    fn pointer(&self) -> String {
        self.whole().unwrap_or_else(|above| above)
    }

    /// The whole pointer, or what of it is not too long: nothing may follow what was left out.
    fn whole(&self) -> Result<String, String> {
        let mut pointer = self.above.map_or(Ok(String::new()), Path::whole)?;
        let step = match self.step {
            Step::Key(key) => escaped(key),
            Step::Index(index) => index.to_string(),
        };
        if pointer.len() + step.len() >= LONGEST_POINTER {
            return Err(pointer);
        }
        pointer.push('/');
        pointer.push_str(&step);
        Ok(pointer)
    }
}

/// Whether any pattern of the hub may fit somewhere in the text.
fn has_trigger(text: &[u8]) -> bool {
    let mut window = [0; WINDOW];
    let mut start = 0;
    loop {
        let end = text.len().min(start + WINDOW);
        let part = &mut window[..end - start];
        part.copy_from_slice(&text[start..end]);
        part.make_ascii_lowercase();
        if FILTER.is_match(part) {
            return true;
        }
        if end == text.len() {
            break;
        }
        start = end - LONGEST_TRIGGER;
    }
    let [of_dollar @ .., braces] = &SHORT_TRIGGERS;
    let follows = |at: usize| of_dollar.iter().any(|two| text[at..].starts_with(two));
    memchr_iter(b'$', text).any(follows) || memmem::find(text, braces).is_some()
}

/// Whether the hub has a pattern of that name.
pub(super) fn is_known(name: &str) -> bool {
    place_of_known(name).is_some()
}

fn place_of_known(name: &str) -> Option<usize> {
    BUILT_IN.iter().position(|pattern| pattern.name == name)
}

/// The names of the hub's patterns, for messages.
pub(super) fn known_names() -> String {
    BUILT_IN.map(|pattern| pattern.name).join(", ")
}

/// Whether a regular expression can be used: it compiles within bounds, and means something.
pub(super) fn check_regex(text: &str) -> Result<(), Unusable> {
    let compiled = RegexBuilder::new(text)
        .size_limit(LARGEST_REGEX)
        .dfa_size_limit(LARGEST_REGEX)
        .build()
        .map_err(unusable)?;
    match compiled.is_match(b"") {
        true => Err(Unusable(
            "fits the empty text, and so every string".to_owned(),
        )),
        false => Ok(()),
    }
}

/// Whether the patterns can be used together.
pub(super) fn check_all(patterns: &[Pattern]) -> Result<(), Unusable> {
    own(patterns).map(drop)
}

fn own(patterns: &[Pattern]) -> Result<Option<Own>, Unusable> {
    let with_regex: Vec<(&Pattern, &str)> = patterns
        .iter()
        .filter(|pattern| pattern.action != OnSuspicion::Off)
        .filter_map(|pattern| Some((pattern, pattern.regex.as_deref()?)))
        .collect();
    if with_regex.is_empty() {
        return Ok(None);
    }
    let set = RegexSetBuilder::new(with_regex.iter().map(|(_, regex)| regex))
        .size_limit(LARGEST_SET)
        .dfa_size_limit(LARGEST_SET)
        .build()
        .map_err(unusable)?;
    let named = with_regex
        .iter()
        .map(|(pattern, _)| (pattern.name.as_str().into(), pattern.action));
    Ok(Some(Own {
        set,
        patterns: named.collect(),
    }))
}

/// The last line of the compiler's message says what is wrong; the ones before draw it.
fn unusable(error: regex::Error) -> Unusable {
    Unusable(match error {
        regex::Error::CompiledTooBig(_) => "is too large once compiled".to_owned(),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let last = last.strip_prefix("error: ").unwrap_or(last);
            format!("is not a regular expression: {last}")
        }
    })
}

impl fmt::Debug for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.own.as_ref().map_or(0, |own| own.patterns.len());
        write!(f, "Suspicion({} known, {own} own)", self.known.len())
    }
}

#[cfg(test)]
mod tests;
