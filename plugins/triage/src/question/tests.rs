use nexus_plugin_api::Priority;
use nexus_plugin_api::approval::Tone;

use super::*;

fn matter() -> Matter {
    Matter {
        kind: Kind::Mail,
        about: "Invoice 17".to_owned(),
        priority: Priority::Normal,
    }
}

fn asked(value: Value) -> (Question, Form) {
    let interrupt = Interrupt {
        id: "i1".to_owned(),
        value,
        omitted_bytes: None,
    };
    of(&interrupt, &matter())
}

fn ids(question: &Question) -> Vec<&str> {
    question.choices.iter().map(|choice| &*choice.id).collect()
}

#[test]
fn a_text_or_an_object_is_answered_with_the_choice() {
    let (question, form) = asked(json!("Pay\nit?"));
    assert_eq!((&*question.title, form), ("Pay it?", Form::Choice));
    assert_eq!(question.body, "Mail: Invoice 17");
    assert_eq!(ids(&question), ["approve", "deny"]);
    assert_eq!(question.unanswered.as_deref(), Some("deny"));
    let (question, _) = asked(json!({
        "question": "Pay it?", "body": "250 EUR",
        "choices": [{ "id": "pay", "label": "Pay", "tone": "good" }, { "id": "no", "label": "No" }],
        "unanswered": "no", "expires_after_seconds": 60,
    }));
    assert_eq!(
        (question.choices.len(), question.expires_after_ms),
        (2, Some(60_000))
    );
    assert_eq!(question.unanswered.as_deref(), Some("no"));
    assert_eq!(answer(Form::Choice, "pay", None), json!("pay"));
}

#[test]
fn what_does_not_fit_is_cut_and_takes_nothing_else_with_it() {
    let choice = |id: &str| json!({ "id": id, "label": "x".repeat(200), "tone": "danger", "description": "…" });
    let choices = ["a", "a", "b", "c", "d", "e", "f", "\u{7}"].map(choice);
    let (question, _) = asked(json!({
        "question": "Pay it?", "choices": choices,
        "unanswered": "b", "expires_after_seconds": 90.0, "colour": "red",
    }));
    assert_eq!(ids(&question), ["a", "b", "c", "d", "e"]);
    assert_eq!(question.choices[0].label.chars().count(), 128);
    assert_eq!(question.unanswered.as_deref(), Some("b"));
    assert_eq!(question.expires_after_ms, Some(90_000));
    for (written, kept) in [(json!(0), 1_000), (json!(1e18), 30 * 86_400_000)] {
        let (question, _) = asked(json!({ "question": "?", "expires_after_seconds": written }));
        assert_eq!(question.expires_after_ms, Some(kept));
    }
}

#[test]
fn nothing_that_goes_on_comes_about_by_nobody_answering() {
    let pay = json!({ "id": "pay", "label": "Pay", "tone": "good" });
    let stop = json!({ "id": "stop", "label": "Stop", "tone": "bad" });
    for (written, holds) in [
        (
            json!({ "question": "?", "choices": [pay, stop], "unanswered": "pay" }),
            "stop",
        ),
        (
            json!({ "question": "?", "choices": [pay, stop], "unanswered": 7 }),
            "stop",
        ),
        (
            json!({ "question": "?", "choices": [pay], "unanswered": "pay" }),
            "deny",
        ),
        (json!({ "question": "?", "choices": [pay] }), "deny"),
        (json!({ "question": "?", "unanswered": "approve" }), "deny"),
        (
            json!({ "choices": [pay], "unanswered": "refuse" }),
            "refuse",
        ),
    ] {
        let (question, _) = asked(written.clone());
        assert_eq!(question.unanswered.as_deref(), Some(holds), "{written}");
    }
    // Choices of which none can be offered are not replaced by others that the graph does not know.
    let (question, _) = asked(json!({ "question": "?", "choices": "pay", "unanswered": "refuse" }));
    assert_eq!(ids(&question), ["refuse"]);
}

#[test]
fn the_form_of_agent_inboxes_is_answered_in_kind() {
    let value = json!([{
        "action_request": { "action": "send_mail", "args": { "to": "ada" } },
        "config": { "allow_accept": true, "allow_ignore": true, "allow_respond": true, "allow_edit": false },
        "description": "A reply",
    }]);
    let (question, form) = asked(value);
    assert_eq!((&*question.title, form), ("send_mail", Form::Inbox(1)));
    assert_eq!(question.body, "{\"to\":\"ada\"}\n\nA reply");
    assert_eq!(ids(&question), ["accept", "response", "ignore"]);
    assert_eq!(question.unanswered.as_deref(), Some("ignore"));
    assert_eq!(
        answer(form, "accept", None),
        json!([{ "type": "accept", "args": null }])
    );
    assert_eq!(
        answer(form, "response", Some("later")),
        json!([{ "type": "response", "args": "later" }])
    );
}

