//! `#[derive(ConfigSchema)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, Expr, Fields, Lit, LitStr, Meta, Result};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "generic configurations are not supported",
        ));
    }
    let name = &input.ident;
    let container = Serde::read(&input.attrs)?;
    let schema = match &input.data {
        Data::Struct(data) => table(&data.fields, &container)?,
        Data::Enum(data) => {
            let mut names = Vec::new();
            for variant in &data.variants {
                if !matches!(variant.fields, Fields::Unit) {
                    return Err(Error::new_spanned(
                        variant,
                        "only plain names are supported here",
                    ));
                }
                let serde = Serde::read(&variant.attrs)?;
                names.push(
                    serde
                        .rename
                        .unwrap_or_else(|| container.case_variant(&variant.ident.to_string())),
                );
            }
            quote!(::nexus_plugin_api::Schema::Choice(&[#(#names),*]))
        }
        Data::Union(_) => return Err(Error::new_spanned(input, "unions are not supported")),
    };
    Ok(quote! {
        impl ::nexus_plugin_api::ConfigSchema for #name {
            const SCHEMA: &'static ::nexus_plugin_api::Schema = &#schema;
        }
    })
}

fn table(fields: &Fields, container: &Serde) -> Result<TokenStream> {
    let fields = match fields {
        Fields::Named(named) => named.named.iter().collect::<Vec<_>>(),
        Fields::Unit => Vec::new(),
        Fields::Unnamed(_) => {
            return Err(Error::new_spanned(
                fields,
                "a configuration has named fields",
            ));
        }
    };
    let mut properties = Vec::new();
    for field in fields {
        let serde = Serde::read(&field.attrs)?;
        if serde.skip {
            continue;
        }
        let ident = field
            .ident
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let ident = ident.strip_prefix("r#").unwrap_or(&ident);
        let name = serde
            .rename
            .clone()
            .unwrap_or_else(|| container.case_field(ident));
        let ty = &field.ty;
        let description = docs(&field.attrs);
        let defaulted = serde.default || container.default;
        properties.push(quote! {
            ::nexus_plugin_api::Property {
                name: #name,
                description: #description,
                required: !#defaulted && !matches!(
                    <#ty as ::nexus_plugin_api::ConfigSchema>::SCHEMA,
                    ::nexus_plugin_api::Schema::Optional(_)
                ),
                schema: <#ty as ::nexus_plugin_api::ConfigSchema>::SCHEMA,
            }
        });
    }
    Ok(quote!(::nexus_plugin_api::Schema::Table(&[#(#properties),*])))
}

/// What matters of serde's attributes.
#[derive(Default)]
struct Serde {
    rename: Option<String>,
    rename_all: Option<LitStr>,
    default: bool,
    skip: bool,
}

impl Serde {
    fn read(attrs: &[Attribute]) -> Result<Self> {
        let mut serde = Self::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
            attr.parse_nested_meta(|meta| {
                if meta.path.is_ident("rename") {
                    serde.rename = Some(meta.value()?.parse::<LitStr>()?.value());
                } else if meta.path.is_ident("rename_all") {
                    serde.rename_all = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("default") {
                    serde.default = true;
                    if meta.input.peek(syn::Token![=]) {
                        meta.value()?.parse::<Expr>()?;
                    }
                } else if meta.path.is_ident("skip") || meta.path.is_ident("skip_deserializing") {
                    serde.skip = true;
                } else if meta.path.is_ident("flatten") || meta.path.is_ident("tag") {
                    return Err(meta.error("not supported in a plugin's configuration"));
                } else if meta.input.peek(syn::Token![=]) {
                    meta.value()?.parse::<Expr>()?;
                }
                Ok(())
            })?;
        }
        if let Some(case) = &serde.rename_all
            && ![
                "lowercase",
                "snake_case",
                "kebab-case",
                "camelCase",
                "PascalCase",
            ]
            .contains(&case.value().as_str())
        {
            return Err(Error::new_spanned(case, "this case is not supported here"));
        }
        Ok(serde)
    }

    fn case(&self) -> String {
        self.rename_all
            .as_ref()
            .map(LitStr::value)
            .unwrap_or_default()
    }

    fn case_field(&self, name: &str) -> String {
        let words: Vec<&str> = name.split('_').collect();
        match self.case().as_str() {
            "kebab-case" => words.join("-"),
            "camelCase" => camel(&words, false),
            "PascalCase" => camel(&words, true),
            _ => name.to_owned(),
        }
    }

    fn case_variant(&self, name: &str) -> String {
        let mut words: Vec<String> = Vec::new();
        for letter in name.chars() {
            if letter.is_uppercase() || words.is_empty() {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(letter.to_lowercase());
            }
        }
        let borrowed: Vec<&str> = words.iter().map(String::as_str).collect();
        match self.case().as_str() {
            "lowercase" => borrowed.concat(),
            "snake_case" => borrowed.join("_"),
            "kebab-case" => borrowed.join("-"),
            "camelCase" => camel(&borrowed, false),
            _ => name.to_owned(),
        }
    }
}

fn camel(words: &[&str], first_upper: bool) -> String {
    let mut out = String::new();
    for (i, word) in words.iter().enumerate() {
        let mut letters = word.chars();
        match letters.next() {
            Some(first) if i > 0 || first_upper => out.extend(first.to_uppercase()),
            Some(first) => out.push(first),
            None => {}
        }
        out.push_str(letters.as_str());
    }
    out
}

fn docs(attrs: &[Attribute]) -> String {
    let mut text = String::new();
    for attr in attrs {
        if let Meta::NameValue(pair) = &attr.meta
            && pair.path.is_ident("doc")
            && let Expr::Lit(lit) = &pair.value
            && let Lit::Str(line) = &lit.lit
        {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(line.value().trim());
        }
    }
    text
}
