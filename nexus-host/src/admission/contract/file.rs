//! Contracts that come as files, without code: receives a folder, hands on what each file holds or why it
//! holds no contract. It registers none.

mod fault;

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use nexus_plugin_api::{ContractInfo, RuleInfo};
use semver::Version;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::rejection::quoted;
use super::super::rules;
use super::{Contracts, Draft, Offer, lint};
use crate::ordinary;

/// The largest contract file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// How many files of a folder are read.
const MAX_FILES: usize = 10_000;

/// A contract file, and what became of it.
#[derive(Debug, Clone)]
pub struct ContractFile {
    /// The file.
    pub path: PathBuf,
    /// What it holds, or what is wrong with it, with a JSON Pointer.
    pub contract: Result<ContractInfo, String>,
}

impl ContractFile {
    /// Reads one file, JSON or TOML by its name.
    pub fn read(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            contract: read(path),
        }
    }

    /// As whom its contract is registered: `file:NAME`.
    pub fn owner(&self) -> String {
        format!("file:{}", self.name())
    }

    fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// Reads every `*.json` and `*.toml` file in a folder. In the order of types and versions, and what holds
/// no contract first.
///
/// # Errors
/// When the folder cannot be read, or holds too many files.
pub fn scan(folder: &Path) -> io::Result<Vec<ContractFile>> {
    let mut paths = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| format(path).is_some());
    if paths.len() > MAX_FILES {
        let message = format!("it holds more than {MAX_FILES} contract files");
        return Err(io::Error::other(message));
    }
    paths.sort();
    let mut files: Vec<_> = paths.iter().map(|path| ContractFile::read(path)).collect();
    files.sort_by_cached_key(|file| {
        let contract = file.contract.as_ref().ok();
        contract.map(|info| (info.event_type.clone(), info.version.clone()))
    });
    Ok(files)
}

/// A contract file, and whether its contract is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The file's name.
    pub file: String,
    /// The type that it is of; absent when the file cannot be read.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The version; absent when the file cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Why it is not registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// What is probably a slip in a schema that is registered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Registers the contracts of a folder's files beside what there is. One that is refused does not stop the others.
///
/// # Errors
/// When the folder cannot be read, or holds too many files.
pub fn register(folder: &Path, contracts: &Contracts) -> io::Result<Vec<FileReport>> {
    let files = scan(folder)?;
    Ok(contracts.change(|draft| offer(&files, draft)))
}

/// Has a registry in the making take the contracts of files. One that is refused does not stop the others.
pub fn offer(files: &[ContractFile], draft: &mut Draft) -> Vec<FileReport> {
    files.iter().map(|file| offer_one(file, draft)).collect()
}

fn offer_one(file: &ContractFile, draft: &mut Draft) -> FileReport {
    let owner = file.owner();
    let taken = file
        .contract
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|info| {
            let taken = draft.take(Offer {
                owner: &owner,
                contracts: std::slice::from_ref(info),
                migrations: &[],
                migrator: None,
            });
            taken.map_err(|conflict| conflict.to_string())
        });
    let info = file.contract.as_ref().ok();
    let registered = info.filter(|_| taken.is_ok());
    FileReport {
        file: file.name(),
        event_type: info.map(|info| info.event_type.clone()),
        version: info.map(|info| info.version.clone()),
        warnings: registered.map_or_else(Vec::new, |info| lint::slips(&info.schema)),
        refusal: taken.err(),
    }
}

#[derive(Clone, Copy)]
enum Format {
    Json,
    Toml,
}

fn format(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "json" => Some(Format::Json),
        "toml" => Some(Format::Toml),
        _ => None,
    }
}

fn read(path: &Path) -> Result<ContractInfo, String> {
    if path.is_dir() {
        return Err(
            "it is a folder; put a contract there, or name the folder otherwise".to_owned(),
        );
    }
    let text = ordinary::read_text(path, MAX_BYTES).map_err(|error| error.to_string())?;
    read_text(&text, format(path).unwrap_or(Format::Json))
}

fn read_text(text: &str, format: Format) -> Result<ContractInfo, String> {
    let written: Written = match format {
        Format::Toml => {
            let document = toml::Deserializer::parse(text);
            let document = document.map_err(|error| fault::no_toml(&error, text))?;
            serde_path_to_error::deserialize(document)
                .map_err(|error| fault::in_toml(&error, text))?
        }
        Format::Json => {
            let written = of_json(text)?;
            // A schema is taken as any JSON, of which readers keep the first, the last, or both.
            of_json::<Once>(text)?;
            written
        }
    };
    if !(written.schema.is_object() || written.schema.is_boolean()) {
        return Err("/schema: must be a JSON Schema, which is an object".to_owned());
    }
    Ok(ContractInfo {
        event_type: written.r#type,
        version: written.version,
        schema: written.schema,
        deprecated: written.deprecated.map(|date| date.0),
        sunset: written.sunset.map(|date| date.0),
        rules: written.rules,
    })
}

