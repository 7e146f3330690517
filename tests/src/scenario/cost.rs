//! What updating costs on a board, in instructions: its clock counts them (`-icount`), so the numbers are the same each
//! time. They are no cycles.

use super::on_board::OnBoard;
use patchlane::scenario::{Cast, Failure, Scenario, Stage, Step};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Thousands of instructions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// The dearest answer: a head is complete; it is verified, judged, and recorded.
    pub head: u64,
    /// All other answers of the transfers that were taken, for each KiB of payload: digests, flash, read-back.
    pub payload: u64,
    /// A start that moves nothing: the record, receipt and image of what runs.
    pub boot: u64,
    /// Moving, for each block of the image, in or back: both images' copies and the marks.
    pub block: u64,
}

impl Cost {
    const NAMES: [&str; 4] = ["head", "payload KiB", "boot", "block moved"];

    const fn numbers(&self) -> [u64; 4] {
        [self.head, self.payload, self.boot, self.block]
    }
}

/// Plays a scenario on a board that counts, without cuts, and measures. It has to have a release that goes in.
///
/// # Errors
/// The step that went otherwise, or the last one if something wasn't measured.
pub fn measure(scenario: &Scenario, cast: &Cast, player: OnBoard) -> (OnBoard, Result<Cost, Failure>) {
    let scenario = super::cuts::stripped(scenario);
    let mut stage = Stage::new(&scenario, cast, player);
    let mut sum = Sum::default();
    for number in 0..scenario.step.len() {
        if let Err(what) = sum.step(&mut stage, &scenario.step[number], cast, number) {
            return (stage.player, Err(Failure { number, what }));
        }
    }
    let said = stage.player.board.said();
    let last = scenario.step.len().saturating_sub(1);
    let cost = sum.cost(&said).map_err(|what| Failure { number: last, what: what.into() });
    (stage.player, cost)
}

/// What is measured on the way.
#[derive(Debug, Default)]
struct Sum {
    head: u64,
    answers: u64,
    bytes: u64,
    sends: u64,
    blocks: u64,
}

impl Sum {
    fn step(
        &mut self,
        stage: &mut Stage<'_, OnBoard>,
        step: &Step,
        cast: &Cast,
        number: usize,
    ) -> Result<(), String> {
        // What was answered before is none of this step's.
        let _ = stage.player.cost()?;
        stage.step(number)?;
        let Step::Send { release, answer, .. } = step else { return Ok(()) };
        let (dearest, all) = stage.player.cost()?;
        self.head = self.head.max(dearest);
        let image = cast.offer(release)?.images.first().map_or(0, |(_, bytes)| u64::from(*bytes));
        if answer == "ready" {
            self.answers += all - dearest;
            self.bytes += image;
            self.sends += 1;
            self.blocks += image.div_ceil(u64::from(stage.player.board.model.erase));
        }
        Ok(())
    }

    /// With what the bootloader said of its starts.
    fn cost(&self, said: &[String]) -> Result<Cost, &'static str> {
        let starts = said.iter().filter_map(|line| line.strip_prefix("# bootloader: ")?.strip_suffix(" us"));
        let (mut plain, mut moving, mut moves) = (0u64, 0u64, 0);
        for start in starts {
            match start.split_once(" us, moved in ") {
                Some((_, moved)) => {
                    moving += moved.parse::<u64>().unwrap_or(0);
                    moves += 1;
                }
                None => plain = plain.max(start.parse().unwrap_or(0)),
            }
        }
        let boot = Some(plain).filter(|cost| *cost > 0).ok_or("no start was measured")?;
        let payload = (self.answers * 1024).checked_div(self.bytes).ok_or("nothing was sent")?;
        // What hangs is moved back, too: there may be more moves than releases that went in.
        let block = (moving * self.sends)
            .checked_div(self.blocks * moves)
            .filter(|cost| *cost > 0)
            .ok_or("nothing was moved")?;
        Ok(Cost { head: self.head, payload, boot, block })
    }
}

/// Costs by board and scenario.
pub type Table = BTreeMap<(String, String), Cost>;

/// The table, as it is printed and kept.
pub fn written(table: &Table) -> String {
    let mut text = format!("{:12} {:10}", "# board", "scenario");
    for name in Cost::NAMES {
        let _ = write!(text, " {name:>12}");
    }
    for ((board, scenario), cost) in table {
        let _ = write!(text, "\n{board:12} {scenario:10}");
        for number in cost.numbers() {
            let _ = write!(text, " {number:>12}");
        }
    }
    text + "\n"
}

/// Reads a kept table.
///
/// # Errors
/// The line that isn't one.
pub fn read(text: &str) -> Result<Table, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let wrong = || format!("no line of costs: `{line}`");
            let numbers: Result<Vec<u64>, _> = fields.iter().skip(2).map(|n| n.parse()).collect();
            let numbers = numbers.map_err(|_| wrong())?;
            let ([board, scenario, ..], [head, payload, boot, block]) = (&fields[..], &numbers[..]) else {
                return Err(wrong());
            };
            let cost = Cost { head: *head, payload: *payload, boot: *boot, block: *block };
            Ok((((*board).to_owned(), (*scenario).to_owned()), cost))
        })
        .collect()
}

/// What differs by more than so many percent, wasn't there before, or was and isn't measured any more although it was
/// asked for; one line each.
pub fn drift(kept: &Table, now: &Table, percent: u64, asked: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    for ((board, scenario), cost) in now {
        let Some(before) = kept.get(&(board.clone(), scenario.clone())) else {
            lines.push(format!("{board} {scenario} isn't in the file"));
            continue;
        };
        for ((name, now), before) in Cost::NAMES.iter().zip(cost.numbers()).zip(before.numbers()) {
            if now.abs_diff(before) * 100 > before * percent {
                lines.push(format!("{board} {scenario}: {name} took {before}, and takes {now}"));
            }
        }
    }
    let gone = kept.keys().filter(|key| asked(&key.0, &key.1) && !now.contains_key(*key));
    lines.extend(
        gone.map(|(board, scenario)| format!("{board} {scenario} is in the file, and isn't measured")),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::{Cost, Table, drift, read, written};

    #[test]
    fn what_is_written_is_read_and_drift_is_seen() {
        let cost = Cost { head: 1000, payload: 100, boot: 500, block: 40 };
        let table = Table::from([(("virt".into(), "story".into()), cost)]);
        assert_eq!(read(&written(&table)).unwrap(), table);
        let all = |_: &str, _: &str| true;
        assert!(drift(&table, &table, 0, all).is_empty());
        let more = Table::from([(("virt".into(), "story".into()), Cost { head: 1051, ..cost })]);
        assert_eq!(drift(&table, &more, 5, all).len(), 1);
        assert!(drift(&table, &more, 6, all).is_empty());
        let less = Table::from([(("virt".into(), "story".into()), Cost { block: 37, ..cost })]);
        assert_eq!(drift(&table, &less, 5, all).len(), 1);
        assert_eq!(drift(&Table::new(), &table, 5, all).len(), 1);
        assert_eq!(drift(&table, &Table::new(), 5, all), ["virt story is in the file, and isn't measured"]);
        assert!(drift(&table, &Table::new(), 5, |board, _| board == "microbit").is_empty());
        for wrong in ["virt story 1 2 3", "virt story 1 2 3 4 5", "virt story 1 x 2 3 4"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
