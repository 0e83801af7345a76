//! The macros of the Nexus plugin SDK. Use them through `nexus_plugin_api`.

mod config_schema;
mod export;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Derives the constant JSON Schema of a configuration type: a struct with named fields, or an
/// enum of plain names. Reads `#[serde(rename, rename_all, default, skip)]` and doc comments.
#[proc_macro_derive(ConfigSchema, attributes(serde))]
pub fn derive_config_schema(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as syn::DeriveInput);
    config_schema::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Exports a library's components, once per library.
///
/// ```text
/// export_plugin! {
///     id: "parrot",                    // [a-z0-9_-], at most 64
///     description: "What it does",     // default: the package's description
///     config: Config,                  // default: nothing to configure
///     contracts: [Captured],
///     sources: [Hooks],
///     processors: [Triage],
///     integrations: [Toasts],
///     services: ["publish", "state"],  // host services it uses, shown by `nexus plugin inspect`
///     capabilities: ["network"],       // what it wants of the machine
/// }
/// ```
///
/// Also defines `pub fn plugin() -> nexus_plugin_api::Plugin`, for linking it into a host.
#[proc_macro]
pub fn export_plugin(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as export::Export);
    export::expand(&input).into()
}