/// Reads a text as a file with that name's extension is read.
#[cfg(any(test, feature = "fuzz"))]
pub(super) fn parse_as(extension: &str, text: &str) -> Result<ContractInfo, String> {
    let format = format(Path::new(&format!("fuzz.{extension}")));
    read_text(text, format.unwrap_or(Format::Json))
}

fn of_json<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, String> {
    let mut document = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut document);
    let read = read.map_err(|error| fault::in_json(&error))?;
    document.end().map_err(|error| fault::no_json(&error))?;
    Ok(read)
}

/// Any JSON in which no object names a key twice.
struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(Self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut known = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if known.contains(&key) {
                return Err(A::Error::custom(format!("{} is there twice", quoted(&key))));
            }
            map.next_value::<Self>()?;
            known.insert(key);
        }
        Ok(self)
    }
}

/// A contract as it is written.
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with `type`, `version` and `schema`"
)]
struct Written {
    r#type: String,
    #[serde(deserialize_with = "version")]
    version: Version,
    schema: Value,
    deprecated: Option<Date>,
    sunset: Option<Date>,
    #[serde(default)]
    rules: Vec<RuleInfo>,
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        let text = quoted(&text);
        D::Error::custom(format!(
            "{text} is no version; write three numbers, such as `1.0.0`"
        ))
    })
}

