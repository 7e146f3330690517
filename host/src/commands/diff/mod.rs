//! `diff`: what a bundle changes, against another bundle or on a device; what changed between two linked programs.

mod bundles;
mod device;
mod judge;
mod programs;
mod shown;

use super::device::Cable;
use super::{anchor, describe, parse_bundle, read_bundle};
use crate::bundle::Bundle;
use crate::cli::Global;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::kind::Kind;
use crate::output::Report;
use crate::root::Root;
use clap::Args;
use patchlane_protocol::{Advisory, Security};
use std::path::{Path, PathBuf};

const AFTER: &str = "\
A B              what B changes against A, and what B is to a device that runs A
A --port PORT    what A would be on this device, and whether the device would take it now
A --status FILE  the same, from a saved report
A.elf B.elf      what changed between two linked programs, function by function: link both with --emit-relocs (-Wl,-q),
                 with debug information, by the same compiler; --source-diff names what changed in the sources

The verdict is found with the device's own rules; what its status doesn't tell is listed as `unknown`. Asking changes nothing.
Exit code 0: the files were compared, or the device would take or hold it; 1: it would refuse it.

Examples:
  patchlane diff first.plb patch.plb
  patchlane diff patch.plb --port /dev/ttyUSB0
  git diff -U0 v4.1-s8 v4.1-s9 | patchlane diff old.elf new.elf --source-diff -";

#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Options {
    /// A: what there was; or the bundle for the device
    a: PathBuf,
    /// B: what comes
    #[arg(required_unless_present_any = ["port", "status"], conflicts_with_all = ["port", "status"])]
    b: Option<PathBuf>,
    /// Ask the device on this serial port
    #[arg(long, short, value_name = "PORT", conflicts_with = "status")]
    port: Option<PathBuf>,
    /// Ask a saved report: what `patchlane device status --json` printed
    #[arg(long, value_name = "FILE")]
    status: Option<PathBuf>,
    /// The address of the slot that it would go into, if code runs from either slot (default: patchlane.toml's)
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    address: Option<u32>,
    /// Join what changed in two ELF files with this diff of their sources (git diff -U0; -: from stdin)
    #[arg(long, value_name = "FILE", requires = "b", conflicts_with_all = ["address", "root"])]
    source_diff: Option<PathBuf>,
    /// The root that the device trusts (default: the configuration's)
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// Bits per second, with --port
    #[arg(long, default_value_t = super::device::BAUD, value_parser = clap::value_parser!(u32).range(1..))]
    baud: u32,
    /// Seconds to wait for the device's answer, with --port
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

fn address(text: &str) -> std::result::Result<u32, String> {
    let digits = text.strip_prefix("0x").ok_or("an address is hexadecimal, such as 0x08020000")?;
    u32::from_str_radix(&digits.replace('_', ""), 16)
        .map_err(|_| format!("`{text}` isn't an address of 32 bits"))
}

