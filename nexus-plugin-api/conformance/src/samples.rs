//! Payloads out of a schema: receives a JSON Schema, hands on values that are plain, at its bounds, and beyond
//! them. It makes them freely and judges none: which of them fit, the contract itself says.

mod text;

use serde_json::{Map, Value, json};

/// Values of the payload itself, of a field, and of an item of a list.
const MOST_PAYLOADS: usize = 300;
const MOST_VALUES: usize = 64;
const MOST_ITEMS: usize = 16;

/// Schemas within schemas are followed so far.
const DEEPEST: usize = 6;

/// What a field of any type may be mistaken for.
fn mistaken() -> [Value; 9] {
    [
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e300),
        json!(1.5),
        json!(""),
        json!("text"),
        json!([]),
        json!({}),
    ]
}

/// The payloads of a schema.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// What the schema's own examples say.
    pub(crate) examples: Vec<Value>,
    /// What the schema seems to ask for, at its bounds and between.
    pub(crate) meant: Vec<Value>,
    /// The same with something that it does not ask for.
    pub(crate) mistaken: Vec<Value>,
}

impl Samples {
    /// Those of a payload's schema.
    pub(crate) fn of(schema: &Value) -> Self {
        let maker = Maker { root: schema };
        let mut meant = maker.values(schema, 0);
        meant.truncate(MOST_PAYLOADS);
        let fullest = meant.iter().max_by_key(|one| one.as_object().map(Map::len));
        let mistaken = fullest.map(spoilt).unwrap_or_default();
        Self {
            examples: examples(schema).cloned().collect(),
            meant,
            mistaken,
        }
    }
}

/// A payload with each of its fields left out, mistaken for another, or joined by one that nobody knows.
fn spoilt(payload: &Value) -> Vec<Value> {
    let mut all = vec![json!({}), json!([]), Value::Null, json!("text")];
    let Some(members) = payload.as_object() else {
        return all;
    };
    for name in members.keys() {
        let mut without = members.clone();
        without.remove(name);
        all.push(without.into());
        for other in mistaken() {
            let mut changed = members.clone();
            changed.insert(name.clone(), other);
            all.push(changed.into());
        }
    }
    let mut more = members.clone();
    more.insert("of_another_version".to_owned(), json!({ "n": [1] }));
    all.push(more.into());
    all
}

fn examples(schema: &Value) -> impl Iterator<Item = &Value> {
    let several = schema.get("examples").and_then(Value::as_array);
    several.into_iter().flatten().chain(schema.get("example"))
}

struct Maker<'s> {
    root: &'s Value,
}

