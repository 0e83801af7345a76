//! `export_plugin!`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Path, Result, Token, bracketed};

/// What the macro is given.
#[derive(Default)]
pub(crate) struct Export {
    id: Option<LitStr>,
    description: Option<LitStr>,
    config: Option<Path>,
    contracts: Vec<Path>,
    migrations: Vec<Path>,
    sources: Vec<Path>,
    processors: Vec<Path>,
    integrations: Vec<Path>,
    services: Vec<LitStr>,
    capabilities: Vec<LitStr>,
}

impl Parse for Export {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut export = Self::default();
        let mut seen = Vec::new();
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            if seen.contains(&key) {
                return Err(Error::new(key.span(), format!("`{key}` is given twice")));
            }
            input.parse::<Token![:]>()?;
            match key.to_string().as_str() {
                "id" => export.id = Some(id(input.parse()?)?),
                "description" => export.description = Some(input.parse()?),
                "config" => export.config = Some(input.parse()?),
                "contracts" => export.contracts = list(input)?,
                "migrations" => export.migrations = list(input)?,
                "sources" => export.sources = list(input)?,
                "processors" => export.processors = list(input)?,
                "integrations" => export.integrations = list(input)?,
                "services" => export.services = list(input)?,
                "capabilities" => export.capabilities = list(input)?,
                other => {
                    return Err(Error::new(
                        key.span(),
                        format!(
                            "unknown key `{other}`; known are id, description, config, contracts, \
                             migrations, sources, processors, integrations, services, capabilities"
                        ),
                    ));
                }
            }
            seen.push(key);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if export.id.is_none() {
            return Err(input.error("`id` is missing"));
        }
        if export.sources.is_empty()
            && export.processors.is_empty()
            && export.integrations.is_empty()
            && export.contracts.is_empty()
        {
            return Err(input.error("a plugin holds at least one component or contract"));
        }
        Ok(export)
    }
}

fn list<T: Parse>(input: ParseStream<'_>) -> Result<Vec<T>> {
    let inside;
    bracketed!(inside in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&inside)?
        .into_iter()
        .collect())
}

fn id(id: LitStr) -> Result<LitStr> {
    let text = id.value();
    let fits = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
    if text.is_empty() || text.len() > 64 || !fits {
        return Err(Error::new(
            id.span(),
            "an id is 1 to 64 characters out of a-z, 0-9, `-` and `_`",
        ));
    }
    Ok(id)
}

