//! The command line: what can be typed, and what its help says.

use crate::commands;
use crate::error::Error;
use crate::output::{Colour, Output, emit, plain, tell};
use crate::passphrase::Passphrase;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Package, sign and verify firmware updates that keep security patches and feature updates apart.
#[derive(Debug, Parser)]
#[command(name = "patchlane", version, about, propagate_version = true, after_help = AFTER)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "\
First day:
  patchlane init --vendor example.com --class pump
  patchlane build feature --baseline 1.0 --level 0 --image app.elf -o first.plb
  patchlane sign first.plb

Exit codes: 0 ok, 1 not verified or refused, 2 usage, 3 missing or malformed input,
4 key or passphrase, 70 a defect of patchlane, 130 interrupted.
The manual, with every error code: host/MANUAL.md, or `patchlane man -o FOLDER`.";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Use this patchlane.toml (default: the nearest in this folder or above)
    #[arg(long, global = true, value_name = "FILE", help_heading = GENERAL)]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON object on stdout (host/schema/output.schema.json)
    #[arg(long, global = true, help_heading = GENERAL)]
    pub(crate) json: bool,
    /// Print data and errors only
    #[arg(long, short, global = true, help_heading = GENERAL)]
    pub(crate) quiet: bool,
    /// Never ask at the terminal: what needs an answer is an error
    #[arg(long, global = true, help_heading = GENERAL)]
    no_input: bool,
    /// Colour the output; auto: on a terminal, unless NO_COLOR is set
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = GENERAL
    )]
    pub(crate) color: Colour,
    /// Read the passphrase from the first line of this file
    #[arg(long, global = true, value_name = "FILE", group = "passphrase", help_heading = PASSPHRASE)]
    passphrase_file: Option<PathBuf>,
    /// Read the passphrase from the first line of this open file descriptor (not on Windows)
    #[arg(long, global = true, value_name = "NUMBER", group = "passphrase", help_heading = PASSPHRASE)]
    passphrase_fd: Option<u32>,
    /// Read the passphrase from this environment variable
    #[arg(long, global = true, value_name = "NAME", group = "passphrase", help_heading = PASSPHRASE)]
    passphrase_env: Option<String>,
}

const GENERAL: &str = "Of every command";
const PASSPHRASE: &str = "Passphrase (asked at the terminal unless one of these is given; never an argument)";

impl Global {
    pub(crate) fn passphrase(&self) -> Passphrase {
        Passphrase {
            file: self.passphrase_file.clone().or(self.passphrase_fd.map(descriptor)),
            env: self.passphrase_env.clone(),
            option: "--passphrase",
            no_input: self.no_input,
        }
    }
}

/// An open file descriptor, as a path.
pub(crate) fn descriptor(number: u32) -> PathBuf {
    PathBuf::from(format!("/dev/fd/{number}"))
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a product: patchlane.toml, a development root and its keys
    Init(commands::init::Options),
    /// Make, show and import keys, and change their passphrases
    #[command(subcommand)]
    Key(commands::key::Command),
    /// Make and show roots
    #[command(subcommand)]
    Root(commands::root::Command),
    /// Make a bundle from a linked image, not yet signed
    Build(commands::build::Options),
    /// Sign a bundle, and verify it as a device does
    Sign(commands::sign::Options),
    /// Show what a bundle says, without judging it
    Inspect(commands::inspect::Options),
    /// Judge a bundle with the device's own verifier
    Verify(commands::verify::Options),
    /// Write a bundle's images to files, each checked against its digest
    Extract(commands::extract::Options),
    /// Show what a bundle changes against another bundle, or on a device
    Diff(commands::diff::Options),
    /// Record advisories, baselines and releases, and check that no baseline is owed a fix
    #[command(subcommand)]
    Ledger(commands::ledger::Command),
    /// Check that a security patch is one: the fix, and no functionality
    Lint(commands::lint::Options),
    /// Play recorded inputs to base and patch, and compare what they answer
    Replay(commands::replay::Options),
    /// State, signed, that a signed bundle went onto every supported release, survived power cuts, and was released
    Attest(commands::attest::Options),
    /// Keep what a release needs to be verified in ten years
    #[command(subcommand)]
    Archive(commands::archive::Command),
    /// Verify a release from its archive alone, and recompute what can be recomputed
    VerifyEvidence(commands::verify_evidence::Options),
    /// Write what an assessor or a customer reads of a release, from its archive alone
    Report(commands::report::Options),
    /// Draw and check the flash map; write it out for linkers, C, Zephyr or Rust
    Layout(commands::layout::Options),
    /// Make a factory flash image: first release, receipt, root, state
    Provision(commands::provision::Options),
    /// Talk to a device over its service link
    Device(commands::device::Options),
    /// Play scenarios or bundles to a device on simulated flash
    Simulate(commands::simulate::Options),
    /// Print a completion script for a shell
    Completions(commands::man::Completions),
    /// Print or write the manual pages
    Man(commands::man::Man),
}

