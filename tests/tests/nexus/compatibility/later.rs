//! Plugins of interfaces that are not this hub's: of a later one, and of one that says it is the same and is not.

use std::path::Path;

use nexus_tests::interface::{Edit, Interface};

use super::{ISOLATIONS, expect_to_work, report, start};

/// What a later interface may look like: another root beside the first.
const NEWER_MINOR: [Edit<'_>; 5] = [
    (
        "abi/Cargo.toml",
        "version = \"1.0.0\"",
        "version = \"1.1.0\"",
    ),
    (
        "plugin/Cargo.lock",
        "name = \"nexus-plugin-abi\"\nversion = \"1.0.0\"",
        "name = \"nexus-plugin-abi\"\nversion = \"1.1.0\"",
    ),
    (
        "abi/src/root.rs",
        "impl RootModule for RootV1_Ref {",
        r#"
/// What a plugin library exports, version 2.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RootV2_Ref)))]
#[sabi(missing_field(panic))]
pub struct RootV2 {
    /// What the first root has not.
    #[sabi(last_prefix_field)]
    pub more: extern "C" fn() -> ReplyV1,
}

impl RootModule for RootV2_Ref {
    abi_stable::declare_root_module_statics! {RootV2_Ref}
    const BASE_NAME: &'static str = "nexus_plugin";
    const NAME: &'static str = "nexus plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// As [`library_header`], of the second root.
pub const fn second_header(constructor: extern "C" fn() -> RootModuleResult) -> LibHeader {
    // SAFETY: the constructor erases a `RootV2_Ref`.
    unsafe { LibHeader::from_constructor::<RootV2_Ref>(constructor, CheckTypeLayout::Yes) }
}

impl RootV2 {
    /// As [`RootV1::erased`].
    pub fn erased(self) -> RootModuleResult {
        // SAFETY: as there.
        ROk(unsafe { self.leak_into_prefix().0.cast::<ErasedPrefix>() })
    }
}

impl RootModule for RootV1_Ref {"#,
    ),
    (
        "abi/src/lib.rs",
        "pub use root::{",
        "pub use root::{RootV2, RootV2_Ref, second_header, ",
    ),
    (
        "plugin/src/lib.rs",
        "extern \"C\" fn root() -> RootModuleResult {",
        r#"#[unsafe(export_name = "nexus_plugin_second_entry_frozen")]
pub static SECOND_ENTRY: LibHeader = nexus_plugin_abi::second_header(second_root);

extern "C" fn second_root() -> RootModuleResult {
    nexus_plugin_abi::RootV2 { more: describe }.erased()
}

extern "C" fn root() -> RootModuleResult {"#,
    ),
];

/// What the SDK writes when a plugin uses nothing that has come since.
const NEEDS_NO_MORE: [Edit<'_>; 2] = [
    (
        "plugin/src/manifest.rs",
        "NEEDED: &str = ABI_VERSION",
        "NEEDED: &str = \"1.0.0\"",
    ),
    ("plugin/src/manifest.rs", "{ABI_VERSION, ", "{"),
];

#[tokio::test]
async fn a_plugin_of_a_newer_minor_works_when_it_needs_no_more_than_there_is() {
    let edits = [&NEWER_MINOR[..], &NEEDS_NO_MORE].concat();
    let plugin = Interface::published("1.0.0")
        .with("newer_minor", &edits)
        .plugin();
    for isolation in ISOLATIONS {
        expect_to_work(&plugin, isolation).await;
    }
}

#[tokio::test]
async fn a_plugin_that_needs_a_newer_minor_is_refused_unread() {
    let plugin = Interface::published("1.0.0")
        .with("needs_newer_minor", &NEWER_MINOR)
        .plugin();
    for isolation in ISOLATIONS {
        let hub = start(&plugin, isolation, "");
        let refusal = report(&hub).await["refusal"].clone();
        assert_eq!(refusal["code"], "abi_mismatch", "{isolation}: {refusal:#}");
        let reason = refusal["reason"].as_str().unwrap();
        assert!(
            reason.contains("1.0.0") && reason.contains("1.1.0"),
            "{isolation}: {reason}"
        );
        assert!(
            refusal["help"]
                .as_str()
                .unwrap()
                .contains("update the host"),
            "{refusal:#}"
        );
        assert!(
            !hub.log().contains("frozen runs"),
            "{isolation}: {}",
            hub.log()
        );
    }
}

/// Each says that it is of interface 1.0.0.
const OTHER_LAYOUTS: [(&str, &[Edit<'_>]); 3] = [
    (
        "two_fields_changed_places",
        &[(
            "abi/src/plugin.rs",
            "pub component: u32,\n    /// 1 for the first attempt.\n    pub attempt: u32,",
            "pub attempt: u32,\n    /// Its place in the manifest's list.\n    pub component: u32,",
        )],
    ),
    (
        "an_event_has_one_field_more",
        &[
            (
                "abi/src/event.rs",
                "pub payload: RSlice<'a, u8>,",
                "pub payload: RSlice<'a, u8>,\n    /// More.\n    pub more: u64,",
            ),
            (
                "abi/src/lib.rs",
                "<EventV1<'static>>() == 192",
                "<EventV1<'static>>() == 200",
            ),
        ],
    ),
    (
        "the_host_has_one_function_more",
        &[
            (
                "abi/src/host.rs",
                "    retain: unsafe extern \"C\" fn(*const ()),",
                "    retain: unsafe extern \"C\" fn(*const ()),\n    more: unsafe extern \"C\" fn(*const ()),",
            ),
            (
                "abi/src/host.rs",
                "retain: retain::<S>,",
                "retain: retain::<S>,\n                    more: retain::<S>,",
            ),
            (
                "abi/src/lib.rs",
                "host::VTABLE_SIZE == 40",
                "host::VTABLE_SIZE == 48",
            ),
        ],
    ),
];

#[tokio::test]
async fn another_layout_is_refused_before_anything_of_the_plugin_runs() {
    for (name, edits) in OTHER_LAYOUTS {
        let plugin = Interface::published("1.0.0").with(name, edits).plugin();
        for isolation in ISOLATIONS {
            let hub = start(&plugin, isolation, "");
            let refusal = report(&hub).await["refusal"].clone();
            assert_eq!(
                refusal["code"], "layout_mismatch",
                "{name} {isolation}: {refusal:#}"
            );
            let log = hub.log();
            assert!(!log.contains("frozen runs"), "{name} {isolation}: {log}");
            // One line here and one where the hub says what it has, and short ones.
            assert!(log.len() < 5_000, "{name} {isolation}: {log}");
        }
    }
    let (name, edits) = OTHER_LAYOUTS[0];
    let plugin = Interface::published("1.0.0").with(name, edits).plugin();
    for isolation in ISOLATIONS {
        expect_report_at_debug(&plugin, isolation).await;
    }
}

/// How a layout differs is a report of thousands of lines, for whoever asks for it.
async fn expect_report_at_debug(plugin: &Path, isolation: &str) {
    let hub = start(plugin, isolation, "[observe]\nlog_level = \"debug\"");
    hub.wait_for_log("how the layout differs").await;
    let log = hub.log();
    assert!(log.contains("RootV1") && log.len() > 10_000, "{log}");
}
