use super::*;

/// What these signatures were made for, by `ssh-keygen` of OpenSSH 9.
const LIBRARY: &[u8] = b"a library";

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDCS0zWVZrycbnvtCkMGFSB215tNaD6f7DXEhLxkvP9s release";

/// `-n nexus-plugin`.
const OPENSSH: &str = "-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgMJLTNZVmvJxue+0KQwYVIHbXm0
1oPp/sNcSEvGS8/2wAAAAMbmV4dXMtcGx1Z2luAAAAAAAAAAZzaGE1MTIAAABTAAAAC3Nz
aC1lZDI1NTE5AAAAQAbZlDdaCx029bpuIuXypewMDiCPgJ24sTpsu3SI6xNgdZRq3/3VZt
gqHjNoQQcZ3OR9K0E+mF4IHzA7/jeEZwY=
-----END SSH SIGNATURE-----
";

/// `-n nexus-plugin -O hashalg=sha256`.
const WITH_SHA256: &str = "-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgMJLTNZVmvJxue+0KQwYVIHbXm0
1oPp/sNcSEvGS8/2wAAAAMbmV4dXMtcGx1Z2luAAAAAAAAAAZzaGEyNTYAAABTAAAAC3Nz
aC1lZDI1NTE5AAAAQEt3dRZs7kXnajhPso7Qnpu4Pj64toA+kxAdan/0rQknMhUaRKT4T7
i6O2L2QX0gen6rpXePsMZNgI9s46JkoAc=
-----END SSH SIGNATURE-----
";

/// `-n file`: of the same key, for another purpose.
const OF_A_FILE: &str = "-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgMJLTNZVmvJxue+0KQwYVIHbXm0
1oPp/sNcSEvGS8/2wAAAAEZmlsZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUx
OQAAAEAJoQ5sKmctG4iPXDdWAcEl0So7SimhIkp7S3m0QY03wWpreTAFFcfCD+xDOYZ5X3
13DDZMWIYze2Bw4a9Dz/UK
-----END SSH SIGNATURE-----
";

fn key() -> PublicKey {
    KEY.parse().unwrap()
}

fn refused(signature: &str, bytes: &[u8], keys: &[PublicKey]) -> String {
    let refusal = verify(signature.as_bytes(), bytes, keys).unwrap_err();
    assert_eq!(refusal.code, Code::BadSignature);
    refusal.reason
}

#[test]
fn what_openssh_has_signed_is_signed() {
    let keys = [SigningKey::generate("other").unwrap().public_key(), key()];
    for signature in [OPENSSH, WITH_SHA256] {
        let signer = verify(signature.as_bytes(), LIBRARY, &keys).unwrap();
        assert_eq!(signer, &keys[1]);
        assert_eq!(
            refused(signature, b"a librarz", &keys),
            format!("it is not what {} has signed", key())
        );
    }
    assert!(key().to_string().ends_with(" (release)"));
}

#[test]
fn what_is_signed_here_counts_here_and_with_no_other_key() {
    let ours = SigningKey::generate("ours").unwrap();
    let signature = ours.sign(LIBRARY).unwrap();
    let keys = [ours.public_key()];
    verify(signature.as_bytes(), LIBRARY, &keys).unwrap();
    assert!(refused(&signature, b"", &keys).contains("(ours) has signed"));
    let told = refused(&signature, LIBRARY, &[key()]);
    assert!(told.contains("not among the trusted keys"), "{told}");
    // Ed25519 itself, whoever it is said to be of.
    let forged = SshSig::new(
        KeyData::Ed25519(Ed25519PublicKey(*key().bytes().unwrap())),
        NAMESPACE,
        HashAlg::Sha512,
        SshSig::from_pem(&signature).unwrap().signature().clone(),
    );
    let forged = forged.unwrap().to_pem(LineEnding::LF).unwrap();
    assert!(refused(&forged, LIBRARY, &[key()]).contains("is not what"));
}

#[test]
fn a_key_that_was_written_is_the_same_when_it_is_read() {
    let made = SigningKey::generate("made").unwrap();
    let read = SigningKey::from_openssh(&made.expose().unwrap()).unwrap();
    assert_eq!(read.public_key(), made.public_key());
    // Ed25519 chooses nothing at random.
    assert_eq!(read.sign(LIBRARY).unwrap(), made.sign(LIBRARY).unwrap());
    let text = serde_json::to_value(made.public_key()).unwrap();
    let text = text.as_str().unwrap();
    assert!(text.starts_with("ssh-ed25519 ") && text.ends_with(" made"));
    assert_eq!(text.parse::<PublicKey>().unwrap(), made.public_key());
    assert_eq!(format!("{made:?}"), "SigningKey(..)");
}

#[test]
fn a_signature_for_something_else_counts_for_nothing() {
    assert_eq!(
        refused(OF_A_FILE, LIBRARY, &[key()]),
        "expected a signature for nexus-plugin, found one for `file`"
    );
}

#[test]
fn what_is_no_signature_is_told_so() {
    let cut = &OPENSSH[..200];
    let garbled = OPENSSH.replace("AAAAQ", "AAA/Q");
    for none in ["", "text", cut, &garbled] {
        let told = refused(none, LIBRARY, &[key()]);
        assert!(told.contains("found something else"), "{told}");
    }
}

#[test]
fn only_ed25519_keys_are_keys() {
    for none in [
        "",
        "ssh-ed25519",
        "AAAAC3NzaC1lZDI1NTE5AAAAIDCS0zWVZrycbnvtCkMGFSB215tNaD6f7DXEhLxkvP9s",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBLXSokIPqWbdbzDADV+hEhQ3oRP4MHDE1sgvUVWpzgDHVAFbBjJ6CLY2ZIeltsjfQL3l4Ycy2EAy4EVMRKjfDQA=",
    ] {
        assert!(none.parse::<PublicKey>().is_err(), "{none}");
    }
}
