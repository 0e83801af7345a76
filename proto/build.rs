//! Compiles the contracts with protox, in Rust alone: no `protoc` is needed to build Nexus.
//!
//! Hands on, in `OUT_DIR`, the Rust code of each package and its descriptors. The ends of a service
//! are put behind the crate's features; no transport is chosen here.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo set no OUT_DIR")?);
    toasty(&out_dir)?;
    hub(&out_dir)
}

fn hub(out_dir: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let file = "nexus/v1/hub.proto";
    println!("cargo::rerun-if-changed={file}");
    println!("cargo::rerun-if-changed=io/cloudevents/v1/cloudevents.proto");

    let mut compiler = protox::Compiler::new(["."])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_file(file)?;
    std::fs::write(
        out_dir.join("nexus.v1.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".nexus.v1.Event.payload")
        .client_mod_attribute("nexus.v1", "#[cfg(feature = \"hub-client\")]")
        .server_mod_attribute("nexus.v1", "#[cfg(feature = \"hub-server\")]")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

fn toasty(out_dir: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let file = "toasty/v1/toasty.proto";
    println!("cargo::rerun-if-changed={file}");

    let mut compiler = protox::Compiler::new(["."])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_file(file)?;
    std::fs::write(
        out_dir.join("toasty.v1.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".toasty.v1.Activated.inputs")
        .client_mod_attribute("toasty.v1", "#[cfg(feature = \"toasty-client\")]")
        .server_mod_attribute("toasty.v1", "#[cfg(feature = \"toasty-server\")]")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