impl Maker<'_> {
    /// What may stand where this schema does; the plainest first.
    fn values(&self, schema: &Value, depth: usize) -> Vec<Value> {
        if depth > DEEPEST {
            return vec![Value::Null];
        }
        if let Some(to) = schema.get("$ref").and_then(Value::as_str) {
            let found = to.strip_prefix('#').and_then(|at| self.root.pointer(at));
            return found.map_or_else(Vec::new, |found| {
                self.values(&joined(schema, found), depth + 1)
            });
        }
        for key in ["oneOf", "anyOf", "allOf"] {
            if let Some(parts) = schema.get(key).and_then(Value::as_array) {
                return self.of_parts(schema, key, parts, depth);
            }
        }
        let mut values: Vec<Value> = examples(schema).cloned().collect();
        // Those of a payload are tried by themselves.
        if depth == 0 {
            values.clear();
        }
        if let Some(only) = schema.get("const") {
            values.push(only.clone());
        } else if let Some(some) = schema.get("enum").and_then(Value::as_array) {
            values.extend(some.iter().cloned());
        } else {
            for kind in kinds(schema) {
                values.extend(self.of_kind(kind, schema, depth));
            }
        }
        values
    }

    fn of_parts(&self, schema: &Value, key: &str, parts: &[Value], depth: usize) -> Vec<Value> {
        let mut base = schema.clone();
        if let Some(members) = base.as_object_mut() {
            members.remove(key);
        }
        let whole = |part: &Value| {
            let part = match part.get("$ref").and_then(Value::as_str) {
                Some(to) => to.strip_prefix('#').and_then(|at| self.root.pointer(at)),
                None => Some(part),
            };
            part.cloned().unwrap_or(Value::Bool(true))
        };
        if key == "allOf" {
            let all = parts
                .iter()
                .fold(base, |all, part| joined(&all, &whole(part)));
            return self.values(&all, depth + 1);
        }
        let each = parts.iter().map(|part| joined(&base, &whole(part)));
        let each = each.flat_map(|one| self.values(&one, depth + 1));
        each.collect()
    }

    fn of_kind(&self, kind: &str, schema: &Value, depth: usize) -> Vec<Value> {
        match kind {
            "object" => self.objects(schema, depth),
            "array" => self.arrays(schema, depth),
            "string" => text::of(schema).into_iter().map(Value::String).collect(),
            "integer" => integers(schema),
            "number" => numbers(schema),
            "boolean" => vec![json!(false), json!(true)],
            _ => vec![Value::Null],
        }
    }

    fn objects(&self, schema: &Value, depth: usize) -> Vec<Value> {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let properties = properties.unwrap_or(&none);
        let required = schema.get("required").and_then(Value::as_array);
        let is_required =
            |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
        let members: Vec<(&String, Vec<Value>)> = properties
            .iter()
            .map(|(name, schema)| {
                let mut values = self.values(schema, depth + 1);
                values.truncate(MOST_VALUES);
                (name, values)
            })
            .collect();
        let first = |values: &[Value]| values.first().cloned().unwrap_or(Value::Null);
        let plain = |wanted: &dyn Fn(&str) -> bool| -> Map<String, Value> {
            let wanted = members.iter().filter(|(name, _)| wanted(name));
            wanted
                .map(|(name, values)| ((*name).clone(), first(values)))
                .collect()
        };
        let least = plain(&is_required);
        let most = plain(&|_| true);
        let mut all = vec![Value::Object(least.clone())];
        if most.len() > least.len() {
            all.push(most.clone().into());
        }
        let beside = if most.is_empty() { &least } else { &most };
        for (name, values) in &members {
            for value in values.iter().skip(1) {
                let mut changed = beside.clone();
                changed.insert((*name).clone(), value.clone());
                all.push(changed.into());
            }
            // Also without the others: they may not go together.
            if !is_required(name) {
                let mut alone = least.clone();
                alone.insert((*name).clone(), first(values));
                all.push(alone.into());
            }
        }
        if let Some(further) = schema
            .get("additionalProperties")
            .filter(|more| more.is_object())
        {
            let values = self.values(further, depth + 1);
            for (name, value) in ["key", "", "ключ 🔑", "/~1"]
                .iter()
                .zip(values.iter().cycle())
            {
                let mut more = beside.clone();
                more.insert((*name).to_owned(), value.clone());
                all.push(more.into());
            }
        }
        all
    }

    fn arrays(&self, schema: &Value, depth: usize) -> Vec<Value> {
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        let items = match schema.get("items") {
            Some(items) => self.values(items, depth + 1),
            None => vec![json!("text"), json!(0)],
        };
        let least = usize::try_from(bound("minItems").unwrap_or(0)).unwrap_or(usize::MAX);
        let most = usize::try_from(bound("maxItems").unwrap_or(20)).unwrap_or(usize::MAX);
        let of_length = |length: usize| -> Value {
            let length = length.min(1_000);
            items.iter().cycle().take(length).cloned().collect()
        };
        let mut all = vec![of_length(least.max(1)), of_length(least), of_length(most)];
        all.push(of_length(most.saturating_add(1)));
        let singles = items.iter().take(MOST_ITEMS);
        all.extend(singles.map(|item| json!([item])));
        all
    }
}

/// The types that a schema allows.
fn kinds(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ if schema.get("properties").is_some() => vec!["object"],
        _ if schema.get("items").is_some() => vec!["array"],
        _ => vec!["string", "integer", "null", "object"],
    }
}

/// Two schemas as one that asks for what both do.
fn joined(one: &Value, other: &Value) -> Value {
    let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else {
        return if one.is_object() { one } else { other }.clone();
    };
    let mut all = one.clone();
    all.remove("$ref");
    for (key, value) in other {
        match (key.as_str(), all.get_mut(key), value) {
            ("properties", Some(Value::Object(known)), Value::Object(more)) => {
                known.extend(more.clone());
            }
            ("required", Some(Value::Array(known)), Value::Array(more)) => {
                known.extend(more.iter().cloned());
            }
            ("description" | "title" | "examples", Some(_), _) => {}
            _ => drop(all.insert(key.clone(), value.clone())),
        }
    }
    all.into()
}

