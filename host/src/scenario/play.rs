//! Plays scenarios on a device: the same loop for every machine.

use super::answers;
use super::cast::{Cast, Offer};
use super::file::{CommitPoint, Expected, Scenario, Step};
use crate::bundle::sha256;
use patchlane_protocol::{Kind, Status};

/// Something that plays a device. Its errors are defects, in words; what the device answers is none.
pub trait Player {
    /// Sends a bundle; power may fail on the way, and then it is sent again.
    ///
    /// # Errors
    /// A defect.
    fn send(&mut self, offer: &Offer, cut: bool) -> Result<String, String>;
    /// Sends an owner document.
    ///
    /// # Errors
    /// A defect.
    fn owner(&mut self, document: &[u8]) -> Result<String, String>;
    /// Restarts, and waits until an application runs and nothing is on trial.
    ///
    /// # Errors
    /// A defect.
    fn restart(&mut self, cut: Option<CommitPoint>) -> Result<(), String>;
    /// Asks for the status report.
    ///
    /// # Errors
    /// A defect.
    fn status(&mut self) -> Result<Status, String>;
    /// Sends a line to the application, if there is one.
    ///
    /// # Errors
    /// A defect.
    fn ask(&mut self, line: &str) -> Result<Option<String>, String>;
    /// The image in the primary slot, `length` bytes of it.
    ///
    /// # Errors
    /// A defect.
    fn primary(&mut self, length: usize) -> Result<Vec<u8>, String>;
    /// What a power cut that the scenario doesn't have did during the last call.
    fn interrupted(&mut self) -> Option<Interrupted> {
        None
    }
}

/// What a power cut that the scenario doesn't have did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted {
    /// The flash operation of the step during which power failed, from 0.
    pub operation: u64,
    /// True if what was sent was taken all the same: it isn't sent again.
    pub taken: bool,
    /// True if the step's own cut had come before. If not, it is passed over.
    pub met: bool,
}

/// A step that was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// Its number, from 0.
    pub number: usize,
    /// Its key in the file.
    pub action: &'static str,
    /// To what.
    pub subject: String,
    /// What came of it.
    pub outcome: String,
    /// The confirmed version afterwards.
    pub runs: String,
    /// Where the scenario cuts power.
    pub cut: Option<CommitPoint>,
    /// A cut that it doesn't have.
    pub interrupted: Option<Interrupted>,
}

/// A step that went otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its number, from 0.
    pub number: usize,
    /// What happened, and what should have.
    pub what: String,
}

/// A device that a scenario is played to.
#[derive(Debug)]
pub struct Stage<'a, P> {
    /// The machine.
    pub player: P,
    scenario: &'a Scenario,
    cast: &'a Cast,
    runs: String,
    /// A cut made the device take in what the scenario restarts for only later.
    ahead: bool,
}

fn compare(what: &str, wanted: Option<&String>, got: &str) -> Result<(), String> {
    match wanted {
        Some(wanted) if wanted != got => Err(format!("{what} is `{got}`, and should be `{wanted}`")),
        _ => Ok(()),
    }
}

/// `4.1 s8 (security)`, with its name in the file if that tells more.
pub(crate) fn title(name: &str, offer: &Offer) -> String {
    let lane = if offer.kind == Kind::SecurityPatch { "security" } else { "feature" };
    let version = offer.version.to_string();
    if name == version { format!("{version} ({lane})") } else { format!("{name} ({version}, {lane})") }
}

/// What a step is about, before it is played.
pub fn subject(step: &Step, cast: &Cast) -> String {
    match step {
        Step::Send { release, .. } => cast.offer(release).map_or(release.clone(), |o| title(release, o)),
        Step::Approve { release, serial, .. } => format!("{release}, serial {serial}"),
        Step::Ask { line, .. } => line.clone(),
        Step::Restart { .. } | Step::Status(_) => String::new(),
    }
}

impl<'a, P: Player> Stage<'a, P> {
    /// A device that left the factory as the scenario says.
    pub fn new(scenario: &'a Scenario, cast: &'a Cast, player: P) -> Self {
        let runs = cast.offer(&scenario.device.first).map(|first| first.version.to_string());
        Self { player, scenario, cast, runs: runs.unwrap_or_default(), ahead: false }
    }

    /// Says what runs, if it isn't the first release.
    pub fn begins_with(&mut self, runs: &str) {
        self.runs = runs.to_owned();
    }

    /// Plays the steps from this one on, tells each, and returns how many there were.
    ///
    /// # Errors
    /// The first step that went otherwise.
    pub fn play(&mut self, from: usize, tell: &mut dyn FnMut(&Played)) -> Result<usize, Failure> {
        for number in from..self.scenario.step.len() {
            tell(&self.step(number).map_err(|what| Failure { number, what })?);
        }
        Ok(self.scenario.step.len() - from)
    }

