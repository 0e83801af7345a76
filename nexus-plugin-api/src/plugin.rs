//! A plugin as a value: what `export_plugin!` makes, and what a host links or loads.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use nexus_plugin_abi::{Manifest, RootV1_Ref};

use crate::component::{Component, Integration, Processor, Source};
use crate::context::Setup;
use crate::contract::{Contract, ContractInfo};
use crate::error::PluginError;
use crate::export::{self, Exported};
use crate::migration::{self, Migration};
use crate::shim::Shim;
use crate::shim::{IntegrationShim, ProcessorShim, SourceShim};
use crate::wire::Description;

/// A plugin that is linked into the host instead of loaded from a file.
///
/// Made by the function `plugin()` that `export_plugin!` puts beside the exports; handed to the
/// host's builder. It goes through the same interface as a loaded one.
pub struct Plugin {
    manifest: Manifest,
    root: RootV1_Ref,
}

impl Plugin {
    /// The linked form of an exported plugin.
    ///
    /// # Panics
    /// When the manifest that `export_plugin!` made is not JSON, which would be a defect of it.
    pub fn linked<E: Exported>(manifest: &[u8]) -> Self {
        Self {
            manifest: serde_json::from_slice(export::manifest_text(manifest))
                .expect("export_plugin! writes a manifest that parses"),
            root: RootV1_Ref::linked(export::root::<E>()),
        }
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest and the interface's root, for a host.
    pub fn into_parts(self) -> (Manifest, RootV1_Ref) {
        (self.manifest, self.root)
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plugin({} {})", self.manifest.id, self.manifest.version)
    }
}

/// The components and contracts of a library, in the order of its manifest.
#[derive(Default)]
pub struct Definition {
    pub(crate) factories: Vec<Factory>,
    pub(crate) migrations: Vec<migration::Step>,
    contracts: Vec<fn() -> ContractInfo>,
}

/// Builds one component.
pub(crate) struct Factory {
    /// The author's type. Components of one type share one instance.
    pub(crate) of: TypeId,
    /// Builds it, or takes it from what has been built before.
    pub(crate) build: Build,
}

type Build = fn(&mut Built, &Setup) -> Result<Arc<dyn Shim>, PluginError>;

impl Definition {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a contract that this library owns.
    #[must_use]
    pub fn contract<C: Contract>(mut self) -> Self {
        self.contracts.push(ContractInfo::of::<C>);
        self
    }

    /// Adds a step from one version of a contract to a later one.
    #[must_use]
    pub fn migration<M: Migration>(mut self) -> Self {
        self.migrations.push(migration::Step::of::<M>());
        self
    }

    /// Adds a source.
    #[must_use]
    pub fn source<S: Source>(mut self) -> Self {
        self.factories.push(Factory {
            of: TypeId::of::<S>(),
            build: |built, setup| Ok(Arc::new(SourceShim(built.get::<S>(setup)?))),
        });
        self
    }

    /// Adds a processor.
    #[must_use]
    pub fn processor<P: Processor>(mut self) -> Self {
        self.factories.push(Factory {
            of: TypeId::of::<P>(),
            build: |built, setup| Ok(Arc::new(ProcessorShim(built.get::<P>(setup)?))),
        });
        self
    }

    /// Adds an integration.
    #[must_use]
    pub fn integration<I: Integration>(mut self) -> Self {
        self.factories.push(Factory {
            of: TypeId::of::<I>(),
            build: |built, setup| Ok(Arc::new(IntegrationShim(built.get::<I>(setup)?))),
        });
        self
    }

    pub(crate) fn describe(&self) -> Description {
        Description {
            contracts: self.contracts.iter().map(|contract| contract()).collect(),
            migrations: self.migrations.iter().map(|step| (step.info)()).collect(),
        }
    }
}

/// Components built so far, one per type, so that a type of several kinds is built once.
#[derive(Default)]
pub(crate) struct Built(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl Built {
    fn get<C: Component>(&mut self, setup: &Setup) -> Result<Arc<C>, PluginError> {
        if let Some(Ok(built)) = self
            .0
            .get(&TypeId::of::<C>())
            .map(|any| Arc::clone(any).downcast::<C>())
        {
            return Ok(built);
        }
        let config = setup
            .services()
            .config::<C::Config>()
            .map_err(|error| PluginError::permanent("invalid_config", error.message))?;
        let component = Arc::new(C::new(config, setup)?);
        self.0.insert(TypeId::of::<C>(), component.clone());
        Ok(component)
    }
}
