use nexus_plugin_api::approval::{Choice, Question};
use nexus_plugin_api::{Effect, NewEvent, Priority};
use serde_json::{Value as Json, json};
use std::time::Duration;
use uuid::Uuid;

use super::*;
use crate::config::Config;

fn routes(toml: &str) -> Routes {
    let config = Config::from_toml_str(toml).unwrap_or_else(|wrong| panic!("{wrong}"));
    Routes::new(Table::of(&config.routes, &[]).unwrap())
}

fn event(event_type: &str, source: &str, payload: &Json) -> Event {
    let event = Event::new(event_type, source, payload.clone());
    event.into_raw().unwrap()
}

fn subscribers(routes: &Routes, event_type: &str, source: &str) -> Vec<String> {
    let event = event(event_type, source, &json!({}));
    let all = routes.subscribers(&event);
    all.iter().map(ToString::to_string).collect()
}

/// The lines that a configuration's mistakes are told in.
fn told(toml: &str) -> Vec<String> {
    match Config::from_toml_str(toml) {
        Ok(_) => Vec::new(),
        Err(wrong) => wrong.to_string().lines().map(str::to_owned).collect(),
    }
}

/// A route whose action is this.
fn with(action: &str) -> String {
    format!("[[routes]]\nname = \"r\"\ntypes = [\"mail.*\"]\n[[routes.actions]]\n{action}\n")
}

fn decided(action: &str, payload: &Json) -> Result<Effect, PluginError> {
    let event = event("mail.received", "outlook", payload);
    let outcome = routes(&with(action)).process("routes/r", &event)?;
    assert_eq!(outcome.effects.len(), 1);
    Ok(outcome.effects[0].clone())
}

#[test]
fn types_and_sources_say_which_events_a_route_takes() {
    let route = |name: &str, more: &str| {
        format!("[[routes]]\nname = \"{name}\"\n{more}\nactions = [{{ notify = \"desk\" }}]\n")
    };
    let routes = routes(
        &[
            route("exact", "types = [\"mail.received\"]"),
            route("below", "types = [\"mail.*\", \"mail.received\"]"),
            route(
                "from",
                "types = [\"mail.*\"]\nsources = [\"outlook\", \"work.*\"]",
            ),
            route("all", "types = [\"*\"]"),
            route("hubs", "types = [\"nexus.*\", \"*\"]"),
            route("answers", "types = [\"nexus.approval.answered\"]"),
        ]
        .concat(),
    );
    let of = |event_type: &str, source: &str| subscribers(&routes, event_type, source).join(" ");
    assert_eq!(
        of("mail.received", "outlook"),
        "routes/all routes/below routes/exact routes/from routes/hubs"
    );
    assert_eq!(
        of("mail.sent", "work.desk"),
        "routes/all routes/below routes/from routes/hubs"
    );
    assert_eq!(
        of("mail.sent", "home"),
        "routes/all routes/below routes/hubs"
    );
    assert_eq!(of("file.changed", "outlook"), "routes/all routes/hubs");
    assert_eq!(
        of("nexus.approval.answered", "nexus"),
        "routes/answers routes/hubs"
    );
    assert_eq!(of("nexus.plugin.loaded", "nexus"), "routes/hubs");
}

#[test]
fn a_condition_says_which_events_are_meant() {
    let routes = routes(
        "[[routes]]\nname = \"urgent\"\ntypes = [\"*\"]\n\
         when = 'payload.importance == \"high\" && !payload.subject.startsWith(\"[ci]\")'\n\
         actions = [{ notify = \"desk\" }, { notify = \"phone\", after = \"5s\" }]\n",
    );
    let process = |payload: Json| routes.process("routes/urgent", &event("a.b", "c", &payload));
    let meant = process(json!({ "importance": "high", "subject": "Hi" })).unwrap();
    let notify = |integration: &str| Effect::notify(integration, &json!({})).unwrap();
    let expected = Outcome::done()
        .with(notify("desk"))
        .with(notify("phone").after(Duration::from_secs(5)));
    assert_eq!(meant, expected);
    for other in [
        json!({ "importance": "low", "subject": "Hi" }),
        json!({ "importance": "high", "subject": "[ci] red" }),
    ] {
        assert_eq!(process(other), Ok(Outcome::skip("when is false")));
    }
    let error = process(json!({ "subject": "s3cr3t" })).unwrap_err();
    assert_eq!((&*error.code, error.retryable), ("condition_failed", false));
    assert_eq!(
        error.message,
        "`when` of the route `urgent` cannot be judged: there is no field `importance`"
    );
}