fn integers(schema: &Value) -> Vec<Value> {
    let (lowest, highest) = range(schema.get("format").and_then(Value::as_str));
    let bound = |key: &str, by: i128| {
        let found = schema.get(key).and_then(Value::as_f64);
        found.map(|bound| bound as i128 + by)
    };
    let least = bound("minimum", 0).or(bound("exclusiveMinimum", 1));
    let most = bound("maximum", 0).or(bound("exclusiveMaximum", -1));
    let step = schema.get("multipleOf").and_then(Value::as_i64);
    let (least, most) = (least.unwrap_or(lowest), most.unwrap_or(highest));
    let (least, most) = (least.max(lowest), most.min(highest));
    let plain = 1.clamp(least, most.max(least));
    let mut all = vec![plain, least, most, 0, -1, least + 1, most - 1];
    all.extend(step.map(i128::from));
    all.retain(|n| (lowest..=highest).contains(n));
    all.dedup();
    let number = |n: i128| match i64::try_from(n) {
        Ok(n) => json!(n),
        Err(_) => json!(u64::try_from(n).unwrap_or(u64::MAX)),
    };
    all.into_iter().map(number).collect()
}

/// What a type that is written as this format can hold.
fn range(format: Option<&str>) -> (i128, i128) {
    match format {
        Some("int8") => (i8::MIN.into(), i8::MAX.into()),
        Some("int16") => (i16::MIN.into(), i16::MAX.into()),
        Some("int32") => (i32::MIN.into(), i32::MAX.into()),
        Some("uint8") => (0, u8::MAX.into()),
        Some("uint16") => (0, u16::MAX.into()),
        Some("uint32") => (0, u32::MAX.into()),
        Some("uint64" | "uint") => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}

fn numbers(schema: &Value) -> Vec<Value> {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let least = bound("minimum").or(bound("exclusiveMinimum"));
    let most = bound("maximum").or(bound("exclusiveMaximum"));
    let between = match (least, most) {
        (Some(least), Some(most)) => f64::midpoint(least, most),
        (Some(least), None) => least + 1.0,
        (None, Some(most)) => most - 1.0,
        (None, None) => 1.5,
    };
    let single = schema.get("format").is_some_and(|format| format == "float");
    let (largest, smallest) = match single {
        true => (f64::from(f32::MAX), f64::from(f32::MIN_POSITIVE)),
        false => (f64::MAX, f64::MIN_POSITIVE),
    };
    let bounds = [Some(between), least, most].into_iter().flatten();
    let odd = [0.0, -0.0, -1.5, smallest, largest, -largest];
    bounds.chain(odd).map(|n| json!(n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(schema: &Value) -> Vec<Value> {
        Samples::of(schema).meant
    }

    #[test]
    fn fields_are_left_out_filled_in_and_brought_to_their_bounds() {
        let schema = json!({
            "type": "object",
            "required": ["n"],
            "properties": {
                "n": { "type": "integer", "minimum": 3, "maximum": 5 },
                "how": { "anyOf": [{ "$ref": "#/$defs/How" }, { "type": "null" }] },
            },
            "$defs": { "How": { "oneOf": [{ "const": "left" }, { "enum": ["right", "up"] }] } },
        });
        let made = meant(&schema);
        assert!(made.contains(&json!({ "n": 3 })), "{made:?}");
        assert!(made.contains(&json!({ "n": 3, "how": "left" })), "{made:?}");
        for value in [json!("right"), json!("up"), Value::Null] {
            assert!(made.contains(&json!({ "n": 3, "how": value })), "{made:?}");
        }
        for n in [4, 5] {
            assert!(made.contains(&json!({ "n": n, "how": "left" })), "{made:?}");
        }
    }

    #[test]
    fn every_kind_of_a_tagged_payload_is_made() {
        let schema = json!({
            "type": "object",
            "properties": { "id": { "type": "boolean" } },
            "required": ["id"],
            "oneOf": [
                { "properties": { "kind": { "const": "a" } }, "required": ["kind"] },
                { "properties": { "kind": { "const": "b" }, "x": { "type": "null" } }, "required": ["kind", "x"] },
            ],
        });
        let made = meant(&schema);
        assert!(
            made.contains(&json!({ "id": false, "kind": "a" })),
            "{made:?}"
        );
        assert!(
            made.contains(&json!({ "id": true, "kind": "b", "x": null })),
            "{made:?}"
        );
    }

    #[test]
    fn a_schema_within_itself_comes_to_an_end() {
        let schema = json!({
            "type": "object",
            "properties": { "child": { "$ref": "#" }, "more": { "type": "array", "items": { "$ref": "#" } } },
        });
        let made = meant(&schema);
        assert!(!made.is_empty() && made.len() <= MOST_PAYLOADS);
    }

    #[test]
    fn integers_stay_within_what_their_type_holds() {
        let of = |format: &str| integers(&json!({ "format": format, "minimum": 0 }));
        assert!(of("uint8").contains(&json!(255)) && !of("uint8").contains(&json!(-1)));
        assert!(of("uint64").contains(&json!(u64::MAX)));
        assert!(of("int64").contains(&json!(i64::MAX)));
    }
}