    /// Plays one step.
    ///
    /// # Errors
    /// How it went otherwise.
    pub fn step(&mut self, number: usize) -> Result<Played, String> {
        let (scenario, cast) = (self.scenario, self.cast);
        let step = scenario.step.get(number).ok_or("there is no such step")?;
        let mut cut = None;
        let (outcome, interrupted) = match step {
            Step::Send { release, cut: receiving, answer } => {
                cut = receiving.then_some(CommitPoint::Receiving);
                let got = self.player.send(cast.offer(release)?, *receiving)?;
                self.answered(answer, got)?
            }
            Step::Approve { release, serial, answer } => {
                let manifest = cast.offer(release)?.manifest;
                let document = cast.approval(manifest, *serial).map_err(|e| e.to_string())?;
                let got = self.player.owner(&document)?;
                self.answered(answer, got)?
            }
            Step::Ask { line, answer } => match self.player.ask(line)? {
                Some(reply) => compare("the reply", Some(answer), &reply).map(|()| (reply, None))?,
                None => ("no application here; passed over".to_owned(), None),
            },
            Step::Restart { cut: point } => {
                // A device that is ahead of the story has passed that point.
                cut = point.filter(|_| !self.ahead);
                self.player.restart(cut)?;
                self.ahead = false;
                (String::new(), self.player.interrupted())
            }
            Step::Status(_) => (String::new(), None),
        };
        // Whatever happened, what runs is whole, and is what the record says.
        let outcome = match step {
            Step::Ask { .. } => outcome,
            Step::Status(expected) => self.compare_status(expected)?,
            _ => {
                let before = std::mem::take(&mut self.runs);
                self.runs = self.whole()?.confirmed.version.to_string();
                if matches!(step, Step::Restart { .. }) { self.restarted(&before) } else { outcome }
            }
        };
        cut = cut.filter(|_| interrupted.is_none_or(|cut| cut.met));
        let (action, subject, runs) = (step.name(), subject(step, cast), self.runs.clone());
        Ok(Played { number, action, subject, outcome, runs, cut, interrupted })
    }

    fn restarted(&self, before: &str) -> String {
        if *before == self.runs { "as before".to_owned() } else { format!("took {} in", self.runs) }
    }

    /// Compares an answer; what a cut brought about by itself needs none.
    fn answered(&mut self, wanted: &str, got: String) -> Result<(String, Option<Interrupted>), String> {
        let interrupted = self.player.interrupted();
        if interrupted.is_some_and(|cut| cut.taken) {
            // What was to wait for a restart had one.
            self.ahead |= matches!(wanted, "ready" | "staged");
            return Ok(("taken before power failed".to_owned(), interrupted));
        }
        let compared = compare("the answer", Some(&wanted.to_owned()), &got);
        let note = self.note(compared)?;
        let meaning = answers::meaning(&got).map(|words| format!(": {words}")).unwrap_or_default();
        Ok((format!("{got}{meaning}{note}"), interrupted))
    }

    /// What differs is no failure while a cut has made the device run ahead: it is said, and compared again later.
    fn note(&self, compared: Result<(), String>) -> Result<String, String> {
        match compared {
            Err(_) if self.ahead => Ok(" (not judged: the device is ahead of the story)".to_owned()),
            other => other.map(|()| String::new()),
        }
    }

    /// The status; what runs is whole, and is what the record says.
    fn whole(&mut self) -> Result<Status, String> {
        let status = self.player.status()?;
        let confirmed = status.confirmed;
        let offer = self.cast.offers.values().find(|offer| offer.manifest == confirmed.manifest);
        let offer = offer.ok_or_else(|| format!("{} is confirmed, and nobody made it", confirmed.version))?;
        for (digest, size) in &offer.images {
            if sha256(&self.player.primary(*size as usize)?) == *digest {
                return Ok(status);
            }
        }
        Err(format!("the primary slot doesn't hold {}", confirmed.version))
    }

    fn compare_status(&mut self, expected: &Expected) -> Result<String, String> {
        let status = self.whole()?;
        let installed = status.confirmed.version.to_string();
        self.runs.clone_from(&installed);
        let held = status.held.map(|held| held.release.version.to_string()).unwrap_or_default();
        let superseded = status.held.is_some_and(|held| held.superseded);
        let activity = answers::activity(status.activity);
        let wanted = expected.superseded.map(|wanted| wanted.to_string());
        let compared = compare("installed", expected.installed.as_ref(), &installed)
            .and_then(|()| compare("held", expected.held.as_ref(), &held))
            .and_then(|()| compare("superseded", wanted.as_ref(), &superseded.to_string()))
            .and_then(|()| compare("activity", expected.activity.as_ref(), &activity));
        let note = self.note(compared)?;
        let mut told = vec![activity.to_lowercase()];
        if !held.is_empty() {
            told.push(format!("holds {held}{}", if superseded { " (superseded)" } else { "" }));
        }
        Ok(told.join(", ") + &note)
    }
}
