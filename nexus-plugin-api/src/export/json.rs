//! A JSON writer that runs while compiling: once to count, once to write.

use crate::schema::{Property, Schema};

/// Text so far. With `N = 0` it only counts.
pub(crate) struct Json<const N: usize> {
    bytes: [u8; N],
    len: usize,
    counting: bool,
}

impl Json<0> {
    pub(crate) const fn counting() -> Self {
        Self {
            bytes: [],
            len: 0,
            counting: true,
        }
    }
}

impl<const N: usize> Json<N> {
    pub(crate) const fn writing() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
            counting: false,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn into_bytes(self) -> [u8; N] {
        assert!(self.len == N, "the manifest was counted wrongly");
        self.bytes
    }

    const fn byte(mut self, byte: u8) -> Self {
        if !self.counting {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
        self
    }

    /// Bytes as they are.
    pub(crate) const fn raw(mut self, text: &[u8]) -> Self {
        let mut i = 0;
        while i < text.len() {
            self = self.byte(text[i]);
            i += 1;
        }
        self
    }

    /// The inside of a JSON string.
    pub(crate) const fn escaped(mut self, text: &str) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let text = text.as_bytes();
        let mut i = 0;
        while i < text.len() {
            self = match text[i] {
                b'"' => self.raw(b"\\\""),
                b'\\' => self.raw(b"\\\\"),
                b'\n' => self.raw(b"\\n"),
                byte if byte < 0x20 => self
                    .raw(b"\\u00")
                    .byte(HEX[(byte >> 4) as usize])
                    .byte(HEX[(byte & 15) as usize]),
                byte => self.byte(byte),
            };
            i += 1;
        }
        self
    }

    /// A JSON string.
    pub(crate) const fn string(self, text: &str) -> Self {
        self.raw(b"\"").escaped(text).raw(b"\"")
    }

    /// A JSON array of strings.
    pub(crate) const fn strings(mut self, texts: &[&str]) -> Self {
        self = self.raw(b"[");
        let mut i = 0;
        while i < texts.len() {
            self = self.raw(if i == 0 { b"" } else { b"," }).string(texts[i]);
            i += 1;
        }
        self.raw(b"]")
    }

    const fn integer(mut self, value: i128) -> Self {
        if value < 0 {
            self = self.raw(b"-");
        }
        let mut rest = value.unsigned_abs();
        let mut divisor: u128 = 1;
        while rest / divisor >= 10 {
            divisor *= 10;
        }
        while divisor > 0 {
            self = self.byte(b'0' + (rest / divisor) as u8);
            rest %= divisor;
            divisor /= 10;
        }
        self
    }

    /// A schema, as JSON Schema.
    pub(crate) const fn schema(self, schema: &Schema) -> Self {
        self.raw(b"{").members(schema).raw(b"}")
    }

    const fn members(self, schema: &Schema) -> Self {
        match schema {
            Schema::Bool => self.raw(b"\"type\":\"boolean\""),
            Schema::Integer { min, max } => self
                .raw(b"\"type\":\"integer\",\"minimum\":")
                .integer(*min)
                .raw(b",\"maximum\":")
                .integer(*max),
            Schema::Number => self.raw(b"\"type\":\"number\""),
            Schema::Text => self.raw(b"\"type\":\"string\""),
            Schema::Choice(choices) => self.raw(b"\"type\":\"string\",\"enum\":").strings(choices),
            Schema::List(items) => self.raw(b"\"type\":\"array\",\"items\":").schema(items),
            Schema::Map(values) => self
                .raw(b"\"type\":\"object\",\"additionalProperties\":")
                .schema(values),
            // TOML has no null: optional only means that the key may be missing.
            Schema::Optional(inner) => self.members(inner),
            Schema::Table(properties) => self
                .raw(b"\"type\":\"object\",\"additionalProperties\":false,\"properties\":{")
                .properties(properties)
                .raw(b"},\"required\":[")
                .required(properties)
                .raw(b"]"),
        }
    }

    const fn properties(mut self, properties: &[Property]) -> Self {
        let mut i = 0;
        while i < properties.len() {
            let property = &properties[i];
            self = self
                .raw(if i == 0 { b"" } else { b"," })
                .string(property.name)
                .raw(b":{");
            if !property.description.is_empty() {
                self = self
                    .raw(b"\"description\":")
                    .string(property.description)
                    .raw(b",");
            }
            self = self.members(property.schema).raw(b"}");
            i += 1;
        }
        self
    }

    const fn required(mut self, properties: &[Property]) -> Self {
        let mut first = true;
        let mut i = 0;
        while i < properties.len() {
            if properties[i].required {
                self = self
                    .raw(if first { b"" } else { b"," })
                    .string(properties[i].name);
                first = false;
            }
            i += 1;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_written_while_compiling_is_json() {
        static TABLE: Schema = Schema::Table(&[
            Property {
                name: "limit",
                description: "say \"when\"\n\u{1}",
                required: true,
                schema: &Schema::Integer { min: -5, max: 1200 },
            },
            Property {
                name: "tags",
                description: "",
                required: false,
                schema: &Schema::Optional(&Schema::List(&Schema::Choice(&["a", "b"]))),
            },
        ]);
        const LEN: usize = Json::counting().schema(&TABLE).len();
        const BYTES: [u8; LEN] = Json::<LEN>::writing().schema(&TABLE).into_bytes();
        let value: serde_json::Value = serde_json::from_slice(&BYTES).expect("it is JSON");
        assert_eq!(
            value,
            serde_json::json!({
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "limit": {
                        "description": "say \"when\"\n\u{1}",
                        "type": "integer", "minimum": -5, "maximum": 1200,
                    },
                    "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
                },
                "required": ["limit"],
            })
        );
    }
}
