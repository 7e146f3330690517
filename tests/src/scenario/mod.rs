//! Scenarios: stories as data, played on any machine. The format is in `file`, `tests/scenarios/README.md` and
//! `tests/scenarios/schema.json`.

mod file;
mod on_board;
mod on_sim;

pub use file::{
    CommitPoint, Damage, Expected, Feature, Lane, ReleaseEntry, Scenario, Security, Start, Step, folder,
    schema,
};
pub use on_board::on_board;
pub use on_sim::on_sim;

use crate::sim::world;
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{Refusal, Status, Version};

/// Something that plays a device.
pub trait Player {
    /// What it calls itself.
    fn name(&self) -> &'static str;
    /// Sends a bundle; power may fail on the way, and then it is sent again.
    ///
    /// # Errors
    /// A defect, in words. What the device answers is no defect.
    fn send(&mut self, bundle: &[u8], cut: bool) -> Result<String, String>;
    /// Sends an owner document.
    ///
    /// # Errors
    /// A defect, in words.
    fn owner(&mut self, document: &[u8]) -> Result<String, String>;
    /// Restarts, and waits until an application runs and nothing is on trial.
    ///
    /// # Errors
    /// A defect, in words.
    fn restart(&mut self, cut: Option<CommitPoint>) -> Result<(), String>;
    /// Asks for the status report.
    ///
    /// # Errors
    /// A defect, in words.
    fn status(&mut self) -> Result<Status, String>;
    /// Sends a line to the application, if there is one.
    ///
    /// # Errors
    /// A defect, in words.
    fn ask(&mut self, line: &str) -> Result<Option<String>, String>;
    /// Deepest stack of bootloader and application so far, in bytes, where it can be measured.
    ///
    /// # Errors
    /// A defect, in words.
    fn stack(&mut self) -> Result<Option<(usize, usize)>, String>;
    /// The image in the primary slot, `length` bytes of it.
    ///
    /// # Errors
    /// A defect, in words.
    fn primary(&mut self, length: usize) -> Result<Vec<u8>, String>;
}

/// Where a machine's images come from.
type Images<'a> = Box<dyn Fn(&ReleaseEntry) -> Result<Vec<u8>, String> + 'a>;

/// A machine for a scenario, and how it gets images.
pub struct Stage<'a> {
    /// The machine.
    pub player: Box<dyn Player + 'a>,
    images: Images<'a>,
}

/// Plays a scenario and says each step. Returns the steps played.
///
/// # Errors
/// The first step that went otherwise, and how.
pub fn play(scenario: &Scenario, stage: &mut Stage<'_>, say: &mut dyn FnMut(&str)) -> Result<usize, String> {
    let mut versions: Vec<(Version, Vec<u8>)> = Vec::new();
    for name in scenario.release.keys() {
        let release = scenario.release(name, &stage.images)?;
        versions.push((release.version, release.image));
    }
    for (number, step) in scenario.step.iter().enumerate() {
        let told =
            step_on(scenario, step, stage, &versions).map_err(|e| format!("step {}: {e}", number + 1))?;
        say(&told);
    }
    Ok(scenario.step.len())
}

fn compare(what: &str, wanted: Option<&String>, got: &str) -> Result<(), String> {
    match wanted {
        Some(wanted) if wanted != got => Err(format!("{what} is `{got}`, and should be `{wanted}`")),
        _ => Ok(()),
    }
}

fn step_on(
    scenario: &Scenario,
    step: &Step,
    stage: &mut Stage<'_>,
    versions: &[(Version, Vec<u8>)],
) -> Result<String, String> {
    match step {
        Step::Send { release: name, cut, answer } => {
            let release = scenario.release(name, &stage.images)?;
            let entry = &scenario.release[name];
            let got = stage.player.send(&file::bytes_of(entry, &release), *cut)?;
            compare("the answer", Some(answer), &got)?;
            let cut = if *cut { ", power fails at `Receiving`" } else { "" };
            Ok(format!("send {} ({:?}){cut}: {got}", release.version, entry.lane))
        }
        Step::Approve { release: name, serial, answer } => {
            let release = scenario.release(name, &stage.images)?;
            let got = stage.player.owner(&world::approval(*serial, release.digest()))?;
            compare("the answer", Some(answer), &got)?;
            Ok(format!("the owner approves {} (serial {serial}): {got}", release.version))
        }
        Step::Ask { line, answer } => match stage.player.ask(line)? {
            Some(reply) => {
                compare("the reply", Some(answer), &reply).map(|()| format!("ask {line}: {reply}"))
            }
            None => Ok(format!("ask {line}: no application here")),
        },
        Step::Restart { cut } => {
            stage.player.restart(*cut)?;
            let installed = whole(stage, versions)?.confirmed.version;
            let cut = cut.map(|cut| format!(", power fails at `{cut:?}`")).unwrap_or_default();
            Ok(format!("restart{cut}: {installed} runs"))
        }
        Step::Status(expected) => compare_status(expected, &whole(stage, versions)?),
    }
}

/// The status; whatever happened, what runs is whole, and is what the record says.
fn whole(stage: &mut Stage<'_>, versions: &[(Version, Vec<u8>)]) -> Result<Status, String> {
    let status = stage.player.status()?;
    let confirmed = status.confirmed.version;
    let image = versions.iter().find(|(version, _)| *version == confirmed).map(|(_, image)| image);
    let image = image.ok_or_else(|| format!("{confirmed} is confirmed, and nobody made it"))?;
    if stage.player.primary(image.len())? == *image {
        Ok(status)
    } else {
        Err(format!("the primary slot doesn't hold {confirmed}"))
    }
}

fn compare_status(expected: &Expected, status: &Status) -> Result<String, String> {
    let installed = status.confirmed.version.to_string();
    compare("installed", expected.installed.as_ref(), &installed)?;
    let held = status.held.map(|held| held.release.version.to_string()).unwrap_or_default();
    compare("held", expected.held.as_ref(), &held)?;
    let superseded = status.held.is_some_and(|held| held.superseded);
    if expected.superseded.is_some_and(|wanted| wanted != superseded) {
        return Err(format!("superseded is {superseded}"));
    }
    compare("activity", expected.activity.as_ref(), &format!("{:?}", status.activity))?;
    let note = if superseded { " (superseded)" } else { "" };
    let held = if held.is_empty() { String::new() } else { format!(", holds {held}{note}") };
    Ok(format!("status: {installed} runs{held}"))
}

/// The answer's name in scenario files.
fn told(result: Result<Outcome, Refusal>) -> String {
    match result {
        Ok(outcome) => format!("{outcome:?}").to_lowercase(),
        Err(refusal) => format!("{refusal:?}"),
    }
}
