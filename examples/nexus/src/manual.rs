//! `nexus completions` and `nexus man`: the command line told to shells and to `man`, made from its own definition.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Arguments;
use crate::failure::Failure;
use crate::output;

/// Prints the script by which a shell completes commands and options.
pub(crate) fn completions(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "nexus", &mut script);
    output::document(&script);
}

/// Prints the manual page of the program, or writes the pages of all commands into a folder.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn man(folder: Option<&Path>) -> Result<(), Failure> {
    let command = Arguments::command();
    let Some(folder) = folder else {
        let mut page = Vec::new();
        let written = clap_mangen::Man::new(command).render(&mut page);
        written.map_err(|error| Failure::failed(format!("the page cannot be made: {error}")))?;
        output::document(&page);
        return Ok(());
    };
    let written =
        std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    let shown = folder.display();
    written.map_err(|error| {
        Failure::failed(format!("the pages cannot be written to {shown}: {error}"))
    })?;
    output::note(&format!("the pages are in {shown}"));
    Ok(())
}
