//! From files and variables to a [`Config`]: receives the layers, hands on the configuration or
//! every mistake in it at once. It never reads the process environment unless told to.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::Objections;
use super::document::{Document, Node, Secrets};
use super::explain::not_whole;
use super::folder::Folder;
use super::key::KeyPath;
use super::problem::{ConfigErrors, Place, Problem};
use super::schema::Finding;
use super::{Config, schema, secret, source, variables};
use crate::ordinary;

/// The largest configuration file that is read, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// How a configuration given as text is called in messages.
const TEXT_NAME: &str = "config";

/// Reads a configuration from its layers: the file, then `{name}.{env}.toml` beside it, then the
/// variables `NEXUS_SECTION__KEY`. Tables merge; everything else is replaced.
///
/// It knows no environment but the one it is given:
///
/// ```
/// use nexus_host::config::Loader;
///
/// let config = Loader::text("[queue]\ncapacity = 10\n")
///     .variables([("NEXUS_QUEUE__CAPACITY", "50")])
///     .load()?;
/// assert_eq!(config.queue.capacity, 50);
/// # Ok::<(), nexus_host::config::ConfigErrors>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Loader {
    source: Source,
    env_name: Option<String>,
    missing_file_allowed: bool,
    overrides: BTreeMap<String, OsString>,
    secrets: BTreeMap<String, OsString>,
    secrets_left_out: bool,
}

#[derive(Clone)]
enum Source {
    File(PathBuf),
    /// As if this text stood in that file.
    Instead(PathBuf, String),
    Text(String),
}

impl Loader {
    /// Reads from a file. Relative paths inside it start at its folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::from(Source::File(path.into()))
    }

    /// Reads from a text, called `config` in messages. Relative paths inside it start at the
    /// working directory, and no other file is read beside it.
    pub fn text(text: impl Into<String>) -> Self {
        Self::from(Source::Text(text.into()))
    }

    fn from(source: Source) -> Self {
        Self {
            source,
            env_name: None,
            missing_file_allowed: false,
            overrides: BTreeMap::new(),
            secrets: BTreeMap::new(),
            secrets_left_out: false,
        }
    }

    /// Reads a text in the place of the file, which stays as it is: what the file would say with it. Relative
    /// paths start at the file's folder, and the environment's file beside it is read as ever.
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.source = match self.source {
            Source::File(path) | Source::Instead(path, _) => Source::Instead(path, text.into()),
            Source::Text(_) => Source::Text(text.into()),
        };
        self
    }

    /// Names the environment, whose file must then exist; `NEXUS_ENV` among the variables does so
    /// otherwise.
    pub fn env_name(mut self, name: impl Into<String>) -> Self {
        self.env_name = Some(name.into());
        self
    }

    /// Lets the file itself be absent: the defaults and the variables then make the configuration.
    pub fn allow_missing_file(mut self) -> Self {
        self.missing_file_allowed = true;
        self
    }

    /// Adds environment variables: overrides, `NEXUS_ENV`, and those that `{ env = "NAME" }` names.
    pub fn variables<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        for (name, value) in named(variables) {
            self.overrides.insert(name.clone(), value.clone());
            self.secrets.insert(name, value);
        }
        self
    }

    /// Adds environment variables for `{ env = "NAME" }` only; none of them overrides a key.
    pub fn secret_variables<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        self.secrets.extend(named(variables));
        self
    }

    /// Looks up no secret: for a program that talks to a hub, or looks at its files, and may know none of
    /// them. No host can be built with such a configuration.
    pub fn without_secrets(mut self) -> Self {
        self.secrets_left_out = true;
        self
    }

    /// Reads, merges and checks everything.
    ///
    /// # Errors
    ///
    /// Fails with every mistake there is, each with its place. Only broken TOML hides others: what
    /// such a file means is not known.
    pub fn load(self) -> Result<Config, ConfigErrors> {
        let (mut document, folder) = self.layers()?;
        let mut problems = variables::apply(&mut document.root, &self.overrides);
        let unresolved = match self.secrets_left_out {
            true => Vec::new(),
            false => secret::resolve(&mut document.root, &self.secrets, &folder),
        };
        let findings = schema::check_root(&document.root.to_json(Secrets::AsWritten));

        let mut spoiled: Vec<KeyPath> = findings.iter().map(|f| f.path.clone()).collect();
        problems.extend(document.problems(findings));
        for (path, problem) in unresolved {
            spoiled.push(path);
            problems.push(problem);
        }
        if self.secrets_left_out {
            spoiled.extend(secret::unread(&mut document.root));
        }
        let mut config = typed(&document, &mut spoiled, &mut problems);
        let mut objections = Objections::new(&document, &spoiled);
        config.object(&mut objections);
        problems.extend(objections.into_problems());
        ConfigErrors::none_of(problems)?;
        config.plugins.dir = folder.resolve(&config.plugins.dir);
        let worker = config.plugins.worker.as_deref();
        config.plugins.worker = worker.map(|program| folder.resolve(program));
        if let Some(tls) = &mut config.server.tls {
            tls.certificate = folder.resolve(&tls.certificate);
            tls.key = folder.resolve(&tls.key);
            tls.client_ca = tls.client_ca.take().map(|path| folder.resolve(&path));
        }
        let traces = &mut config.observe.traces;
        traces.ca_file = traces.ca_file.as_deref().map(|file| folder.resolve(file));
        let contracts = config.plugins.contracts_dir.as_deref();
        config.plugins.contracts_dir = contracts.map(|dir| folder.resolve(dir));
        config.queue.sqlite.path = folder.resolve(&config.queue.sqlite.path);
        for issuer in &mut config.issuers {
            for path in [&mut issuer.jwks_file, &mut issuer.ca_file]
                .into_iter()
                .flatten()
            {
                *path = folder.resolve(path);
            }
        }
        config.document = Arc::new(document);
        config.secrets_left_out = self.secrets_left_out;
        Ok(config)
    }

    /// The files, merged, and the folder their relative paths start at.
    fn layers(&self) -> Result<(Document, Folder), ConfigErrors> {
        let path = match &self.source {
            Source::Text(text) => {
                let name = Path::new(TEXT_NAME);
                let mut document = Document::from_file(name);
                lay(&mut document.root, source::read(text, name))?;
                return Ok((document, Folder::default()));
            }
            Source::File(path) | Source::Instead(path, _) => path,
        };
        let mut problems = Vec::new();
        let mut document = Document::from_file(path);
        let mut layers = vec![match &self.source {
            Source::Instead(_, text) => source::read(text, path),
            _ => read(
                path,
                self.missing_file_allowed,
                "check the path, or `--config`",
            ),
        }];
        match self.env_file(path) {
            Ok(Some(beside)) => layers.push(read(
                &beside,
                false,
                "the environment that NEXUS_ENV names needs its file",
            )),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
        for layer in layers {
            if let Err(errors) = lay(&mut document.root, layer) {
                problems.extend(errors.into_problems());
            }
        }
        ConfigErrors::none_of(problems)?;
        Ok((document, Folder::of_file(path)))
    }

    /// `nexus.toml` and `prod` make `nexus.prod.toml`.
    fn env_file(&self, path: &Path) -> Result<Option<PathBuf>, Problem> {
        let given = self.env_name.as_ref().map(OsString::from);
        let Some(name) = given.or_else(|| variables::env_name(&self.overrides).map(Into::into))
        else {
            return Ok(None);
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match name.to_str() {
            Some(name) if !name.is_empty() && name.chars().all(plain) => {
                let mut file = path.file_stem().unwrap_or_default().to_owned();
                file.push(format!(".{name}"));
                if let Some(extension) = path.extension() {
                    file.push(".");
                    file.push(extension);
                }
                Ok(Some(path.with_file_name(file)))
            }
            _ => Err(Problem::new(
                Place::Variable("NEXUS_ENV".into()),
                "",
                "is not the name of an environment",
            )
            .with_help("use letters, digits, `-` and `_`, as in `prod`")),
        }
    }
}

/// Shows where it reads from, and no variable: any may be a secret.
impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::File(path) | Source::Instead(path, _) => {
                write!(f, "Loader({})", path.display())
            }
            Source::Text(_) => f.write_str("Loader(text)"),
        }
    }
}

