//! What `export_plugin!` expands to: the manifest as constant bytes, and the library's root.
//!
//! Everything in here runs at compile time or once per load. Not for plugin authors to call.

mod json;

use nexus_plugin_abi::{
    ABI_VERSION, AnswerV1, ErrorV1, HostV1, MANIFEST_MAGIC, PluginV1, RResult, RSlice, ReplyV1,
    RootModuleResult, RootV1, TARGET, guard,
};
pub use nexus_plugin_abi::{LibHeader, library_header};

use crate::component::Subscription;
use crate::plugin::Definition;
use crate::schema::Schema;
use crate::shim;
use json::Json;

/// What `export_plugin!` knows while it compiles.
#[derive(Debug)]
pub struct Spec {
    /// Short name.
    pub id: &'static str,
    /// Semver.
    pub version: &'static str,
    /// One line.
    pub description: &'static str,
    /// Exported symbol of the header.
    pub entry: &'static str,
    /// `unwind` or `abort`.
    pub panic: &'static str,
    /// In the order of their numbers.
    pub components: &'static [ComponentSpec],
    /// The contracts it owns.
    pub contracts: &'static [ContractSpec],
    /// The steps between versions of them.
    pub migrations: &'static [MigrationSpec],
    /// Configuration.
    pub config: &'static Schema,
    /// Host services.
    pub services: &'static [&'static str],
    /// Wishes.
    pub capabilities: &'static [&'static str],
}

/// One component.
#[derive(Debug)]
pub struct ComponentSpec {
    /// `source`, `processor` or `integration`.
    pub kind: &'static str,
    /// Its name.
    pub name: &'static str,
    /// For processors.
    pub subscriptions: &'static [Subscription],
}

/// What the manifest says of one contract.
#[derive(Debug)]
pub struct ContractSpec {
    /// Its type.
    pub event_type: &'static str,
    /// Semver.
    pub version: &'static str,
    /// From which day on it should not be sent.
    pub deprecated: Option<&'static str>,
    /// From which day on it is refused.
    pub sunset: Option<&'static str>,
}

/// What the manifest says of one migration.
#[derive(Debug)]
pub struct MigrationSpec {
    /// Its type.
    pub event_type: &'static str,
    /// The version that it takes.
    pub from: &'static str,
    /// The version that it makes.
    pub to: &'static str,
}

/// A plugin type made by `export_plugin!`.
pub trait Exported: 'static {
    /// What the manifest says.
    const SPEC: Spec;
    /// How to build the components.
    fn definition() -> Definition;
}

/// Length of the manifest section's bytes.
pub const fn manifest_len(spec: &Spec) -> usize {
    write_manifest(spec, Json::<0>::counting()).len()
}

/// The manifest section's bytes; `N` is [`manifest_len`].
pub const fn manifest_bytes<const N: usize>(spec: &Spec) -> [u8; N] {
    write_manifest(spec, Json::<N>::writing()).into_bytes()
}

/// Refuses, while compiling, a version that is not `MAJOR.MINOR.PATCH`.
pub const fn assert_semver(version: &str) {
    let bytes = version.as_bytes();
    let (mut dots, mut digits, mut i) = (0, 0, 0);
    while i < bytes.len() {
        match bytes[i] {
            b'0'..=b'9' => digits += 1,
            b'.' if digits > 0 => {
                dots += 1;
                digits = 0;
            }
            _ => panic!("a contract's version is MAJOR.MINOR.PATCH"),
        }
        i += 1;
    }
    assert!(
        dots == 2 && digits > 0,
        "a contract's version is MAJOR.MINOR.PATCH"
    );
}

/// Refuses, while compiling, a date that is not `YYYY-MM-DD`.
pub const fn assert_date(date: Option<&str>) {
    let Some(date) = date else { return };
    let bytes = date.as_bytes();
    assert!(bytes.len() == 10, "a contract's date is YYYY-MM-DD");
    let mut i = 0;
    while i < bytes.len() {
        let fits = match i {
            4 | 7 => bytes[i] == b'-',
            _ => bytes[i].is_ascii_digit(),
        };
        assert!(fits, "a contract's date is YYYY-MM-DD");
        i += 1;
    }
    let month = (bytes[5] - b'0') * 10 + bytes[6] - b'0';
    let day = (bytes[8] - b'0') * 10 + bytes[9] - b'0';
    assert!(
        month >= 1 && month <= 12 && day >= 1 && day <= 31,
        "there is no such day"
    );
}

/// Refuses, while compiling, a migration between two types.
pub const fn assert_same_type(old: &str, new: &str) {
    let (old, new) = (old.as_bytes(), new.as_bytes());
    let mut same = old.len() == new.len();
    let mut i = 0;
    while same && i < old.len() {
        same = old[i] == new[i];
        i += 1;
    }
    assert!(same, "a migration stays within one type");
}

