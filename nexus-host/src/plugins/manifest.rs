//! Reading a library's manifest out of its bytes, without running anything of it.
//!
//! Receives a file's bytes, hands on the [`Manifest`] it holds or the [`Refusal`] that says why it
//! cannot run here. Never loads.

use nexus_plugin_api::abi::{
    ABI_VERSION, ComponentKind, MANIFEST_MAGIC, MANIFEST_SECTION, Manifest, TARGET,
};
use object::{Architecture, BinaryFormat, File, FileKind, Object, ObjectKind, ObjectSection};
use semver::Version;
use serde::de::DeserializeOwned;

use super::owned::Owned;
use super::refusal::{Refusal, RefusalCode as Code};
use crate::admission::HUB;
use crate::routes;

/// Most components a library may hold.
const MAX_COMPONENTS: usize = 1_000;

/// Reads the manifest and checks that the library could run in this host.
///
/// # Errors
/// See [`Code`]; everything up to `PanicAbort` is found here.
pub(super) fn read(bytes: &[u8]) -> Result<(Manifest, Owned), Refusal> {
    if let Ok(FileKind::MachOFat32 | FileKind::MachOFat64) = FileKind::parse(bytes) {
        return Err(wrong_target("libraries for several systems in one file"));
    }
    let library = File::parse(bytes).map_err(|error| {
        Refusal::new(
            Code::NotALibrary,
            format!("expected a shared library, found something else ({error})"),
            "remove it from the plugins folder",
        )
    })?;
    check_machine(&library)?;
    of_section(section(&library)?)
}

/// Reads the section of a library in which its manifest stands, and checks what it says.
pub(super) fn of_section(section: &[u8]) -> Result<(Manifest, Owned), Refusal> {
    let text = text(section)?;
    let manifest: Manifest = parse(text)?;
    check_target(&manifest)?;
    check_abi(&manifest)?;
    check_contents(&manifest)?;
    Ok((manifest, parse(text)?))
}

fn check_machine(library: &File<'_>) -> Result<(), Refusal> {
    if library.kind() != ObjectKind::Dynamic {
        return Err(Refusal::new(
            Code::NotALibrary,
            format!("expected a shared library, found {:?}", library.kind()),
            "build the plugin with crate-type = [\"cdylib\"]",
        ));
    }
    let format = if cfg!(target_vendor = "apple") {
        BinaryFormat::MachO
    } else if cfg!(windows) {
        BinaryFormat::Pe
    } else {
        BinaryFormat::Elf
    };
    let is_own = library.format() == format
        && library.is_64() == cfg!(target_pointer_width = "64")
        && library.is_little_endian() == cfg!(target_endian = "little")
        && is_own_architecture(library.architecture());
    if !is_own {
        return Err(wrong_target(&format!(
            "{:?} {:?}, {} bits",
            library.format(),
            library.architecture(),
            if library.is_64() { 64 } else { 32 }
        )));
    }
    Ok(())
}

fn is_own_architecture(found: Architecture) -> bool {
    match std::env::consts::ARCH {
        "x86_64" => matches!(found, Architecture::X86_64 | Architecture::X86_64_X32),
        "x86" => found == Architecture::I386,
        "aarch64" => found == Architecture::Aarch64,
        "arm" => found == Architecture::Arm,
        "riscv64" => found == Architecture::Riscv64,
        // Elsewhere the manifest's target triple has the last word.
        _ => true,
    }
}

fn wrong_target(found: &str) -> Refusal {
    Refusal::new(
        Code::WrongTarget,
        format!("expected {TARGET}, found {found}"),
        "build it for this system",
    )
}

fn section<'a>(library: &File<'a>) -> Result<&'a [u8], Refusal> {
    library
        .section_by_name(MANIFEST_SECTION)
        .and_then(|section| section.data().ok())
        .ok_or_else(|| {
            Refusal::new(
                Code::NoManifest,
                format!("expected a section {MANIFEST_SECTION}, found none"),
                "call export_plugin! in the library, or remove it from the plugins folder",
            )
        })
}

fn text(section: &[u8]) -> Result<&[u8], Refusal> {
    let text = section.strip_prefix(MANIFEST_MAGIC).ok_or_else(|| {
        Refusal::bad_manifest("the manifest section does not start as expected".to_owned())
    })?;
    let end = text
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(text.len());
    if text[end..].iter().any(|byte| *byte != 0) {
        return Err(Refusal::bad_manifest(
            "the library holds more than one manifest".to_owned(),
        ));
    }
    Ok(&text[..end])
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(text)
        .map_err(|error| Refusal::bad_manifest(format!("the manifest does not parse: {error}")))
}

fn check_target(manifest: &Manifest) -> Result<(), Refusal> {
    if manifest.target != TARGET {
        return Err(wrong_target(&manifest.target));
    }
    if manifest.panic != "unwind" {
        return Err(Refusal::new(
            Code::PanicAbort,
            format!("expected panic strategy unwind, found {}", manifest.panic),
            "build it with panic = \"unwind\": a panic would end the whole host",
        ));
    }
    Ok(())
}

