//! The patterns that the hub knows by itself: constants, and when each is worth a look. A test sees to it
//! that no text fits a pattern without holding one of its triggers.

/// Texts in lower case of which at least one stands in whatever fits a pattern. Three bytes or more: the
/// search for many short texts is slow. Shorter ones are looked for by themselves.
pub(super) const TRIGGERS: [&str; 45] = [
    "<script",
    "</script",
    "script:",
    "onerror",
    "onload",
    "onclick",
    "onmouse",
    "onfocus",
    "ontoggle",
    "union",
    "'--",
    "'/*",
    "'or ",
    "' or ",
    "drop table",
    "delete from",
    "insert into",
    "truncate table",
    "../",
    "..\\",
    "..%2f",
    "..%5c",
    "%2e%2e",
    "%00",
    "\\x00",
    "\\u0000",
    "rm -",
    "curl ",
    "wget ",
    "nc -",
    "|sh",
    "| sh",
    "|bash",
    "| bash",
    "/bin/",
    "{% ",
    "<%=",
    "ignore",
    "disregard",
    "forget",
    "override",
    "prompt",
    "instruction",
    "<|im",
    "inst]",
];

/// As [`TRIGGERS`], of two bytes.
pub(super) const SHORT_TRIGGERS: [[u8; 2]; 3] = [*b"$(", *b"${", *b"{{"];

/// The longest of [`TRIGGERS`], in bytes.
pub(super) const LONGEST_TRIGGER: usize = 14;

/// A pattern by its name.
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    /// Without Unicode: it reads bytes, and ignores case among ASCII letters only. No anchors: it is also
    /// held against a whole payload.
    pub(super) regex: &'static str,
}

const fn built_in(name: &'static str, regex: &'static str) -> BuiltIn {
    BuiltIn { name, regex }
}

/// What is looked for unless `limits.suspicious` is "off".
pub(super) const BUILT_IN: [BuiltIn; 12] = [
    built_in("script_tag", r"(?i)</?script\b"),
    built_in(
        "event_handler",
        r#"(?i)<[a-z][^<>]*[\s/"']on(?:error|load|click|mouse[a-z]+|focus|toggle)\s*="#,
    ),
    built_in("script_url", r"(?i)\b(?:java|vb)script:\S"),
    built_in("sql_union", r"(?i)\bunion\s+(?:all\s+)?select\b"),
    built_in(
        "sql_break_out",
        r"(?i)'(?:--|/\*| ?or '?\w+'?\s*(?:=|<|>|like\b))|;\s*(?:drop table|delete from|insert into|truncate table)\b",
    ),
    built_in("path_traversal", r"(?i)(?:\.\.|%2e%2e)(?:/|\\|%2f|%5c)"),
    built_in("null_byte", r"(?i)%00|\\x00|\\u0000"),
    built_in(
        "shell_command",
        r"(?i)\$\([a-z/]|\$\{ifs\}|[;&|`]\s*(?:rm -|curl |wget |nc -)|\| ?(?:ba)?sh\b|/bin/(?:ba|z)?sh\b",
    ),
    built_in("lookup", r"(?i)\$\{(?:jndi|env|sys|lower|upper|ctx|java):"),
    built_in("template", r"\{\{[^{}]+\}\}|\{% [^{}%]+%\}|<%="),
    built_in(
        "prompt_override",
        r"(?i)\b(?:ignore|disregard|forget|override)\s+(?:(?:all|any|every|of|the|your|my|these|those)\s+)*(?:previous|prior|earlier|preceding|above|foregoing|system)\s+(?:instruction|prompt|rule|direction|message|guideline|command)|\bignore[rz]?\s+(?:toutes\s+)?(?:les|vos|tes|ces)\s+(?:instructions|consignes|r(?:\xC3\xA8|e)gles)\s+(?:pr(?:\xC3\xA9|e)c(?:\xC3\xA9|e)dentes|ci-dessus)",
    ),
    built_in(
        "prompt_probe",
        r"(?i)\b(?:reveal|print|show|repeat|output)\s+(?:me\s+)?(?:your|the)\s+(?:system|hidden|initial|original)\s+(?:prompt|instruction)|<\|im_(?:start|end)\|>|\[/?inst\]",
    ),
];