/// The manifest as text, for plugins that are linked instead of loaded.
pub(crate) fn manifest_text(bytes: &[u8]) -> &[u8] {
    let text = bytes.strip_prefix(MANIFEST_MAGIC).unwrap_or(bytes);
    text.strip_suffix(&[0]).unwrap_or(text)
}

const fn write_manifest<const N: usize>(spec: &Spec, json: Json<N>) -> Json<N> {
    let json = json.raw(MANIFEST_MAGIC);
    let json = json.raw(b"{\"id\":").string(spec.id);
    let json = json.raw(b",\"version\":").string(spec.version);
    let json = json.raw(b",\"description\":").string(spec.description);
    let json = json.raw(b",\"abi\":").string(ABI_VERSION);
    let json = json.raw(b",\"target\":").string(TARGET);
    let json = json.raw(b",\"panic\":").string(spec.panic);
    let json = json.raw(b",\"entry\":").string(spec.entry);
    let mut json = json.raw(b",\"components\":[");
    let mut i = 0;
    while i < spec.components.len() {
        let component = &spec.components[i];
        json = json.raw(if i == 0 { b"" } else { b"," });
        json = json.raw(b"{\"kind\":").string(component.kind);
        json = json.raw(b",\"name\":").string(component.name);
        json = json.raw(b",\"subscriptions\":[");
        let mut j = 0;
        while j < component.subscriptions.len() {
            json = json.raw(if j == 0 { b"" } else { b"," });
            json = component.subscriptions[j].write(json);
            j += 1;
        }
        json = json.raw(b"]}");
        i += 1;
    }
    let json = write_contracts(spec, json.raw(b"],\"contracts\":["));
    let json = json.raw(b"],\"config_schema\":").schema(spec.config);
    let json = json.raw(b",\"services\":").strings(spec.services);
    let json = json.raw(b",\"capabilities\":").strings(spec.capabilities);
    json.raw(b"}\0")
}

/// The inside of `contracts`, and what follows up to the inside of `migrations`.
const fn write_contracts<const N: usize>(spec: &Spec, mut json: Json<N>) -> Json<N> {
    let mut i = 0;
    while i < spec.contracts.len() {
        let contract = &spec.contracts[i];
        json = json.raw(if i == 0 { b"{" } else { b",{" });
        json = json.raw(b"\"type\":").string(contract.event_type);
        json = json.raw(b",\"version\":").string(contract.version);
        if let Some(date) = contract.deprecated {
            json = json.raw(b",\"deprecated\":").string(date);
        }
        if let Some(date) = contract.sunset {
            json = json.raw(b",\"sunset\":").string(date);
        }
        json = json.raw(b"}");
        i += 1;
    }
    json = json.raw(b"],\"migrations\":[");
    let mut i = 0;
    while i < spec.migrations.len() {
        let migration = &spec.migrations[i];
        json = json.raw(if i == 0 { b"{" } else { b",{" });
        json = json.raw(b"\"type\":").string(migration.event_type);
        json = json.raw(b",\"from\":").string(migration.from);
        json = json.raw(b",\"to\":").string(migration.to).raw(b"}");
        i += 1;
    }
    json
}

impl Subscription {
    const fn write<const N: usize>(&self, json: Json<N>) -> Json<N> {
        match self.source {
            None => json.string(self.event_type),
            Some(source) => json
                .raw(b"\"")
                .escaped(self.event_type)
                .raw(b"@")
                .escaped(source)
                .raw(b"\""),
        }
    }
}

/// The root of the plugin `E`.
pub fn root<E: Exported>() -> RootV1 {
    RootV1 {
        describe: describe::<E>,
        start: start::<E>,
    }
}

/// The constructor behind a library's header.
pub extern "C" fn constructor<E: Exported>() -> RootModuleResult {
    root::<E>().erased()
}

extern "C" fn describe<E: Exported>() -> ReplyV1 {
    guard(|| {
        let head = serde_json::to_vec(&E::definition().describe())
            .map_err(|error| ErrorV1::permanent("describe_failed", error.to_string()))?;
        Ok(AnswerV1 {
            head: head.into(),
            ..AnswerV1::default()
        })
    })
    .and_then(|answer| answer)
    .into()
}

extern "C" fn start<E: Exported>(host: HostV1, init: RSlice<'_, u8>) -> RResult<PluginV1, ErrorV1> {
    guard(|| shim::start(E::SPEC.id, E::definition(), host, init.as_slice()))
        .and_then(|started| started)
        .into()
}