/// Which lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lane {
    /// Fixes only; the feature set stays
    Security,
    /// A new feature set, or a full image signed by both roles
    Feature,
}

/// Runs the command line and returns the exit code.
pub fn main() -> u8 {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&steady(error), wants_json),
    };
    let output = Output { json: cli.global.json, quiet: cli.global.quiet, colour: cli.global.color };
    crate::files::watch_signals();
    // A defect must not look like an answer: no backtrace, exit 70.
    std::panic::set_hook(Box::new(|_| {}));
    let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dispatch(&cli.global, cli.command)));
    let result = run.unwrap_or_else(|defect| {
        let what = defect.downcast_ref::<String>().cloned();
        let what = what.or_else(|| defect.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Err(Error::internal(format!("internal error: {}", what.unwrap_or_default())))
    });
    output.finish(result)
}

/// The same error, of arguments that can't steer a terminal: clap repeats them as they are.
fn steady(error: clap::Error) -> clap::Error {
    let told: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    if told.iter().all(|argument| plain(argument) == *argument) {
        return error;
    }
    let escaped = told.iter().map(|argument| plain(argument));
    // What was wrong may have been the escaped character itself.
    let what = "an argument holds characters that steer terminals";
    Cli::try_parse_from(escaped).err().unwrap_or_else(|| Cli::command().error(ErrorKind::InvalidValue, what))
}

/// What `--color` asks for, where nothing is understood yet.
fn asked_colour(arguments: impl Iterator<Item = OsString>) -> Colour {
    let arguments: Vec<_> = arguments.collect();
    let given = |word: &str| {
        arguments.contains(&OsString::from(format!("--color={word}")))
            || arguments.windows(2).any(|pair| pair[0] == "--color" && pair[1] == word)
    };
    match (given("always"), given("never")) {
        (true, false) => Colour::Always,
        (false, true) => Colour::Never,
        _ => Colour::Auto,
    }
}

fn usage(error: &clap::Error, json: bool) -> u8 {
    let colour = asked_colour(std::env::args_os());
    // Coloured by our own rules: clap's colour where the variable CI is set, whatever the terminal can do.
    let text = |on: bool| if on { error.render().ansi().to_string() } else { error.render().to_string() };
    if !error.use_stderr() {
        // Help and version are data.
        let printed = emit(&text(colour.on(&std::io::stdout())));
        return printed.map_or_else(|error| Output::default().finish(Err(error)), |()| 0);
    }
    if json {
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Output { json: true, ..Output::default() }.error(&Error::new(
            crate::Code::Usage,
            what,
            "see `patchlane help`",
        ));
    } else {
        tell(&text(colour.on(&std::io::stderr())));
    }
    2
}

fn dispatch(global: &Global, command: Command) -> crate::Result<crate::output::Report> {
    match command {
        Command::Init(options) => commands::init::run(&options),
        Command::Key(command) => commands::key::run(global, &command),
        Command::Root(command) => commands::root::run(global, &command),
        Command::Build(options) => commands::build::run(global, &options),
        Command::Sign(options) => commands::sign::run(global, &options),
        Command::Inspect(options) => commands::inspect::run(&options),
        Command::Verify(options) => commands::verify::run(global, &options),
        Command::Provision(options) => commands::provision::run(global, &options),
        Command::Device(options) => commands::device::run(global, &options),
        Command::Simulate(options) => commands::simulate::run(global, &options),
        Command::Extract(options) => commands::extract::run(global, &options),
        Command::Diff(options) => commands::diff::run(global, &options),
        Command::Ledger(command) => commands::ledger::run(global, &command),
        Command::Lint(options) => commands::lint::run(global, &options),
        Command::Replay(options) => commands::replay::run(global, &options),
        Command::Attest(options) => commands::attest::run(global, &options),
        Command::Archive(command) => commands::archive::run(global, &command),
        Command::VerifyEvidence(options) => commands::verify_evidence::run(global, &options),
        Command::Report(options) => commands::report::run(global, &options),
        Command::Layout(options) => commands::layout::run(global, &options),
        Command::Completions(options) => Ok(commands::man::completions(&options, Cli::command())),
        Command::Man(options) => commands::man::man(&options, Cli::command()),
    }
}
