//! `nexus plugin keygen` and `nexus plugin sign`: receives libraries and a private key, writes the signatures that a
//! hub looks for beside them. It prints no private key, and reads none that others can read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nexus_host::plugins::signature::{self, SigningKey};
use serde_json::json;

use crate::cli::{Common, Keygen, Sign};
use crate::failure::Failure;
use crate::{output, write};

/// A private key is a few lines; a longer file is something else.
const LONGEST_KEY: u64 = 64 * 1024;

/// Makes a key.
///
/// # Errors
/// When one of its files is there already or cannot be written.
pub(crate) fn keygen(common: &Common, options: &Keygen) -> Result<(), Failure> {
    let file = &options.file;
    let name = match &options.name {
        Some(name) => name.clone(),
        None => file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    };
    if name.contains(char::is_control) {
        return Err(Failure::usage("--name: write it in one line"));
    }
    let failed =
        |error: &dyn std::fmt::Display| Failure::failed(format!("no key was made: {error}"));
    let key = SigningKey::generate(&name).map_err(|error| failed(&error))?;
    let public = key.public_key().to_line();
    let mut beside = file.clone().into_os_string();
    beside.push(".pub");
    let beside = PathBuf::from(beside);
    let private = key.expose().map_err(|error| failed(&error))?;
    write::create_private(file, &private).map_err(|error| told(file, &error))?;
    if let Err(error) = write::create(&beside, &format!("{public}\n")) {
        let _ = fs::remove_file(file);
        return Err(told(&beside, &error));
    }
    if common.json {
        output::json(&json!({ "private": file, "public": beside, "key": public }));
        return Ok(());
    }
    output::note(&format!(
        "The private key is in {}: whoever has it can sign. The public one is in {}.\n\
         Below: for nexus.toml. A running hub takes it up with `nexus reload` or SIGHUP.\n",
        file.display(),
        beside.display()
    ));
    let public = toml::Value::from(public);
    output::line(&format!("[plugins]\ntrusted_keys = [{public}]"));
    Ok(())
}

/// Signs libraries.
///
/// # Errors
/// When the key is of no use, or a file cannot be read or its signature not written.
pub(crate) fn sign(common: &Common, options: &Sign) -> Result<(), Failure> {
    let key = read_key(&options.key)
        .map_err(|why| Failure::failed(format!("{}: {why}", options.key.display())))?;
    let mut signed = Vec::new();
    for file in &options.files {
        let bytes = read(file).map_err(|error| told(file, &error))?;
        let signature = key
            .sign(&bytes)
            .map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
        let beside = signature::file_of(file);
        write::replace(&beside, &signature).map_err(|error| told(&beside, &error))?;
        if !common.json {
            output::line(&format!(
                "{} signed in {}",
                file.display(),
                beside.display()
            ));
        }
        signed.push(json!({ "file": file, "signature": beside }));
    }
    let by = key.public_key();
    if common.json {
        output::json(&json!({ "key": by.to_line(), "signed": signed }));
    } else {
        output::line(&format!("by {by}"));
    }
    Ok(())
}

fn told(file: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{}: {error}", file.display()))
}

fn read_key(path: &Path) -> Result<SigningKey, String> {
    let file = open(path).map_err(|error| error.to_string())?;
    check_private(&file).map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(LONGEST_KEY)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    SigningKey::from_openssh(&text).map_err(|error| error.to_string())
}

/// Refuses a private key that others can read: it may be theirs by now.
#[cfg(unix)]
fn check_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let mode = file.metadata()?.mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "others can read this private key (mode {mode:03o}); make another one, or `chmod 600` it when you know \
         that nobody has"
    )))
}

#[cfg(not(unix))]
fn check_private(_: &File) -> io::Result<()> {
    Ok(())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens an ordinary file. Whoever opens a pipe may wait for ever.
fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no ordinary file"));
    }
    File::open(path)
}
