//! One thing that can be asked for: who may, with which parameters and body, and what is answered.

use serde_json::{Value, json};

use super::schemas;

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody.
    Open,
    /// A client with its key in the header.
    Client,
    /// A client with its key in the header or in the query.
    Publisher,
    /// A client that may read the metrics.
    Metrics,
    /// A client that may administer.
    Admin,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

pub(super) struct Parameter {
    pub(super) place: Place,
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    pub(super) schema: Value,
}

/// What a body may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// Events, in any format.
    Events,
    /// Which dead letters are meant.
    Selection,
    /// Another configuration.
    Candidate,
    /// Which lines the log is to have.
    LogFilter,
    /// Nothing, or an empty object.
    Nothing,
    /// The answer to an approval.
    Answer,
    /// Who takes notice of an alert, or nothing.
    Notice,
    /// Which alerts are silenced.
    Silence,
    /// Whatever the source plugin, or the webhook, reads.
    Anything,
}

/// What is answered when all is well.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) says: &'static str,
    pub(super) content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// None, or whatever the source plugin answers.
    Nothing,
    /// JSON of one of the named schemas.
    Json(&'static [&'static str]),
    /// The text format of Prometheus.
    Metrics,
    /// Server-sent events.
    Stream,
    /// A page for people, or a part of it.
    Page,
}

/// One thing that can be asked for.
pub(super) struct Operation {
    /// The path as the router knows it.
    pub(super) route: &'static str,
    /// The path as it is written for others.
    pub(super) path: &'static str,
    pub(super) methods: &'static [&'static str],
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) says: &'static str,
    pub(super) access: Access,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    /// The codes with which it may be refused, besides those that follow from its access and body.
    pub(super) refusals: &'static [&'static str],
}

impl Operation {
    pub(super) fn new(
        methods: &'static [&'static str],
        path: &'static str,
        id: &'static str,
    ) -> Self {
        Self {
            route: path,
            path,
            methods,
            id,
            tag: "operations",
            says: "",
            access: Access::Open,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            refusals: &[],
        }
    }

    pub(super) fn get(path: &'static str, id: &'static str) -> Self {
        Self::new(&["get"], path, id)
    }

    pub(super) fn post(path: &'static str, id: &'static str) -> Self {
        Self::new(&["post"], path, id)
    }

    pub(super) fn put(path: &'static str, id: &'static str) -> Self {
        Self::new(&["put"], path, id)
    }

    /// The path as the router knows it, where that differs.
    pub(super) fn served_by(mut self, route: &'static str) -> Self {
        self.route = route;
        self
    }

    pub(super) fn says(mut self, says: &'static str) -> Self {
        self.says = says;
        self
    }

    pub(super) fn within(mut self, tag: &'static str, access: Access) -> Self {
        (self.tag, self.access) = (tag, access);
        self
    }

    pub(super) fn with(
        mut self,
        place: Place,
        name: &'static str,
        says: &'static str,
        schema: Value,
    ) -> Self {
        self.parameters.push(Parameter {
            place,
            name,
            says,
            schema,
        });
        self
    }

    pub(super) fn id(self, says: &'static str) -> Self {
        let schema = json!({ "type": "string", "format": "uuid" });
        self.with(Place::Path, "id", says, schema)
    }

    pub(super) fn text(self, place: Place, name: &'static str, says: &'static str) -> Self {
        self.with(place, name, says, json!({ "type": "string" }))
    }

    pub(super) fn names(self, name: &'static str, says: &'static str) -> Self {
        self.with(Place::Query, name, says, schemas::selector())
    }

    pub(super) fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) fn answers(mut self, status: u16, says: &'static str, content: Content) -> Self {
        self.answers.push(Answer {
            status,
            says,
            content,
        });
        self
    }

    pub(super) fn refuses(mut self, codes: &'static [&'static str]) -> Self {
        self.refusals = codes;
        self
    }
}
