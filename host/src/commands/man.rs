//! `completions` and `man`: made from the same definitions as `--help`.

use crate::error::{Code, Error, Result};
use crate::files::{self, Over, Secrecy};
use crate::output::Report;
use clap::{Args, Command};
use clap_complete::Shell;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write one page for each command into this folder (default: the main page on stdout)
    #[arg(long, short, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

pub(crate) fn completions(options: &Completions, mut cli: Command) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut cli, "patchlane", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let data = json!({ "shell": options.shell.to_string(), "script": script });
    Report::of_text(script, data)
}

pub(crate) fn man(options: &Man, cli: Command) -> Result<Report> {
    let pages = pages(cli)?;
    let Some(folder) = &options.output else {
        let page = pages.into_iter().next().map(|(_, text)| text).unwrap_or_default();
        return Ok(Report::of_text(page.clone(), json!({ "page": page })));
    };
    if !folder.is_dir() {
        return Err(Error::new(Code::Missing, "isn't a folder", "make it first").at(folder.display()));
    }
    let names: Vec<_> = pages.iter().map(|(name, _)| format!("{name}.1")).collect();
    for ((_, text), name) in pages.iter().zip(&names) {
        files::write(&folder.join(name), text.as_bytes(), Over::Existing, Secrecy::Public)?;
    }
    let summary = format!("{} pages: man -l {}", names.len(), folder.join("patchlane.1").display());
    Ok(Report::new(summary, json!({ "folder": folder.display().to_string(), "pages": names })))
}

/// Every command's page, the main one first; in the order of `--help`.
fn pages(cli: Command) -> Result<Vec<(String, String)>> {
    let mut cli = cli.disable_help_subcommand(true);
    cli.build();
    let mut waiting = vec![("patchlane".to_owned(), cli)];
    let mut pages = Vec::new();
    while !waiting.is_empty() {
        let (name, command) = waiting.remove(0);
        let below = command.get_subcommands().filter(|c| !c.is_hide_set());
        waiting.extend(below.map(|c| (format!("{name}-{}", c.get_name()), c.clone())));
        let mut page = Vec::new();
        // The manual's date would make it differ from day to day.
        clap_mangen::Man::new(command.display_name(name.clone()))
            .date("")
            .render(&mut page)
            .map_err(|e| Error::internal(format!("man page of {name}: {e}")))?;
        pages.push((name, String::from_utf8_lossy(&page).into_owned()));
    }
    Ok(pages)
}
