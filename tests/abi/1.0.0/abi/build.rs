//! Hands the target triple to the crate: it goes into every plugin's manifest.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").expect("cargo sets TARGET for build scripts");
    println!("cargo:rustc-env=NEXUS_TARGET={target}");
}