fn check_abi(manifest: &Manifest) -> Result<(), Refusal> {
    let Ok(needed) = Version::parse(&manifest.abi) else {
        return Err(Refusal::bad_manifest(format!(
            "the interface version {:?} is not semver",
            manifest.abi
        )));
    };
    let own = Version::parse(ABI_VERSION).expect("the interface's own version is semver");
    let help = if needed.major < own.major {
        "build it again with this host's SDK"
    } else if (needed.major, needed.minor) > (own.major, own.minor) {
        "update the host, or build the plugin with this host's SDK"
    } else if !needed.pre.is_empty() && needed != own {
        // What it was then, nobody has frozen.
        "build it again with a published SDK"
    } else {
        return Ok(());
    };
    Err(Refusal::new(
        Code::AbiMismatch,
        format!(
            "expected plugin interface {ABI_VERSION} or older of the same major version, found {needed}"
        ),
        help,
    ))
}

fn check_contents(manifest: &Manifest) -> Result<(), Refusal> {
    let is_id = |text: &str| {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
    };
    if !is_id(&manifest.id) {
        return Err(Refusal::bad_manifest(
            "the id is not 1 to 64 of a-z, 0-9, - and _".to_owned(),
        ));
    }
    expect_free_id(&manifest.id)?;
    if Version::parse(&manifest.version).is_err() {
        return Err(Refusal::bad_manifest(format!(
            "the version {:?} is not semver",
            manifest.version
        )));
    }
    if manifest.components.len() > MAX_COMPONENTS {
        return Err(Refusal::bad_manifest(format!(
            "{} components",
            manifest.components.len()
        )));
    }
    for (index, component) in manifest.components.iter().enumerate() {
        let same = |other: &nexus_plugin_api::abi::ComponentEntry| {
            other.kind == component.kind && other.name == component.name
        };
        if component.name.is_empty() || component.name.contains('/') {
            return Err(Refusal::bad_manifest(format!(
                "a {} has no usable name",
                component.kind
            )));
        }
        if manifest.components[..index].iter().any(same) {
            return Err(Refusal::bad_manifest(format!(
                "two {}s are named {}",
                component.kind, component.name
            )));
        }
        if component.kind == ComponentKind::Processor && component.subscriptions.is_empty() {
            return Err(Refusal::bad_manifest(format!(
                "processor {} subscribes to nothing",
                component.name
            )));
        }
        for subscription in &component.subscriptions {
            if !subscription.splitn(2, '@').all(is_pattern) {
                return Err(Refusal::bad_manifest(format!(
                    "processor {} subscribes to `{}`; a type or source is exact, `prefix.*` or `*`",
                    component.name,
                    subscription.escape_default()
                )));
            }
        }
    }
    Ok(())
}

/// Refuses the ids under which the hub's own things go.
pub(super) fn expect_free_id(id: &str) -> Result<(), Refusal> {
    let of_hub = match id {
        routes::ID => "[[routes]]",
        routes::RECEIVERS => "[[alerts.receivers]]",
        HUB => "its events and contracts",
        _ => return Ok(()),
    };
    Err(Refusal::new(
        Code::BadManifest,
        format!("the id {id} is the hub's own, for {of_hub}"),
        "give the plugin another id",
    ))
}

/// Whether a text is a name, `prefix.*` or `*`.
fn is_pattern(text: &str) -> bool {
    let name = text.strip_suffix(".*").unwrap_or(text);
    let is_name = |name: &str| {
        name.split('.').all(|segment| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !segment.is_empty() && segment.bytes().all(fits)
        })
    };
    text == "*" || is_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_under_which_routes_go_is_taken() {
        let of = |id: &str| {
            let manifest = Manifest {
                id: id.to_owned(),
                version: "1.0.0".to_owned(),
                description: String::new(),
                abi: ABI_VERSION.to_owned(),
                target: TARGET.to_owned(),
                panic: "unwind".to_owned(),
                entry: "entry".to_owned(),
                components: Vec::new(),
                config_schema: serde_json::json!({}),
                services: Vec::new(),
                capabilities: Vec::new(),
            };
            let text = serde_json::to_vec(&manifest).unwrap();
            of_section(&[&MANIFEST_MAGIC[..], &text].concat())
        };
        for (id, of_hub) in [
            ("routes", "[[routes]]"),
            ("alerts", "[[alerts.receivers]]"),
            ("nexus", "its events and contracts"),
        ] {
            let refused = of(id).err().map(|refusal| refusal.to_string());
            let told = format!(
                "bad_manifest: the id {id} is the hub's own, for {of_hub}; give the plugin another id"
            );
            assert_eq!(refused, Some(told));
        }
        assert!(of("routes-more").is_ok());
    }
}
