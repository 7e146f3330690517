//! `device list`: the serial ports of this machine, and which of them a device answers on.

use super::Cable;
use crate::error::{Code, Error, Result};
use crate::link::Link;
use crate::output::{Report, slug};
use clap::Args;
use patchlane_protocol::Status;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whoever speaks this link answers at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lists the serial ports of this machine, or only --port.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Ask each port for a status report, for 2 seconds at most: it sends some bytes to whatever is there
    #[arg(long)]
    probe: bool,
}

fn ports(cable: &Cable) -> Result<Vec<PathBuf>> {
    if let Some(port) = &cable.port {
        return Ok(vec![port.clone()]);
    }
    let mut ports = serial2::SerialPort::available_ports().map_err(|e| {
        let what = format!("the serial ports of this machine can't be listed: {e}");
        Error::new(Code::Link, what, "look in the system's device manager, and name the port with --port")
    })?;
    ports.sort();
    Ok(ports)
}

/// The name that stays when a device is plugged in elsewhere; Linux keeps such names here.
fn lasting(port: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir("/dev/serial/by-id").ok()?;
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(|link| std::fs::canonicalize(link).is_ok_and(|real| real == port))
}

fn probe(port: &Path, cable: &Cable) -> Result<Status> {
    let mut link = Link::open(port, cable.baud)?;
    link.patience = PATIENCE.min(Duration::from_secs(cable.timeout));
    link.status()
}

fn outcome(answer: &Result<Status>) -> (String, Value) {
    match answer {
        Ok(s) => {
            let text =
                format!("device {}, runs {} ({})", s.device, s.confirmed.version, super::status::activity(s));
            let data = json!({
                "device_id": s.device.to_string(),
                "confirmed": s.confirmed.version.to_string(),
                "activity": slug(&s.activity),
            });
            (text, data)
        }
        Err(error) => (error.what.clone(), Value::Null),
    }
}

pub(super) fn run(cable: &Cable, options: &Options) -> Result<Report> {
    let (mut report, mut entries, mut answering) = (Report::default(), Vec::new(), 0);
    for port in ports(cable)? {
        let name = port.display().to_string();
        let also = lasting(&port).map(|link| link.display().to_string());
        let mut entry = json!({ "port": name, "lasting_name": also, "answers": null, "device": null });
        let mut said = Vec::new();
        if options.probe {
            let answer = probe(&port, cable);
            answering += usize::from(answer.is_ok());
            let (text, data) = outcome(&answer);
            said.push(text);
            entry["answers"] = json!(answer.is_ok());
            entry["device"] = data;
        }
        said.extend(also.map(|also| format!("also {also}")));
        if said.is_empty() {
            said.push("not asked".into());
        }
        report = report.line(&name, said.join("; "));
        entries.push(entry);
    }
    report.summary = match (entries.len(), options.probe) {
        (0, _) => "No serial port here. Plug the device in; in a container, pass the port through.".into(),
        (n, true) => format!("{answering} of {n} answer."),
        (n, false) => format!("{n} found; `patchlane device list --probe` asks which of them answer."),
    };
    report.data = json!({ "ports": entries, "probed": options.probe });
    Ok(report)
}