/// The root to judge by, if there is one: without, bundles are compared all the same, and marked.
fn root(global: &Global, options: &Options) -> Result<Option<Root>> {
    match anchor(global, options.root.as_ref()) {
        Ok(root) => Ok(Some(root)),
        Err(error) if error.code == Code::NoAnchor => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why nobody should believe a bundle yet.
fn unverified(bundle: &Bundle, path: &Path, root: Option<&Root>) -> Result<Option<String>> {
    let Some(root) = root else {
        return Ok(Some(format!("{} isn't verified: there is no trust anchor", path.display())));
    };
    let verdict = bundle.verify(&root.document()?, |_| Ok(()));
    Ok(verdict.err().map(|error| format!("{} isn't verified: it {}", path.display(), error.what)))
}

/// Stretches of advisory indices: first, last.
type Stretches = Vec<(u32, u32)>;

/// The advisories that `with` handles and `without` doesn't.
fn gained(with: &Security, without: &Security) -> Stretches {
    let mut stretches = Vec::new();
    let mut add = |first: u32, last: u32| {
        // What `with` has open interrupts a stretch.
        let mut at = first;
        for open in with.open().iter().filter(|open| (first..=last).contains(open)) {
            if at < open {
                stretches.push((at, open - 1));
            }
            at = open + 1;
        }
        if at <= last {
            stretches.push((at, last));
        }
    };
    for open in without.open().iter().filter(|open| *open <= with.level()) {
        add(open, open);
    }
    if with.level() > without.level() {
        add(without.level() + 1, with.level());
    }
    stretches
}

/// `8, 10-12`.
fn indices(stretches: &[(u32, u32)]) -> String {
    let one = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    stretches.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What a release handles more than another: by name where its manifest has names.
fn closes<'a>(stretches: &[(u32, u32)], named: impl Iterator<Item = Advisory<'a>>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest: Stretches = stretches.to_vec();
    for a in named {
        let Some(at) = rest.iter().position(|(first, last)| (*first..=*last).contains(&a.index)) else {
            continue;
        };
        let (first, last) = rest.remove(at);
        lines.push(describe::advisory(&a));
        if a.index < last {
            rest.insert(at, (a.index + 1, last));
        }
        if first < a.index {
            rest.insert(at, (first, a.index - 1));
        }
    }
    if !rest.is_empty() {
        lines.push(format!("{} (not named in the bundle)", indices(&rest)));
    }
    lines
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let bytes = files::read(&options.a)?;
    if let Some(b) = options.b.as_ref().filter(|_| Kind::of(&bytes) == Some(Kind::Elf)) {
        return programs::compare((&options.a, &bytes), b, options.source_diff.as_deref());
    }
    if options.source_diff.is_some() {
        let next = "name two ELF files, as the linker made them";
        return Err(Error::new(Code::Malformed, "isn't an ELF file", next).at(options.a.display()));
    }
    let a = parse_bundle(bytes, &options.a)?;
    let root = root(global, options)?;
    if let Some(path) = &options.b {
        let b = read_bundle(path)?;
        let block = Config::find(global.config.as_deref()).ok().and_then(|c| c.flash.map(|f| f.erase_size));
        let mut report = bundles::compare(&a, &b, block)?;
        let mut verified = Vec::new();
        for (bundle, path) in [(&a, &options.a), (&b, path)] {
            let why = unverified(bundle, path, root.as_ref())?;
            verified.push(why.is_none());
            if let Some(why) = why {
                // Data, too: --quiet drops notes.
                report = report.line("verified", format!("no: {why}")).note(why);
            }
        }
        report.data["verified"] = serde_json::json!(verified);
        return Ok(report);
    }
    let cable = Cable { port: options.port.clone(), baud: options.baud, timeout: options.timeout };
    let status = match &options.status {
        Some(path) => device::saved(path)?,
        None => super::device::status::ask(&mut cable.open()?)?,
    };
    let config = Config::find(global.config.as_deref()).ok();
    let known = judge::Known {
        status: &status,
        root: root.as_ref(),
        config: config.as_ref().filter(|config| config.product() == status.product),
        address: options.address,
    };
    device::compare(&a, &options.a, &known, options.port.as_ref().map(|_| &cable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchlane_protocol::version::Open;

    fn security(level: u32, open: &[u32]) -> Security {
        Security::new(level, Open::new(open).unwrap()).unwrap()
    }

    /// Against the definition, for every small pair.
    #[test]
    fn what_is_gained_is_what_one_handles_and_the_other_does_not() {
        let mut all = Vec::new();
        for level in 0..=6u32 {
            for mask in 0..1u32 << level.saturating_sub(1) {
                let open: Vec<u32> = (1..level).filter(|i| mask >> (i - 1) & 1 == 1).collect();
                all.push(security(level, &open));
            }
        }
        for a in &all {
            for b in &all {
                let mut got: Vec<u32> =
                    gained(a, b).iter().flat_map(|(first, last)| *first..=*last).collect();
                got.sort_unstable();
                let wanted: Vec<u32> = (1..=7).filter(|i| a.handles(*i) && !b.handles(*i)).collect();
                assert_eq!(got, wanted, "{a:?} {b:?}");
            }
        }
        assert_eq!(gained(&security(u32::MAX, &[]), &security(0, &[])), [(1, u32::MAX)]);
    }

    #[test]
    fn names_take_the_place_of_indices() {
        let named = |index| Advisory {
            index,
            id: "CVE-1",
            severity: patchlane_protocol::Severity::High,
            exploited: false,
        };
        let lines = closes(&[(2, 2), (8, 12)], [named(10), named(1)].into_iter());
        assert_eq!(lines, ["10: CVE-1, High", "2, 8-9, 11-12 (not named in the bundle)"]);
        assert!(closes(&[], [named(1)].into_iter()).is_empty());
    }
}
