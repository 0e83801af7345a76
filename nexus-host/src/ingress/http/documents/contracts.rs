//! Contracts as parts of a document: receives registered contracts, hands on their schemas under
//! names of their own, and the events that they make. It leaves what a schema demands as it is.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::admission::Contract;

/// Keywords whose values are data and no schemas.
const DATA: [&str; 4] = ["const", "default", "enum", "examples"];

/// The dialect of JSON Schema that both documents are written in.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What a format calls the members of an event that its contract has a say in.
pub(super) struct Names {
    version: &'static str,
    /// Those that a payload may stand in; the first holds it as it is.
    payload: &'static [&'static str],
}

/// The hub's own format.
pub(super) const OWN: Names = Names {
    version: "contract_version",
    payload: &["payload"],
};

/// The JSON format of CloudEvents.
pub(super) const CLOUDEVENT: Names = Names {
    version: "contractversion",
    payload: &["data", "data_base64"],
};

/// The name of a payload's schema among the components.
pub(super) fn name(contract: &Contract) -> String {
    let info = contract.info();
    // A name has no plus sign.
    let version = info.version.to_string().replace('+', "_");
    format!("{}-{version}", info.event_type)
}

/// The schemas of every contract: `TYPE-VERSION` is the payload.
pub(super) fn schemas(contracts: &[Arc<Contract>]) -> Map<String, Value> {
    let schemas = contracts.iter().map(|contract| {
        let name = name(contract);
        if let Some(dialect) = foreign(&contract.info().schema) {
            return (name, elsewhere(contract, dialect));
        }
        let root = format!("#/components/schemas/{name}");
        let mut schema = contract.info().schema.clone();
        rebase(&mut schema, &root);
        if let Value::Object(schema) = &mut schema {
            // Its address of its own would turn the references away from the document.
            schema.remove("$id");
            schema.remove("$schema");
        }
        (name, schema)
    });
    schemas.collect()
}

/// The dialect of a schema, where it is not the one that the documents are written in.
fn foreign(schema: &Value) -> Option<&str> {
    let dialect = schema.get("$schema")?.as_str()?;
    (dialect.trim_end_matches('#') != DIALECT).then_some(dialect)
}

/// What stands for a schema whose keywords would mean something else here.
fn elsewhere(contract: &Contract, dialect: &str) -> Value {
    let info = contract.info();
    let (event_type, version) = (&info.event_type, &info.version);
    json!({
        "type": "object",
        "description": format!(
            "Its schema is of {dialect}, and is found at /v1/contracts/{event_type}/{version}"
        ),
    })
}

/// What a body says besides the envelope for one contract: type, version and payload. Whoever leaves the
/// version out means the newest; whoever leaves the payload out sends an empty one, which must fit.
pub(super) fn case(contract: &Contract, is_newest: bool, names: &Names) -> Value {
    let info = contract.info();
    let reference = format!("#/components/schemas/{}", name(contract));
    let mut case = json!({
        "properties": {
            "type": { "const": info.event_type },
            (names.version): { "const": info.version.to_string() },
            (names.payload[0]): { "$ref": reference },
        },
    });
    if !is_newest {
        case["required"] = json!([names.version]);
    }
    if !contract.takes_empty() {
        let there = names
            .payload
            .iter()
            .map(|name| json!({ "required": [name] }));
        case["anyOf"] = there.collect();
    }
    case
}

/// An envelope together with what it may hold; the envelope alone as long as nothing may come.
pub(super) fn event(contracts: &[Arc<Contract>], envelope: &str, names: &Names) -> Value {
    let envelope = json!({ "$ref": format!("#/components/schemas/{envelope}") });
    let cases: Vec<_> = contracts
        .iter()
        .map(|contract| case(contract, is_newest(contracts, contract), names))
        .collect();
    if cases.is_empty() {
        return envelope;
    }
    json!({ "allOf": [envelope, { "anyOf": cases }] })
}

/// As the registry sees it: the highest release, or the highest of all where there is none.
pub(super) fn is_newest(contracts: &[Arc<Contract>], contract: &Contract) -> bool {
    let info = contract.info();
    let rank = |c: &Contract| (c.info().version.pre.is_empty(), c.info().version.clone());
    let others = contracts.iter();
    let mut others = others.filter(|other| other.info().event_type == info.event_type);
    others.all(|other| rank(other) <= rank(contract))
}

/// Lets references to the schema's own root lead to where it stands now.
fn rebase(schema: &mut Value, root: &str) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(target) if key == "$ref" => {
                        if let Some(rest) = target.strip_prefix('#')
                            && (rest.is_empty() || rest.starts_with('/'))
                        {
                            *target = format!("{root}{rest}");
                        }
                    }
                    value if !DATA.contains(&key.as_str()) => rebase(value, root),
                    _ => {}
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rebase(item, root)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_follow_their_schema_and_data_stays() {
        let mut schema = json!({
            "properties": {
                "a": { "$ref": "#/$defs/A" },
                "b": { "$ref": "#" },
                "c": { "$ref": "#anchor" },
                "d": { "const": { "$ref": "#/x" } },
                "$ref": { "type": "string" },
            },
        });
        rebase(&mut schema, "#/components/schemas/t-1.0.0");
        assert_eq!(
            schema,
            json!({
                "properties": {
                    "a": { "$ref": "#/components/schemas/t-1.0.0/$defs/A" },
                    "b": { "$ref": "#/components/schemas/t-1.0.0" },
                    "c": { "$ref": "#anchor" },
                    "d": { "const": { "$ref": "#/x" } },
                    "$ref": { "type": "string" },
                },
            })
        );
    }
}