#[test]
fn each_kind_of_action_is_an_effect() {
    let payload = json!({ "subject": "Hi", "n": 5, "sender": "Ada\nL", "id": "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a" });
    let effect = decided(
        "notify = \"office/langgraph\"\ntarget = \"eu\"\nafter = \"1m\"\n\
         request = { run = { assistant = \"triage\", input = { subject = \"{{ payload.subject }}\", n = \"{{ payload.n }}\" } } }",
        &payload,
    );
    let request = json!({ "run": { "assistant": "triage", "input": { "n": 5, "subject": "Hi" } } });
    let mut expected = Effect::notify("office/langgraph", &request).unwrap();
    if let Effect::Notify { target, .. } = &mut expected {
        *target = Some("eu".to_owned());
    }
    assert_eq!(effect, Ok(expected.after(Duration::from_secs(60))));

    let effect = decided(
        "emit = { type = \"office.urgent\", priority = \"high\", partition_key = \"{{ payload.sender }}\", \
         payload = { subject = \"Re: {{ payload.subject }}\" } }",
        &payload,
    );
    let mut expected = NewEvent::new("office.urgent", &json!({ "subject": "Re: Hi" })).unwrap();
    expected.priority = Priority::High;
    expected.partition_key = Some("Ada\nL".to_owned());
    assert_eq!(effect, Ok(Effect::emit(expected)));
    let effect = decided(
        "emit = { type = \"office.copy\", payload = \"{{ payload }}\" }",
        &payload,
    );
    assert_eq!(
        effect,
        Ok(Effect::emit(
            NewEvent::new("office.copy", &payload).unwrap()
        ))
    );

    let effect = decided(
        "[routes.actions.ask]\ntitle = \"Answer {{ payload.sender }}?\"\nbody = \"About {{ payload.subject }}\"\n\
         choices = [{ id = \"yes\", label = \"Yes, {{ payload.n }}\", tone = \"good\" }, { id = \"no\", label = \"No\" }]\n\
         unanswered = \"no\"\nexpires_after = \"1h\"\npriority = \"high\"\ncontext = { thread = \"{{ payload.n }}\" }",
        &payload,
    );
    let question = Question::new("Answer Ada L?")
        .body("About Hi")
        .choice(Choice::new("yes", "Yes, 5").good())
        .choice(Choice::new("no", "No"))
        .unanswered("no")
        .expires_after(Duration::from_secs(3600))
        .with_priority(Priority::High)
        .context(json!({ "thread": 5 }));
    assert_eq!(effect, Ok(Effect::ask(question)));
    let effect = decided("ask = { title = \"Pay?\" }", &payload);
    assert_eq!(effect, Ok(Effect::ask(Question::new("Pay?"))));

    let answer =
        "answer = { approval_id = \"{{ payload.id }}\", choice = \"{{ payload.subject }}\" }";
    let id = Uuid::parse_str(payload["id"].as_str().unwrap()).unwrap();
    assert_eq!(decided(answer, &payload), Ok(Effect::answer(id, "Hi")));
    let noted = "answer = { approval_id = \"{{ payload.id }}\", choice = \"Hi\", note = \"n={{ payload.n }}\" }";
    let expected = Effect::Answer {
        approval_id: id,
        choice: "Hi".to_owned(),
        note: Some("n=5".to_owned()),
    };
    assert_eq!(decided(noted, &payload), Ok(expected));
}

#[test]
fn what_people_read_is_cut_and_what_programs_read_is_not() {
    let long = json!({ "t": "é".repeat(5_000) });
    let effect = decided(
        "[routes.actions.ask]\ntitle = \"{{ payload.t }}\"\nbody = \"{{ payload.t }}\"\ncontext = \"{{ payload.t }}\"\n\
         choices = [{ id = \"a\", label = \"{{ payload.t }}\" }]",
        &long,
    );
    let Ok(Effect::Ask { question }) = effect else {
        panic!("{effect:?}");
    };
    let lengths = [&question.title, &question.body, &question.choices[0].label]
        .map(|text| text.chars().count());
    assert_eq!(lengths, [256, 4_096, 128]);
    assert!(question.title.ends_with("é…"));
    assert_eq!(question.context, long["t"]);
}