/// Names that are not UTF-8 can neither override a key nor be named in a file.
fn named<N, V>(
    variables: impl IntoIterator<Item = (N, V)>,
) -> impl Iterator<Item = (String, OsString)>
where
    N: Into<OsString>,
    V: Into<OsString>,
{
    variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.into().into_string().ok()?, value.into())))
}

fn read(path: &Path, missing_allowed: bool, help: &str) -> Result<Node, Vec<Problem>> {
    let place = Place::File {
        path: path.into(),
        position: None,
    };
    match ordinary::read_text(path, MAX_BYTES) {
        Ok(text) => source::read(&text, path),
        Err(error) if missing_allowed && error.kind() == io::ErrorKind::NotFound => {
            Ok(Node::empty_table(place))
        }
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "there is no such file".to_owned(),
                _ => error.to_string(),
            };
            let problem = Problem::new(place, "", format!("cannot be read: {why}"));
            Err(vec![problem.with_help(help)])
        }
    }
}

fn lay(root: &mut Node, layer: Result<Node, Vec<Problem>>) -> Result<(), ConfigErrors> {
    match layer {
        Ok(mut layer) => {
            secret::mark(&mut layer);
            root.merge(layer);
            Ok(())
        }
        Err(problems) => ConfigErrors::none_of(problems),
    }
}

/// The typed configuration, with the default in place of every value that is wrong, so that the
/// rooms can still object to the others.
fn typed(document: &Document, spoiled: &mut Vec<KeyPath>, problems: &mut Vec<Problem>) -> Config {
    let mut root = document.root.clone();
    for path in spoiled.iter_mut() {
        *path = path.ending_in_key();
        root.remove(path);
    }
    loop {
        let value = root.to_json(Secrets::Resolved);
        let error = match serde_path_to_error::deserialize::<_, Config>(&value) {
            Ok(config) => return config,
            Err(error) => error,
        };
        let path = of_serde(error.path());
        let finding = match root
            .find(&path)
            .map(|node| node.to_json(Secrets::AsWritten))
        {
            Some(number) if number.is_f64() => not_whole(&number, &path),
            _ => Finding::new(path.clone(), "has a value of the wrong type"),
        };
        problems.extend(document.problems(vec![finding]));
        let path = path.ending_in_key();
        if !root.remove(&path) {
            // Nothing can be taken out: without this stop the loop would not end.
            spoiled.push(KeyPath::root());
            return Config::default();
        }
        spoiled.push(path);
    }
}

fn of_serde(path: &serde_path_to_error::Path) -> KeyPath {
    use serde_path_to_error::Segment;
    path.iter()
        .fold(KeyPath::root(), |path, segment| match segment {
            Segment::Seq { index } => path.index(*index),
            Segment::Map { key } => path.key(key),
            Segment::Enum { variant } => path.key(variant),
            Segment::Unknown => path,
        })
}
