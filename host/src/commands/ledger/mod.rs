//! `ledger`: advisories, baselines and releases; one module for each verb.

mod affects;
mod amend;
mod baseline;
mod check;
mod close;
mod init;
mod open;
mod release;
mod settle;
mod show;

use super::build::severity;
use super::now;
use crate::cli::Global;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::ledger::entry::{Advisory, Name};
use crate::ledger::time::Moment;
use crate::ledger::{Filed, Ledger, Lock, NAME};
use crate::output::Report;
use clap::Subcommand;
use patchlane_protocol::{Baseline, Product};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the ledger of this product
    Init(init::Options),
    /// Record a new advisory
    Open(open::Options),
    /// Say whether an advisory affects a baseline
    Affects(affects::Options),
    /// Add to what an advisory says: dates, ids, documents
    Amend(amend::Options),
    /// Add a baseline, or retire one
    #[command(subcommand)]
    Baseline(baseline::Command),
    /// Finish an advisory: every supported baseline is fixed, or isn't affected
    Close(close::Options),
    /// Record a signed bundle as released: mints indices, and seals the ledger
    Release(release::Options),
    /// Record that evidence was made that an emergency left owing
    Settle(settle::Options),
    /// Show what each baseline has, and what it is owed
    Show(show::Options),
    /// Fail if a baseline is owed a fix, a deadline has passed, or sealed history was edited
    Check(check::Options),
}

pub(crate) fn run(global: &Global, command: &Command) -> Result<Report> {
    match command {
        Command::Init(options) => init::run(global, options),
        Command::Open(options) => open::run(global, options),
        Command::Affects(options) => affects::run(global, options),
        Command::Amend(options) => amend::run(global, options),
        Command::Baseline(command) => baseline::run(global, command),
        Command::Close(options) => close::run(global, options),
        Command::Release(options) => release::run(global, options),
        Command::Settle(options) => settle::run(global, options),
        Command::Check(options) => check::run(global, options),
        Command::Show(options) => show::run(global, options),
    }
}

/// The ledger of the product here.
fn read(config: &Config) -> Result<Ledger> {
    Ledger::of(config)?.ok_or_else(|| {
        let next = "start one: patchlane ledger init";
        Error::new(Code::Missing, "isn't there: this product has no ledger", next)
            .at(config.ledger().join(NAME).display())
    })
}

/// The ledger, while nobody else writes to it.
fn alone(global: &Global) -> Result<(Config, Ledger, Lock)> {
    let config = Config::find(global.config.as_deref())?;
    read(&config)?;
    let lock = Lock::take(&config.ledger())?;
    let ledger = read(&config)?;
    Ok((config, ledger, lock))
}

/// The ledger that bundles of this product have to agree with, if there is one.
pub(crate) fn beside(global: &Global, product: &Product) -> Result<Option<Ledger>> {
    match Config::find(global.config.as_deref()) {
        Ok(config) if config.product() == *product => Ledger::of(&config),
        Err(error) if error.code != Code::Missing || global.config.is_some() => Err(error),
        _ => Ok(None),
    }
}

/// An advisory that has to be there.
fn advisory<'a>(ledger: &'a Ledger, id: &str) -> Result<&'a Filed<Advisory>> {
    ledger.advisory(id).ok_or_else(|| {
        let known: Vec<&str> = ledger.advisories.iter().map(|filed| &filed.entry.id[..]).collect();
        let next = format!("record it: patchlane ledger open {id}; {}", crate::explain::meant(id, &known));
        Error::new(Code::Disagrees, format!("the ledger has no advisory {id}"), next)
    })
}

/// An error about a baseline that isn't there.
fn unknown_baseline(ledger: &Ledger, baseline: Baseline) -> Error {
    let known: Vec<String> =
        ledger.baselines.iter().map(|filed| filed.entry.baseline.0.to_string()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let next = format!("add it: patchlane ledger baseline add {baseline}; there are: {known}");
    Error::new(Code::Disagrees, format!("the ledger has no baseline {baseline}"), next)
}

/// Baselines that have to be there.
fn baselines(ledger: &Ledger, given: &[Baseline]) -> Result<Vec<Name>> {
    let known = |baseline: &Baseline| {
        ledger
            .baseline(*baseline)
            .map(|filed| filed.entry.baseline)
            .ok_or_else(|| unknown_baseline(ledger, *baseline))
    };
    given.iter().map(known).collect()
}

/// `--today`, or now.
fn today(given: Option<Moment>) -> Result<Moment> {
    given.map_or_else(|| now().map(Moment), Ok)
}

/// Text that an entry can hold.
fn line(text: &str) -> std::result::Result<String, String> {
    if crate::output::plain(text) == text && text.len() <= 1_000 && !text.trim().is_empty() {
        Ok(text.to_owned())
    } else {
        Err("text is one line of 1 to 1000 bytes, without control characters".into())
    }
}