#[test]
fn a_mail_without_a_subject_is_asked_about_all_the_same() {
    let effect = decided(
        "ask = { title = \"{{ payload.t }}\", choices = [{ id = \"a\", label = \"{{ payload.t }}\" }] }",
        &json!({ "t": " " }),
    );
    let Ok(Effect::Ask { question }) = effect else {
        panic!("{effect:?}");
    };
    let read = (&*question.title, &*question.choices[0].label);
    assert_eq!(read, ("(no title)", "a"));
}

#[test]
fn what_cannot_be_filled_fails_for_good_and_says_where() {
    let payload = json!({ "secret": "s3cr3t", "n": 1 });
    for (action, says) in [
        (
            "notify = \"desk\"\nrequest = { run = [{ input = \"{{ payload.subject }}\" }] }",
            "at /actions/0/request/run/0/input: there is no field `subject`",
        ),
        (
            "emit = { type = \"a.b\", payload = { x = \"{{ payload.subject }}\" } }",
            "at /actions/0/emit/payload/x: there is no field `subject`",
        ),
        (
            "emit = { type = \"a.b\", payload = \"{{ payload.n }}\" }",
            "at /actions/0/emit/payload: it is no object",
        ),
        (
            "emit = { type = \"a.b\", payload = \"{{ payload.?nothing }}\" }",
            "at /actions/0/emit/payload: what it asks for is absent",
        ),
        (
            "emit = { type = \"a.b\", partition_key = \"{{ payload.key }}\" }",
            "at /actions/0/emit/partition_key: there is no field `key`",
        ),
        (
            "ask = { title = \"{{ payload.subject }}\" }",
            "at /actions/0/ask/title: there is no field `subject`",
        ),
        (
            "ask = { title = \"a\", choices = [{ id = \"a\", label = \"{{ payload.subject }}\" }] }",
            "at /actions/0/ask/choices/0/label: there is no field `subject`",
        ),
        (
            "ask = { title = \"a\", context = { a = \"{{ payload.subject }}\" } }",
            "at /actions/0/ask/context/a: there is no field `subject`",
        ),
        (
            "answer = { approval_id = \"{{ payload.secret }}\", choice = \"a\" }",
            "at /actions/0/answer/approval_id: it is no id of a question",
        ),
    ] {
        let error = decided(action, &payload).unwrap_err();
        assert_eq!(
            (&*error.code, error.retryable),
            ("template_failed", false),
            "{action}"
        );
        let expected = format!("the route `r` cannot be filled {says}");
        assert_eq!(error.message, expected, "{action}");
    }
    let error = decided(
        "notify = \"desk\"\nrequest = \"{{ payload.t }}{{ payload.t }}\"",
        &json!({ "t": "x".repeat(600_000) }),
    );
    let error = error.unwrap_err();
    assert!(
        error
            .message
            .ends_with("/request: it would be over 1048576 bytes"),
        "{error:?}"
    );
    let asked = decided(
        "ask = { title = \"a\", context = \"{{ payload.t }}\" }",
        &json!({ "t": "x".repeat(70_000) }),
    );
    assert!(
        asked
            .unwrap_err()
            .message
            .ends_with("/ask/context: it would be over 65536 bytes")
    );
}

