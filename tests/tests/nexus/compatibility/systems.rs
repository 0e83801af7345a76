//! Libraries for other systems than Linux of 64 bits, as little of them as makes them recognisable.

use std::env::consts::DLL_EXTENSION;

use nexus_tests::hub::HubBuilder;
use nexus_tests::workshop::Workshop;

use super::report_of;

/// A shared library of 32 bits, for Linux.
fn elf_32(machine: u16) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x01\x01\x01".to_vec();
    bytes.resize(16, 0);
    for half in [3, machine, 1, 0] {
        bytes.extend(u16::to_le_bytes(half));
    }
    // Where it starts and what it consists of: nothing.
    bytes.resize(40, 0);
    for half in [52, 32, 0, 40, 0, 0] {
        bytes.extend(u16::to_le_bytes(half));
    }
    bytes
}

/// A DLL for Windows on x86-64.
fn pe() -> Vec<u8> {
    let mut bytes = b"MZ".to_vec();
    bytes.resize(0x3c, 0);
    bytes.extend(u32::to_le_bytes(64));
    bytes.extend(b"PE\0\0");
    for half in [0x8664, 0, 0, 0, 0, 0, 0, 0, 240, 0x2022] {
        bytes.extend(u16::to_le_bytes(half));
    }
    let header = bytes.len();
    bytes.extend(u16::to_le_bytes(0x20b));
    bytes.resize(header + 108, 0);
    bytes.extend(u32::to_le_bytes(16));
    bytes.resize(header + 240, 0);
    bytes
}

/// A dynamic library for macOS on x86-64.
fn mach_o() -> Vec<u8> {
    let words: [u32; 8] = [0xfeed_facf, 0x0100_0007, 3, 6, 0, 0, 0, 0];
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Such libraries for two processors in one file.
fn mach_o_fat() -> Vec<u8> {
    let words: [u32; 12] = [
        0xcafe_babe,
        2,
        0x0100_0007,
        3,
        48,
        0,
        0,
        0x0100_000c,
        0,
        48,
        0,
        0,
    ];
    words.into_iter().flat_map(u32::to_be_bytes).collect()
}

#[tokio::test]
async fn libraries_for_other_systems_are_told_from_what_is_no_library() {
    let shop = Workshop::new();
    let cases = [
        ("x86", elf_32(3), "Elf I386, 32 bits"),
        ("x32", elf_32(62), "Elf X86_64_X32, 32 bits"),
        ("windows", pe(), "Pe X86_64, 64 bits"),
        ("macos", mach_o(), "MachO X86_64, 64 bits"),
        (
            "universal",
            mach_o_fat(),
            "libraries for several systems in one file",
        ),
    ];
    let mut builder = HubBuilder::new();
    for (name, bytes, _) in &cases {
        let file = format!("{name}.{DLL_EXTENSION}");
        builder = builder.file(shop.file(&file, bytes), &file);
    }
    let (_, plugins) = builder.start().get("/v1/admin/plugins").await;
    for (name, _, found) in cases {
        let report = report_of(&plugins, &format!("{name}.{DLL_EXTENSION}"));
        assert_eq!(
            report["refusal"]["code"], "wrong_target",
            "{name}: {report:#}"
        );
        let reason = report["refusal"]["reason"].as_str().unwrap();
        assert!(
            reason.ends_with(&format!("found {found}")),
            "{name}: {reason}"
        );
    }
}
