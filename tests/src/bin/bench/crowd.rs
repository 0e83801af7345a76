//! A hub's settings with any number of clients and contracts: what must not make an event dearer.

use std::fmt::Write as _;
use std::path::Path;

use nexus_plugin_api::ContractInfo;
use sha2::{Digest, Sha256};

use crate::serve::noop::Noted;

/// As many as must not make an event dearer.
pub(crate) const MANY: usize = 1_000;

/// Before the number of each.
const MARK: &str = "crowd.";

/// How many clients and contracts there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) clients: usize,
    pub(crate) contracts: usize,
}

impl Crowd {
    /// One of each.
    pub(crate) const ALONE: Self = Self::of(1, 1);

    pub(crate) const fn of(clients: usize, contracts: usize) -> Self {
        Self { clients, contracts }
    }

    /// A `[[clients]]` section for each client. All have a rate, which none reaches.
    pub(crate) fn sections(self) -> String {
        let mut sections = String::new();
        for client in 0..self.clients {
            let hash = hex::encode(Sha256::digest(key(client).as_bytes()));
            let _ = write!(
                sections,
                "[[clients]]\nid = \"crowd-{client}\"\nkey_sha256 = \"{hash}\"\nsources = [\"bench\"]\n\
                 types = [\"bench.*\"]\nrate = 1_000_000_000\n"
            );
        }
        sections
    }

    /// The contracts: all ask for the same, each under a type of its own.
    pub(crate) fn infos(self) -> impl Iterator<Item = ContractInfo> {
        let noted = ContractInfo::of::<Noted>();
        (0..self.contracts).map(move |contract| ContractInfo {
            event_type: event_type(contract),
            ..noted.clone()
        })
    }

    /// Writes the contracts into a folder, each as a file.
    pub(crate) fn write_contracts(self, folder: &Path) -> std::io::Result<()> {
        for info in self.infos() {
            let file = folder.join(format!("{}.json", info.event_type));
            std::fs::write(file, serde_json::to_vec(&info)?)?;
        }
        Ok(())
    }
}

/// So many `[[routes]]`, of which each takes the type of one contract, judges the event and skips it.
pub(crate) fn routes(many: usize) -> String {
    let mut sections = String::new();
    for route in 0..many {
        let _ = write!(
            sections,
            "[[routes]]\nname = \"crowd-{route}\"\ntypes = [\"{}\"]\nwhen = 'payload.count > 1000'\n\
             actions = [{{ emit = {{ type = \"bench.noted\", payload = {{}} }} }}]\n",
            event_type(route)
        );
    }
    sections
}

/// The key of a client.
pub(crate) fn key(client: usize) -> String {
    format!("nxk_{MARK}{client:04}")
}

/// The type of a contract.
pub(crate) fn event_type(contract: usize) -> String {
    format!("bench.{MARK}{contract:04}")
}

/// Makes a text that holds a key or a type one that holds another.
pub(crate) fn renumber(text: &mut String, number: usize) {
    if let Some(at) = text.find(MARK) {
        let digits = at + MARK.len()..at + MARK.len() + 4;
        text.replace_range(digits, &format!("{number:04}"));
    }
}
