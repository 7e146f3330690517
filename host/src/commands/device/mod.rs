//! `device`: what an asset owner does with a laptop and a cable.

mod ask;
mod list;
mod log;
mod policy;
pub(crate) mod push;
pub(crate) mod status;

use crate::cli::Global;
use crate::error::{Code, Error, Result};
use crate::link::Link;
use crate::output::Report;
use clap::{Args, Subcommand};
use patchlane_protocol::link::Command as Frame;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Bits per second, unless told otherwise.
pub(crate) const BAUD: u32 = 115_200;

const CABLE: &str = "Cable";

/// How to reach a device.
#[derive(Debug, Clone, Args)]
pub(crate) struct Cable {
    /// The serial port or pty, such as /dev/ttyUSB0
    #[arg(long, short, global = true, value_name = "PORT", help_heading = CABLE)]
    pub(crate) port: Option<PathBuf>,
    /// Bits per second
    #[arg(long, global = true, help_heading = CABLE, default_value_t = BAUD, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) baud: u32,
    /// Seconds to wait for one answer; what may be sent twice is sent again each quarter of it
    #[arg(long, global = true, help_heading = CABLE, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
}

impl Cable {
    /// The port, which most verbs need.
    fn port(&self) -> Result<&PathBuf> {
        let next = "name it with --port, such as --port /dev/ttyUSB0; `patchlane device list` shows the ports there are";
        self.port.as_ref().ok_or_else(|| Error::new(Code::Usage, "which device?", next))
    }

    pub(crate) fn open(&self) -> Result<Link> {
        let mut link = Link::open(self.port()?, self.baud)?;
        link.patience = Duration::from_secs(self.timeout);
        Ok(link)
    }

    /// Another command for the same device, as it is typed.
    pub(crate) fn command(&self, verb: &str) -> String {
        let port = self.port.as_ref().map_or("PORT".into(), |port| port.display().to_string());
        let baud = if self.baud == BAUD { String::new() } else { format!(" --baud {}", self.baud) };
        format!("patchlane device {verb} --port {port}{baud}")
    }
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    cable: Cable,
    #[command(subcommand)]
    verb: Verb,
}

const LIST: &str = "\
Examples:
  patchlane device list
  patchlane device list --probe";

const STATUS: &str = "\
Examples:
  patchlane device status --port /dev/ttyUSB0
  patchlane device status --port /dev/ttyUSB0 --json >report.json    for `diff --status`";

const PUSH: &str = "\
Examples:
  patchlane device push patch.plb --port /dev/ttyUSB0";

const APPROVE: &str = "\
Examples:
  patchlane device approve feature.plb --port /dev/ttyUSB0 --owner-key owner.pem";

const REQUEST: &str = "\
Examples:
  patchlane device request apply patch.plb --port /dev/ttyUSB0
  patchlane device request revert patch.plb --port /dev/ttyUSB0 --owner-key owner.pem";

const POLICY: &str = "\
Examples:
  patchlane device policy --security apply-in-window --port /dev/ttyUSB0 --owner-key owner.pem";

const REBOOT: &str = "\
Examples:
  patchlane device reboot --port /dev/ttyUSB0";

const LOG: &str = "\
Examples:
  patchlane device log --port /dev/ttyUSB0 --for 60";

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the serial ports of this machine
    #[command(after_help = LIST)]
    List(list::Options),
    /// Show what runs, what waits and for what, the policy, and why something was refused
    #[command(after_help = STATUS)]
    Status,
    /// Send a bundle; of several payloads the device takes the one that fits
    #[command(after_help = PUSH)]
    Push {
        /// The bundle
        bundle: PathBuf,
    },
    /// Approve a held feature update or a rollback; push it again afterwards
    #[command(after_help = APPROVE)]
    Approve(ask::About),
    /// Ask for something about a release: apply, withdraw, keep, revert, retry
    #[command(after_help = REQUEST)]
    Request {
        /// What is asked
        #[arg(value_enum)]
        action: ask::Asked,
        #[command(flatten)]
        about: ask::About,
    },
    /// Set what happens to security patches and to feature updates
    #[command(after_help = POLICY)]
    Policy(policy::Options),
    /// Ask for a restart
    #[command(after_help = REBOOT)]
    Reboot,
    /// Follow the device: what it prints and what changes in its status, with the time, until Ctrl-C
    ///
    /// A journal on stdout: a line for each line of text that the device prints between frames, and for each change in its
    /// status, which is asked for every few seconds; with this machine's time (UTC). It stays through restarts of the
    /// device and through unplugging. Nothing in it can steer a terminal: control characters are spelt out. Nothing in it
    /// is authenticated. With --json each line is an object: `at`, `event` (`text`, `status`, `link`, at last `end`), and
    /// `text`.
    #[command(after_help = LOG)]
    Log(log::Options),
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let cable = &options.cable;
    match &options.verb {
        Verb::List(list) => list::run(cable, list),
        Verb::Status => status::run(cable),
        Verb::Push { bundle } => push::run(global, cable, bundle),
        Verb::Approve(about) => ask::run(global, cable, ask::Asked::APPROVE, about),
        Verb::Request { action, about } => ask::run(global, cable, action.action(), about),
        Verb::Policy(policy) => policy::run(global, cable, policy),
        Verb::Reboot => reboot(cable),
        Verb::Log(log) => log::run(global, cable, log),
    }
}

fn reboot(cable: &Cable) -> Result<Report> {
    cable.open()?.request(&Frame::Reboot).map_err(|error| ask::refused(error, cable, "the restart"))?;
    Ok(Report::new("The device restarts.", json!({ "restarts": true })).line("next", cable.command("status")))
}
