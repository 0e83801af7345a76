//! The manifest, as the library's section holds it.

use nexus_plugin_abi::{ABI_VERSION, MANIFEST_MAGIC, TARGET};

/// The interface that a host must have.
const NEEDED: &str = ABI_VERSION;

const TEXTS: [&[u8]; 9] = [
    MANIFEST_MAGIC,
    br#"{"id":"frozen","version":"1.0.0","abi":""#,
    NEEDED.as_bytes(),
    br#"","target":""#,
    TARGET.as_bytes(),
    br#"","panic":"unwind","entry":"nexus_plugin_entry_frozen","components":["#,
    br#"{"kind":"processor","name":"decide","subscriptions":["frozen.told"]},"#,
    br#"{"kind":"integration","name":"act"},{"kind":"source","name":"frozen"}],"#,
    br#""config_schema":{"type":"object","additionalProperties":false,"properties":{}}}"#,
];

#[unsafe(export_name = "nexus_plugin_manifest_frozen")]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__nexus"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".nexus"))]
pub static MANIFEST: [u8; length()] = joined();

const fn length() -> usize {
    let (mut length, mut text) = (0, 0);
    while text < TEXTS.len() {
        length += TEXTS[text].len();
        text += 1;
    }
    length
}

const fn joined() -> [u8; length()] {
    let mut joined = [0; length()];
    let (mut at, mut text) = (0, 0);
    while text < TEXTS.len() {
        let (here, rest) = (TEXTS[text], at);
        while at < rest + here.len() {
            joined[at] = here[at - rest];
            at += 1;
        }
        text += 1;
    }
    joined
}
