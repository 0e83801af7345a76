//! The schema of a plugin's configuration, known while the plugin is compiled.
//!
//! A manifest is read before a library runs, so the schema in it must be a constant: it is a tree
//! of statics, made by `#[derive(ConfigSchema)]`, and written as JSON by a `const fn`.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A configuration type whose JSON Schema is a constant. Derive it.
///
/// The derive reads the same `#[serde(...)]` attributes as serde (`rename`, `rename_all`,
/// `default`, `skip`) and takes doc comments as descriptions. Unknown keys are always refused.
pub trait ConfigSchema {
    /// The schema.
    const SCHEMA: &'static Schema;
}

/// One node of a configuration's schema.
#[derive(Debug)]
#[non_exhaustive]
pub enum Schema {
    /// `true` or `false`.
    Bool,
    /// An integer within bounds.
    Integer {
        /// Smallest.
        min: i128,
        /// Largest.
        max: i128,
    },
    /// Any number.
    Number,
    /// Text.
    Text,
    /// One of a few texts.
    Choice(&'static [&'static str]),
    /// A list.
    List(&'static Schema),
    /// A table with free keys.
    Map(&'static Schema),
    /// A value that may be left out.
    Optional(&'static Schema),
    /// A table with fixed keys.
    Table(&'static [Property]),
}

/// One key of a [`Schema::Table`].
#[derive(Debug)]
pub struct Property {
    /// The key.
    pub name: &'static str,
    /// What it means; may be empty.
    pub description: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it holds.
    pub schema: &'static Schema,
}

/// For plugins that have nothing to configure: an empty table.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

impl ConfigSchema for NoConfig {
    const SCHEMA: &'static Schema = &Schema::Table(&[]);
}
impl ConfigSchema for bool {
    const SCHEMA: &'static Schema = &Schema::Bool;
}
impl ConfigSchema for String {
    const SCHEMA: &'static Schema = &Schema::Text;
}
impl ConfigSchema for PathBuf {
    const SCHEMA: &'static Schema = &Schema::Text;
}
impl ConfigSchema for f64 {
    const SCHEMA: &'static Schema = &Schema::Number;
}
impl ConfigSchema for f32 {
    const SCHEMA: &'static Schema = &Schema::Number;
}
impl ConfigSchema for crate::Priority {
    const SCHEMA: &'static Schema = &Schema::Choice(&["low", "normal", "high", "critical"]);
}
impl<T: ConfigSchema> ConfigSchema for Option<T> {
    const SCHEMA: &'static Schema = &Schema::Optional(T::SCHEMA);
}
impl<T: ConfigSchema> ConfigSchema for Vec<T> {
    const SCHEMA: &'static Schema = &Schema::List(T::SCHEMA);
}
impl<T: ConfigSchema> ConfigSchema for BTreeMap<String, T> {
    const SCHEMA: &'static Schema = &Schema::Map(T::SCHEMA);
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl ConfigSchema for $int {
            const SCHEMA: &'static Schema = &Schema::Integer {
                min: <$int>::MIN as i128,
                max: <$int>::MAX as i128,
            };
        }
    )*};
}
integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);
