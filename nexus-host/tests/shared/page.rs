//! Pages of which a part is made from the code: receives that part, and holds the page to it, or writes it anew when
//! `UPDATE_DOCS` is set.

use std::path::Path;

/// Holds the part of `docs/PAGE` that `test` makes to what it should be.
///
/// # Panics
/// When it is something else, or the page has no such part.
pub(crate) fn expect_part(page: &str, test: &str, part: &str) {
    let begin = format!("<!-- reference: written by nexus-host/tests/{test}.rs -->\n");
    let end = "<!-- end of the reference -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(&begin).expect("the page has a reference");
    let (written, after) = rest.split_once(end).expect("the reference has an end");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{part}{end}{after}")).unwrap();
        return;
    }
    assert!(
        written == part,
        "docs/{page} is not what the code says; write it anew with\n  \
         UPDATE_DOCS=1 cargo test -p nexus-host --test {test}"
    );
}
