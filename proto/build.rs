//! Compiles the contracts with protox, in Rust alone: no `protoc` is needed to build Nexus.
//!
//! Hands on, in `OUT_DIR`, the Rust code of each package and its descriptors. The ends of a service
//! are put behind the crate's features; no transport is chosen here.

use std::error::Error;
use std::path::{Path, PathBuf};

/// A contract: its file, its package, and what begins the features that its ends are behind.
struct Contract {
    file: &'static str,
    package: &'static str,
    feature: &'static str,
}

const CONTRACTS: [Contract; 2] = [
    Contract {
        file: "toasty/v1/toasty.proto",
        package: "toasty.v1",
        feature: "toasty",
    },
    Contract {
        file: "nexus/v1/hub.proto",
        package: "nexus.v1",
        feature: "hub",
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo set no OUT_DIR")?);
    println!("cargo::rerun-if-changed=io/cloudevents/v1/cloudevents.proto");
    CONTRACTS.iter().try_for_each(|one| compile(one, &out_dir))
}

fn compile(contract: &Contract, out_dir: &Path) -> Result<(), Box<dyn Error>> {
    let Contract {
        file,
        package,
        feature,
    } = contract;
    println!("cargo::rerun-if-changed={file}");

    let mut compiler = protox::Compiler::new(["."])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_file(file)?;
    std::fs::write(
        out_dir.join(format!("{package}.bin")),
        compiler.encode_file_descriptor_set(),
    )?;
    let behind = |end: &str| format!("#[cfg(feature = \"{feature}-{end}\")]");
    tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".toasty.v1.Activated.inputs")
        .bytes(".nexus.v1.Event.payload")
        .client_mod_attribute(*package, behind("client"))
        .server_mod_attribute(*package, behind("server"))
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
