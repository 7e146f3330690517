//! Scenarios on a board with power cut during flash operations that nobody names: sampled, torn, and repeatable.

use super::on_board::{OnBoard, Plan};
use patchlane::flash::mix;
use patchlane::scenario::{Cast, Failure, Scenario, Stage, Step};
use std::fmt;
use std::str::FromStr;

/// A cut: the step's number, from 0, and the flash operation of that step, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    step: usize,
    operation: u16,
    /// 0: before the operation; 1: in the middle; 2: after it.
    how: u8,
}

impl Cut {
    /// The step's number, from 0.
    pub const fn step(&self) -> usize {
        self.step
    }
}

/// As `--replay` takes it: steps count from 1.
impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.step + 1, self.operation, self.how)
    }
}

impl FromStr for Cut {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Vec<u16> = text.split(':').filter_map(|n| n.parse().ok()).collect();
        match numbers[..] {
            [step, operation, how @ 0..=2] if step > 0 && operation > 0 => {
                Ok(Self { step: usize::from(step) - 1, operation, how: how as u8 })
            }
            _ => Err(format!("`{text}` is no cut: STEP:OPERATION:HOW, how being 0, 1 or 2")),
        }
    }
}

/// Cuts as one word.
pub fn spelt(cuts: &[Cut]) -> String {
    cuts.iter().map(Cut::to_string).collect::<Vec<_>>().join(",")
}

/// The scenario without cuts of its own: each step that changes flash gets a sampled one.
pub fn stripped(scenario: &Scenario) -> Scenario {
    let mut scenario = scenario.clone();
    for step in &mut scenario.step {
        match step {
            Step::Send { cut, .. } => *cut = false,
            Step::Restart { cut } => *cut = None,
            _ => {}
        }
    }
    scenario
}

/// What playing with cuts came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Power failed so often before an operation, in the middle of one, after one.
    pub cuts: [usize; 3],
    /// A step ended before the operation came.
    pub spared: usize,
    /// What was sent had gone in all the same.
    pub taken: usize,
}

impl Tally {
    /// Cuts in all.
    pub fn total(&self) -> usize {
        self.cuts.iter().sum()
    }
}

/// Cuts for a round, sampled from what each step takes: its flash operations, 0 if it isn't to be cut.
pub fn sample(operations: &[u64], seed: u64) -> Vec<Cut> {
    let cut = |(step, count): (usize, &u64)| {
        let random = mix(mix(seed) ^ step as u64);
        let operation = u16::try_from(1 + random % (*count).max(1)).unwrap_or(u16::MAX);
        (*count > 0).then_some(Cut { step, operation, how: (random >> 40) as u8 % 3 })
    };
    operations.iter().enumerate().filter_map(cut).collect()
}

/// Plays a round, until `most` cuts have come.
///
/// # Errors
/// The step that went otherwise.
pub fn round(
    (scenario, cast): (&Scenario, &Cast),
    player: OnBoard,
    cuts: &[Cut],
    most: usize,
    tally: &mut Tally,
) -> (OnBoard, Result<(), Failure>) {
    let mut stage = Stage::new(scenario, cast, player);
    let ends = tally.total() + most;
    for number in 0..scenario.step.len() {
        let cut = cuts.iter().find(|cut| cut.step == number);
        if let Some(cut) = cut {
            stage.player.plan(Plan::at(cut.operation, cut.how));
        }
        let played = match stage.step(number) {
            Ok(played) => played,
            Err(what) => return (stage.player, Err(Failure { number, what })),
        };
        let Some(cut) = cut else { continue };
        match (stage.player.spared(), played.interrupted) {
            (false, Some(interrupted)) => {
                tally.cuts[usize::from(cut.how % 3)] += 1;
                tally.taken += usize::from(interrupted.taken);
            }
            _ => tally.spared += 1,
        }
        if tally.total() >= ends {
            break;
        }
    }
    (stage.player, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::{Cut, sample, spelt};

    #[test]
    fn cuts_are_read_as_they_are_spelt() {
        let operations = [0, 40, 7, 0, 1];
        let cuts = sample(&operations, 5);
        assert_eq!(cuts.iter().map(|cut| cut.step).collect::<Vec<_>>(), [1, 2, 4]);
        for seed in 0..200 {
            let inside = |cut: &Cut| (1..=operations[cut.step]).contains(&u64::from(cut.operation));
            assert!(sample(&operations, seed).iter().all(inside), "{seed}");
        }
        let read: Vec<Cut> = spelt(&cuts).split(',').map(|cut| cut.parse().unwrap()).collect();
        assert_eq!(read, cuts);
        for wrong in ["", "1:2", "0:1:1", "1:0:1", "1:1:3", "a:1:1"] {
            assert!(wrong.parse::<Cut>().is_err(), "{wrong}");
        }
    }
}