pub(crate) fn expand(export: &Export) -> TokenStream {
    let Export {
        id,
        contracts,
        migrations,
        sources,
        processors,
        integrations,
        services,
        capabilities,
        ..
    } = export;
    let symbol = id
        .as_ref()
        .map(LitStr::value)
        .unwrap_or_default()
        .replace('-', "_");
    let entry = format!("nexus_plugin_entry_{symbol}");
    let manifest = format!("nexus_plugin_manifest_{symbol}");
    let description = export.description.as_ref().map_or_else(
        || quote!(env!("CARGO_PKG_DESCRIPTION")),
        |text| quote!(#text),
    );
    let config = export.config.as_ref().map_or_else(
        || quote!(::nexus_plugin_api::NoConfig),
        |path| quote!(#path),
    );
    quote! {
        /// This plugin, for linking it into a host without a library file.
        pub fn plugin() -> ::nexus_plugin_api::Plugin {
            ::nexus_plugin_api::Plugin::linked::<__NexusExport>(&__NEXUS_MANIFEST)
        }

        #[doc(hidden)]
        pub struct __NexusExport;

        impl ::nexus_plugin_api::export::Exported for __NexusExport {
            const SPEC: ::nexus_plugin_api::export::Spec = ::nexus_plugin_api::export::Spec {
                id: #id,
                version: env!("CARGO_PKG_VERSION"),
                description: #description,
                entry: #entry,
                panic: if cfg!(panic = "unwind") { "unwind" } else { "abort" },
                components: &[
                    #(::nexus_plugin_api::export::ComponentSpec {
                        kind: "source",
                        name: <#sources as ::nexus_plugin_api::Source>::NAME,
                        subscriptions: &[],
                    },)*
                    #(::nexus_plugin_api::export::ComponentSpec {
                        kind: "processor",
                        name: <#processors as ::nexus_plugin_api::Processor>::NAME,
                        subscriptions: <#processors as ::nexus_plugin_api::Processor>::SUBSCRIPTIONS,
                    },)*
                    #(::nexus_plugin_api::export::ComponentSpec {
                        kind: "integration",
                        name: <#integrations as ::nexus_plugin_api::Integration>::NAME,
                        subscriptions: &[],
                    },)*
                ],
                contracts: &[
                    #(::nexus_plugin_api::export::ContractSpec {
                        event_type: <#contracts as ::nexus_plugin_api::Contract>::TYPE,
                        version: <#contracts as ::nexus_plugin_api::Contract>::VERSION,
                        deprecated: <#contracts as ::nexus_plugin_api::Contract>::DEPRECATED,
                        sunset: <#contracts as ::nexus_plugin_api::Contract>::SUNSET,
                    },)*
                ],
                migrations: &[
                    #(::nexus_plugin_api::export::MigrationSpec {
                        event_type: <<#migrations as ::nexus_plugin_api::Migration>::Old
                            as ::nexus_plugin_api::Contract>::TYPE,
                        from: <<#migrations as ::nexus_plugin_api::Migration>::Old
                            as ::nexus_plugin_api::Contract>::VERSION,
                        to: <<#migrations as ::nexus_plugin_api::Migration>::New
                            as ::nexus_plugin_api::Contract>::VERSION,
                    },)*
                ],
                config: <#config as ::nexus_plugin_api::ConfigSchema>::SCHEMA,
                services: &[#(#services),*],
                capabilities: &[#(#capabilities),*],
            };

            fn definition() -> ::nexus_plugin_api::Definition {
                ::nexus_plugin_api::Definition::new()
                    #(.contract::<#contracts>())*
                    #(.migration::<#migrations>())*
                    #(.source::<#sources>())*
                    #(.processor::<#processors>())*
                    #(.integration::<#integrations>())*
            }
        }

        // A contract's version and dates are checked here, where its author sees it.
        #(const _: () = {
            ::nexus_plugin_api::export::assert_semver(
                <#contracts as ::nexus_plugin_api::Contract>::VERSION,
            );
            ::nexus_plugin_api::export::assert_date(
                <#contracts as ::nexus_plugin_api::Contract>::DEPRECATED,
            );
            ::nexus_plugin_api::export::assert_date(
                <#contracts as ::nexus_plugin_api::Contract>::SUNSET,
            );
        };)*
        #(const _: () = ::nexus_plugin_api::export::assert_same_type(
            <<#migrations as ::nexus_plugin_api::Migration>::Old as ::nexus_plugin_api::Contract>::TYPE,
            <<#migrations as ::nexus_plugin_api::Migration>::New as ::nexus_plugin_api::Contract>::TYPE,
        );)*

        // The components must take the configuration whose schema the manifest shows.
        const _: () = {
            #[allow(dead_code)]
            fn same_config<C: ::nexus_plugin_api::Component<Config = #config>>() {}
            #[allow(dead_code)]
            fn check() {
                #(same_config::<#sources>();)*
                #(same_config::<#processors>();)*
                #(same_config::<#integrations>();)*
            }
        };

        const __NEXUS_MANIFEST_LEN: usize = ::nexus_plugin_api::export::manifest_len(
            &<__NexusExport as ::nexus_plugin_api::export::Exported>::SPEC,
        );

        // Exported, so that no linker drops it; in its own section, so that it can be read from
        // the file without running anything.
        #[doc(hidden)]
        #[allow(unsafe_code)]
        #[unsafe(export_name = #manifest)]
        #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__nexus"))]
        #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".nexus"))]
        pub static __NEXUS_MANIFEST: [u8; __NEXUS_MANIFEST_LEN] =
            ::nexus_plugin_api::export::manifest_bytes::<__NEXUS_MANIFEST_LEN>(
                &<__NexusExport as ::nexus_plugin_api::export::Exported>::SPEC,
            );

        #[doc(hidden)]
        #[allow(unsafe_code)]
        #[unsafe(export_name = #entry)]
        pub static __NEXUS_ENTRY: ::nexus_plugin_api::export::LibHeader =
            ::nexus_plugin_api::export::library_header(
                ::nexus_plugin_api::export::constructor::<__NexusExport>,
            );
    }
}