#[test]
fn a_graph_that_may_not_be_ignored_is_told_that_nobody_has_answered() {
    let (question, form) = asked(json!({
        "action_request": { "action": "send_mail" },
        "config": { "allow_accept": true, "allow_ignore": false, "allow_respond": true },
    }));
    assert_eq!(ids(&question), ["accept", "response"]);
    assert_eq!(question.unanswered.as_deref(), Some("response"));
    let told = answer(form, "response", None);
    assert_eq!(
        told,
        json!([{ "type": "response", "args": "Nobody has answered." }])
    );
}

#[test]
fn several_actions_are_one_question_and_each_is_answered() {
    let action = |to: &str| json!({ "action_request": { "action": "pay", "args": { "to": to } } });
    let (question, form) = asked(json!([action("ada"), action("bob")]));
    assert_eq!((&*question.title, form), ("pay, pay", Form::Inbox(2)));
    assert!(
        question
            .body
            .starts_with("pay: {\"to\":\"ada\"}\npay: {\"to\":\"bob\"}")
    );
    assert_eq!(answer(form, "ignore", None).as_array().unwrap().len(), 2);

    let middleware = |allowed: &[&str]| {
        asked(json!({
            "action_requests": [{ "name": "pay", "args": { "to": "ada" }, "description": "why" }],
            "review_configs": [{ "action_name": "pay", "allowed_decisions": allowed }],
        }))
    };
    let (question, form) = middleware(&["approve", "edit", "reject"]);
    assert_eq!((&*question.title, form), ("pay", Form::Decisions(1)));
    assert_eq!(ids(&question), ["approve", "reject"]);
    assert_eq!(question.unanswered.as_deref(), Some("reject"));
    let resumed = answer(form, "reject", Some("too much"));
    assert_eq!(
        resumed,
        json!({ "decisions": [{ "type": "reject", "message": "too much" }] })
    );
    assert_eq!(ids(&middleware(&["reject"]).0), ["reject"]);
}

#[test]
fn what_is_agreed_to_is_shown_in_full_or_can_only_be_refused() {
    let action = |args: Value| {
        let quoted = "x".repeat(5_000);
        asked(json!({
            "action_request": { "action": "send_money", "args": args }, "description": quoted,
        }))
    };
    let (question, _) = action(json!({ "to": "mallory", "amount": 9_999 }));
    assert!(question.body.contains("mallory") && question.body.contains("9999"));
    assert_eq!(ids(&question), ["accept", "ignore"]);
    let (question, _) = action(json!({ "note": "x".repeat(4_000), "to": "mallory" }));
    assert_eq!(ids(&question), ["ignore"]);

    let (question, _) = asked(json!({ "x": "y".repeat(2_000), "z": "seen" }));
    assert!(question.body.contains("seen") && question.body.ends_with("Mail: Invoice 17"));
    for hidden in [
        json!({ "x": "y".repeat(10_000) }),
        json!("z".repeat(10_000)),
    ] {
        let (question, form) = asked(hidden);
        assert_eq!((ids(&question), form), (vec!["deny"], Form::Choice));
        assert_eq!(question.choices[0].tone, Tone::Bad);
        assert_eq!(question.body.chars().count(), text::LONGEST_BODY);
    }
    let (question, _) = asked(json!("z".repeat(300)));
    assert_eq!(question.title.chars().count(), text::LONGEST_TITLE);
    assert!(question.body.contains(&"z".repeat(300)));
    assert_eq!(asked(json!("\u{7}")).0.title, HOW);
}

#[test]
fn a_question_that_is_not_there_can_only_be_refused() {
    let interrupt = Interrupt {
        id: "i1".to_owned(),
        value: Value::Null,
        omitted_bytes: Some(300_000),
    };
    let (question, form) = of(&interrupt, &matter());
    assert_eq!((ids(&question), form), (vec!["deny"], Form::Choice));
    assert!(
        question.body.starts_with("What it asks has 300000 bytes"),
        "{}",
        question.body
    );
}