/// A day, `YYYY-MM-DD` at 0:00 UTC, or an RFC 3339 time.
struct Date(DateTime<Utc>);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let day = || {
            Some(
                text.parse::<NaiveDate>()
                    .ok()?
                    .and_time(NaiveTime::MIN)
                    .and_utc(),
            )
        };
        let time = rules::time(&text).or_else(day).filter(rules::is_writable);
        time.map(Self).ok_or_else(|| {
            D::Error::custom("must be a day such as `2027-01-31`, or an RFC 3339 time")
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(name: &str, text: &str) -> Result<ContractInfo, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        ContractFile::read(&path).contract
    }

    #[test]
    fn json_and_toml_say_the_same() {
        let json = json!({
            "type": "shop.paid", "version": "1.2.0",
            "schema": { "type": "object", "properties": { "amount": { "type": "number" } } },
            "deprecated": "2026-01-31", "sunset": "2027-01-31T12:00:00+01:00",
            "rules": [{ "rule": "payload.amount > 0.0", "message": "must be positive" }],
        });
        let toml = r#"
            type = "shop.paid"
            version = "1.2.0"
            deprecated = "2026-01-31"
            sunset = "2027-01-31T12:00:00+01:00"
            [schema]
            type = "object"
            properties.amount.type = "number"
            [[rules]]
            rule = "payload.amount > 0.0"
            message = "must be positive"
        "#;
        let one = written("a.json", &json.to_string()).unwrap();
        assert_eq!(
            one.sunset.unwrap().to_rfc3339(),
            "2027-01-31T11:00:00+00:00"
        );
        assert_eq!(written("a.toml", toml), Ok(one));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let good = json!({ "type": "a.b", "version": "1.0.0", "schema": {} });
        let with = |key: &str, value: Value| {
            let mut file = good.clone();
            file[key] = value;
            file.to_string()
        };
        let cases = [
            (with("sundown", json!("2026-01-31")), "sundown"),
            (
                with("version", json!("1")),
                "/version: `1` is no version; write three numbers, such as `1.0.0`",
            ),
            (with("type", json!(5)), "/type: expected a string, found integer `5`"),
            (
                "[1]".to_owned(),
                "line 1, column 2: /0: expected a string, found integer `1`",
            ),
            (
                "5".to_owned(),
                "/: expected an object with `type`, `version` and `schema`, found integer `5`",
            ),
            (
                "{\"type\": \"a.b\",\n \"version\": \"1.0.0\",\n \"schema\": {\"type\": \"object\",}}".to_owned(),
                "line 3, column 30: not JSON: trailing comma",
            ),
            (with("a\0b\n", json!(1)), "/a b : unknown field"),
            (with("sunset", json!("soon")), "/sunset: must be a day"),
            (with("schema", json!("x")), "/schema: "),
            (
                with("rules", json!([{ "rule": "true" }])),
                "/rules/0: missing field `message`",
            ),
            (
                json!({ "type": "a.b", "version": "1.0.0" }).to_string(),
                "missing field `schema`",
            ),
            ("[".to_owned(), "not JSON: EOF while parsing"),
            (
                r#"{"type":"a.b","version":"1.0.0","schema":{"properties":{"a":{},"\u0061":{}}}}"#.to_owned(),
                "/schema/properties: `a` is there twice",
            ),
            (
                r#"{"type":"a.b","version":"1.0.0","schema":{"allOf":[{},{"type":"null","type":"null"}]}}"#
                    .to_owned(),
                "/schema/allOf/1: `type` is there twice",
            ),
            (
                r#"{"type":"a.b","version":"1.0.0","schema":{},"schema":{}}"#.to_owned(),
                "duplicate field `schema`",
            ),
            (format!("{good}x"), "trailing"),
        ];
        for (text, expected) in cases {
            let error = written("a.json", &text).unwrap_err();
            assert!(
                error.contains(expected) && !error.contains('\n'),
                "{text}: {error}"
            );
        }
        for (text, expected) in [
            (
                "type = \"a.b\"\nversion = \"1.0.0\nschema = {}\n",
                "line 2, column 17: not TOML: invalid basic string",
            ),
            (
                "type = \"a.b\"\nversion = 1\nschema = {}\n",
                "line 2, column 11: /version: expected a string, found integer `1`",
            ),
            (
                "type = \"a.b\"\ntype = \"a.c\"\n",
                "line 2, column 1: not TOML: duplicate key",
            ),
        ] {
            let error = written("a.toml", text).unwrap_err();
            assert!(
                error.starts_with(expected) && !error.contains('\n'),
                "{error}"
            );
        }
        assert!(written("a.json", &" ".repeat(2 << 20)).is_err());
    }

    #[test]
    fn slips_in_a_schema_are_told_of_what_is_registered() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, version: &str| {
            let schema = json!({ "type": "object", "propertes": {} });
            let file = json!({ "type": "a.b", "version": version, "schema": schema });
            fs::write(folder.path().join(name), file.to_string()).unwrap();
        };
        file("a.json", "1.0.0");
        file("b.json", "1");
        let reports = register(folder.path(), &Contracts::default()).unwrap();
        let told: Vec<_> = reports
            .iter()
            .map(|one| (&*one.file, one.warnings.len()))
            .collect();
        assert_eq!(told, [("b.json", 0), ("a.json", 1)]);
        assert!(reports[1].warnings[0].contains("did you mean `properties`?"));
    }

    #[test]
    fn remarks_name_the_file_and_the_date() {
        let folder = tempfile::tempdir().unwrap();
        let contract = |version: &str, key: &str| {
            let file =
                json!({ "type": "g.dep", "version": version, "schema": {}, key: "2026-01-31" });
            fs::write(
                folder.path().join(format!("{version}.json")),
                file.to_string(),
            )
            .unwrap();
        };
        contract("1.0.0", "sunset");
        contract("2.0.0", "deprecated");
        let contracts = Contracts::default();
        register(folder.path(), &contracts).unwrap();
        assert_eq!(
            contracts.remarks("2026-06-01T00:00:00Z".parse().unwrap()),
            [
                "contract g.dep 1.0.0 is past its sunset on 2026-01-31: its events are refused (file 1.0.0.json)",
                "contract g.dep 2.0.0 is deprecated since 2026-01-31 (file 2.0.0.json)",
            ]
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_ordinary_file_is_refused_by_its_name_and_the_others_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let [good, link, pipe] =
            ["a.json", "b.json", "c.json"].map(|name| folder.path().join(name));
        let contract = |name: &str| json!({ "type": name, "version": "1.0.0", "schema": {} });
        let outside = folder.path().join("d");
        fs::write(&good, contract("a.b").to_string()).unwrap();
        fs::write(&outside, contract("b.c").to_string()).unwrap();
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        fs::create_dir(folder.path().join("e.toml")).unwrap();
        let (told, reports) = std::sync::mpsc::channel();
        std::thread::spawn(move || told.send(register(folder.path(), &Contracts::default())));
        let reports = reports.recv_timeout(std::time::Duration::from_secs(20));
        let reports = reports.expect("nothing waits for a pipe").unwrap();
        let told: Vec<_> = reports
            .iter()
            .map(|one| (&*one.file, one.refusal.as_deref()))
            .collect();
        let refused = Some("it is no ordinary file");
        assert_eq!(
            told,
            [
                ("c.json", refused),
                (
                    "e.toml",
                    Some("it is a folder; put a contract there, or name the folder otherwise")
                ),
                ("a.json", None),
                ("b.json", None)
            ]
        );
    }
}