#[test]
fn a_route_that_is_gone_fails_for_good() {
    let routes = routes(&with("notify = \"desk\""));
    routes.become_those(Table::default());
    assert_eq!(subscribers(&routes, "mail.received", "x"), [""; 0]);
    let error = routes
        .process("routes/r", &event("mail.received", "x", &json!({})))
        .unwrap_err();
    assert_eq!(
        (&*error.code, error.retryable),
        ("unknown_processor", false)
    );
    assert!(
        Routes::is_route("routes/r")
            && !Routes::is_route("routesy/r")
            && !Routes::is_route("routes")
    );
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let written = "[[routes]]
name = \"Urgent mail\"
types = [\"A.b\"]
when = \"payloadd.x == 1\"
[[routes.actions]]
notify = \"desk\"
emit = { type = \"a.b\" }
[[routes.actions]]
notify = \"desk\"
request = { a = [
  \"{{ payload.x }}\",
  \"{{ payload.x < }}\",
] }
[[routes.actions]]
after = \"5s\"
[[routes]]
name = \"twice\"
types = [\"a.*\"]
when = \"size(payload.x)\"
actions = [{ emit = { type = \"nexus.a\" } }, { emit = { type = \"a.again\" } }]
[[routes]]
name = \"twice\"
types = [\"*\"]
sources = [\"outlook\"]
actions = [{ emit = { type = \"a.fine\" } }, { notify = \"desk\", after = \"soon\" }]
";
    let expected = [
        "config:2: routes[0].name: must be 1 to 64 of a-z, 0-9, `-` and `_`, such as `urgent-mail`",
        "config:3: routes[0].types[0]: is the name of no type: it must be dotted lower-case segments",
        "config:4: routes[0].when: names `payloadd`; there are `payload` and `event`",
        "config:5: routes[0].actions[0]: has `notify` and `emit`; write an action of its own for each",
        "config:12: routes[0].actions[1].request.a[1]: the placeholder `payload.x <` ends before it is complete",
        "config:14: routes[0].actions[2]: does nothing; write one of `notify`, `emit`, `ask` and `answer`",
        "config:19: routes[1].when: gives something else than true or false",
        "config:20: routes[1].actions[0].emit.type: types that begin with `nexus.` are the hub's own; choose another",
        "config:20: routes[1].actions[1].emit.type: is a type that this route takes itself, for ever; emit another, or name `sources` without `routes`",
        "config:22: routes[2].name: is the name of another route, at config:17; give each route its own",
        "config:25: routes[2].actions[1].after: ",
    ];
    let told = told(written);
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (line, expected) in told.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\nis not\n{expected}");
    }
}

#[test]
fn keys_that_nobody_knows_and_those_that_are_missing_are_told() {
    for (action, says) in [
        ("notfy = \"desk\"", "unknown key; did you mean `notify`?"),
        ("notify = 5", "expected a string"),
        (
            "emit = { type = \"a.b\", prioriti = \"high\" }",
            "unknown key; did you mean `priority`?",
        ),
        ("emit = { priority = \"high\" }", "emit.type: is missing"),
        (
            "emit = { type = \"a.b\", priority = \"hig\" }",
            "did you mean \"high\"?",
        ),
        (
            "emit = { type = \"a.b\", payload = 5 }",
            "must be a table, or a placeholder for one",
        ),
        ("emit = { type = \"A\" }", "emit.type: must be dotted"),
        (
            "ask = { title = \"a\", bodi = \"b\" }",
            "unknown key; did you mean `body`?",
        ),
        (
            "ask = { title = \"\" }",
            "actions[0].ask: `title` has 0 characters; 1 to 256 fit",
        ),
        (
            "ask = { title = \"a\", choices = [{ id = \"a\" }] }",
            "label: is missing",
        ),
        (
            "ask = { title = \"a\", choices = [{ id = \"a\", label = \"A\" }, { id = \"a\", label = \"B\" }] }",
            "ask: `choices[1].id` is the id of one before",
        ),
        (
            "ask = { title = \"a\", choices = [{ id = \"a\", label = \"A\", tone = \"god\" }] }",
            "did you mean \"good\"?",
        ),
        (
            "ask = { title = \"a\", unanswered = \"\" }",
            "ask: `unanswered` has 0 characters; 1 to 64 fit",
        ),
        (
            "ask = { title = \"a\", expires_after = \"0s\" }",
            "ask: `expires_after_ms` must be more than 0",
        ),
        (
            "ask = { title = \"{{ payload\" }",
            "ask.title: has a `{{` without its `}}`",
        ),
        (
            "answer = { choice = \"a\" }",
            "answer.approval_id: is missing",
        ),
        (
            "answer = { approval_id = \"{{ x }}\", choice = \"a\" }",
            "approval_id: the placeholder `x` names `x`",
        ),
        (
            "ask = { title = \"a\" }\ntarget = \"eu\"",
            "target: `target` goes with `notify`",
        ),
        (
            "ask = { title = \"a\" }\nrequest = {}",
            "request: `request` goes with `notify`",
        ),
        (
            "notify = \"{{ payload.x }}\"",
            "notify: takes no placeholders",
        ),
        (
            "notify = \"desk\"\ntarget = \"\"",
            "target: must not be empty",
        ),
        (
            "notify = \"desk\"\nafter = \"0s\"",
            "after: must be more than 0s",
        ),
    ] {
        let told = told(&with(action));
        assert_eq!(told.len(), 1, "{action}: {told:#?}");
        assert!(told[0].contains(says), "{action}: {told:#?}");
    }
    let many = vec!["'{{ payload.x }}'"; 101].join(", ");
    let told = told(&with(&format!("notify = \"desk\"\nrequest = [{many}]")));
    assert!(
        told[0].contains("has 101 placeholders; at most 100"),
        "{told:#?}"
    );
}

#[test]
fn what_a_program_puts_together_is_checked_as_well() {
    let mut config = Config::from_toml_str(&with("notify = \"desk\"")).unwrap();
    assert!(config.check().is_ok());
    config.routes[0].when = Some("payloadd".to_owned());
    let wrong = config.check().unwrap_err().to_string();
    assert!(
        wrong.contains("routes[0].when: names `payloadd`"),
        "{wrong}"
    );
    assert_eq!(
        Table::of(&config.routes, &[]).err().unwrap(),
        "`r`: at /when: names `payloadd`; there are `payload` and `event`"
    );
}

#[test]
fn among_a_thousand_routes_those_of_a_type_are_found() {
    let route = |n: usize| config::Route {
        name: format!("r{n}"),
        types: vec![format!("mail.of{n}").parse().unwrap()],
        actions: vec![config::Action {
            notify: Some("desk".to_owned()),
            ..config::Action::default()
        }],
        ..config::Route::default()
    };
    let all: Vec<_> = (0..1_000).map(route).collect();
    let routes = Routes::new(Table::of(&all, &[]).unwrap());
    assert_eq!(subscribers(&routes, "mail.of7", "x"), ["routes/r7"]);
    assert_eq!(subscribers(&routes, "mail.of1000", "x"), [""; 0]);
}

/// The examples in docs/routes.md, each block a configuration of its own.
fn examples() -> Vec<&'static str> {
    let page = include_str!("../../../docs/routes.md");
    let blocks = page.split("```toml\n").skip(1);
    blocks
        .filter_map(|block| block.split("```").next())
        .collect()
}

#[test]
fn the_examples_of_the_page_are_in_order_and_one_is_the_loop_of_an_agent() {
    let examples = examples();
    for example in &examples {
        assert_eq!(told(example), [""; 0], "{example}");
    }
    let agent = examples
        .iter()
        .find(|one| one.contains("\"triage\""))
        .unwrap();
    let routes = routes(agent);
    let follows = |event_type: &str, payload: Json| {
        let source = event_type.split('.').next().unwrap();
        let event = event(event_type, source, &payload);
        let to = routes.subscribers(&event);
        assert_eq!(to.len(), 1, "{to:?}");
        let mut outcome = routes.process(&to[0], &event).unwrap();
        assert_eq!(outcome.effects.len(), 1, "{outcome:?}");
        outcome.effects.remove(0)
    };
    let mail = json!({ "subject": "Lunch?", "sender": "ada@example.com" });
    let input = json!({ "subject": "Lunch?", "from": "ada@example.com" });
    let run = json!({ "run": { "assistant": "triage", "input": input } });
    assert_eq!(
        follows("outlook.mail.received", mail),
        Effect::notify("langgraph", &run).unwrap()
    );

    let thread = "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a";
    let interrupted = json!({
        "assistant": "triage", "thread_id": thread, "run_id": thread,
        "interrupts": [{ "id": "i-1", "value": { "draft": "Yes, at noon" } }],
    });
    let Effect::Ask { question } = follows("langgraph.run.interrupted", interrupted) else {
        panic!("nobody is asked");
    };
    assert_eq!(question.body, "{\"draft\":\"Yes, at noon\"}");
    assert_eq!(question.unanswered.as_deref(), Some("no"));

    let answered = json!({
        "approval_id": thread, "asked_by": "routes/approve", "choice": "yes", "expired": false,
        "context": question.context,
    });
    let resume = json!({ "resume": {
        "assistant": "triage", "thread": thread, "interrupt_id": "i-1", "value": "yes",
    } });
    assert_eq!(
        follows("nexus.approval.answered", answered),
        Effect::notify("langgraph", &resume).unwrap()
    );
}
