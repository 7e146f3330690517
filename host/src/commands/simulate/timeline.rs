//! A scenario for people: what happened, step by step.

use crate::output::{paint, plain};
use crate::scenario::{CommitPoint, Played};

/// A scenario that was played.
pub(super) struct Timeline<'a> {
    /// Its file.
    pub(super) file: String,
    /// Its title.
    pub(super) title: &'a str,
    /// What it was played on: names and values.
    pub(super) about: &'a [(&'static str, String)],
    /// What was played.
    pub(super) played: &'a [Played],
    /// The step that went otherwise, and how.
    pub(super) differs: Option<(Head, String)>,
    /// Whether all went as written.
    pub(super) passed: bool,
    /// How it ended.
    pub(super) result: String,
}

/// What a step is, before it is played.
pub(super) struct Head {
    pub(super) number: usize,
    pub(super) action: &'static str,
    pub(super) subject: String,
}

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const BOLD: &str = "1";
const DIM: &str = "2";

const fn at(point: CommitPoint) -> &'static str {
    match point {
        CommitPoint::Receiving => {
            "power fails when half of it is sent; it comes back, and the bundle is sent again"
        }
        CommitPoint::Ready => "power fails before the restart; it comes back",
        CommitPoint::Moving => "power fails while blocks are moved in; it comes back",
        CommitPoint::Trial => "power fails as the new release runs for the first time; it comes back",
        CommitPoint::Reverting => "power fails while blocks are moved back; it comes back",
        CommitPoint::Confirmed => "power fails right after the confirmation; it comes back",
    }
}

/// The cuts of a step, in words.
fn cuts(step: &Played) -> Vec<String> {
    let written = step.cut.map(|point| at(point).to_owned());
    let swept = step.interrupted.map(|cut| {
        let then = match (step.action, cut.taken) {
            ("restart", _) => "it comes back, and goes on",
            (_, true) => "it comes back, and has it already",
            (_, false) => "it comes back, and the step is done again",
        };
        format!("power fails during flash operation {} of this step; {then}", cut.operation)
    });
    written.into_iter().chain(swept).collect()
}

impl Timeline<'_> {
    /// As lines of text.
    pub(super) fn text(&self, colour: bool) -> String {
        let mut text =
            format!("{}\n", paint(colour, BOLD, &plain(&format!("{}: {}", self.file, self.title))));
        let name = self.about.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (what, value) in self.about {
            text += &format!("  {}  {}\n", paint(colour, DIM, &format!("{what:name$}")), plain(value));
        }
        let heads = self.differs.iter().map(|(head, _)| &head.subject);
        let subjects = self.played.iter().map(|step| &step.subject).chain(heads);
        let subject = subjects.map(|s| plain(s).chars().count()).max().unwrap_or(0).max(4);
        let runs = self.played.iter().map(|step| step.runs.len()).max().unwrap_or(0).max(4);
        let row = |number: &str, action: &str, what: &str, version: &str, outcome: &str| {
            let line = format!("{number:>4}  {action:7}  {what:subject$}  {version:runs$}  {outcome}");
            line.trim_end().to_owned() + "\n"
        };
        text += &format!("\n{}", paint(colour, DIM, row("#", "step", "what", "runs", "outcome").trim_end()));
        text += "\n";
        for step in self.played {
            let number = (step.number + 1).to_string();
            text += &row(&number, step.action, &plain(&step.subject), &step.runs, &plain(&step.outcome));
            for cut in cuts(step) {
                text += &format!("      {}\n", paint(colour, YELLOW, &format!("~ {cut}")));
            }
        }
        if let Some((head, what)) = &self.differs {
            let number = (head.number + 1).to_string();
            let line =
                row(&number, head.action, &plain(&head.subject), "", &format!("DIFFERS: {}", plain(what)));
            text += &format!("{}\n", paint(colour, RED, line.trim_end()));
        }
        let end = if self.passed { GREEN } else { RED };
        text.push('\n');
        for line in self.result.lines() {
            text += &format!("{}\n", paint(colour, end, &plain(line)));
        }
        text
    }
}
