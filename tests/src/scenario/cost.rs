//! What updating costs on a board, in instructions: its clock counts them (`-icount`), so the numbers are the same each
//! time. They are no cycles.

use super::on_board::OnBoard;
use patchlane::scenario::{Cast, Scenario, Stage, Step};
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
    /// Moving, for each block of the new image: both images' copies and the marks.
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
/// The step that went otherwise, or what wasn't measured.
pub fn measure(scenario: &Scenario, cast: &Cast, player: OnBoard) -> Result<Cost, String> {
    let scenario = super::cuts::stripped(scenario);
    let mut stage = Stage::new(&scenario, cast, player);
    let mut cost = Cost::default();
    let (mut answers, mut bytes, mut blocks) = (0u64, 0, 0u64);
    for (number, step) in scenario.step.iter().enumerate() {
        // What was answered before is none of this step's.
        let _ = stage.player.cost()?;
        stage.step(number).map_err(|e| format!("step {}: {e}", number + 1))?;
        let Step::Send { release, answer, .. } = step else { continue };
        let (dearest, all) = stage.player.cost()?;
        cost.head = cost.head.max(dearest);
        let image = cast.offer(release)?.images.first().map_or(0, |(_, bytes)| u64::from(*bytes));
        if answer == "ready" {
            answers += all - dearest;
            bytes += image;
            blocks += image.div_ceil(u64::from(stage.player.board.model.erase));
        }
    }
    let said = stage.player.board.said();
    let starts = said.iter().filter_map(|line| line.strip_prefix("# bootloader: ")?.strip_suffix(" us"));
    let (mut plain, mut moving) = (0u64, 0);
    for start in starts {
        match start.split_once(" us, moved in ") {
            Some((_, moved)) => moving += moved.parse::<u64>().unwrap_or(0),
            None => plain = plain.max(start.parse().unwrap_or(0)),
        }
    }
    cost.boot = Some(plain).filter(|cost| *cost > 0).ok_or("no start was measured")?;
    cost.payload = (answers * 1024).checked_div(bytes).ok_or("nothing was sent")?;
    cost.block = moving.checked_div(blocks).filter(|cost| *cost > 0).ok_or("nothing was moved")?;
    Ok(cost)
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

/// What differs by more than so many percent, or wasn't there before, one line each.
pub fn drift(kept: &Table, now: &Table, percent: u64) -> Vec<String> {
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
        assert!(drift(&table, &table, 0).is_empty());
        let more = Table::from([(("virt".into(), "story".into()), Cost { head: 1051, ..cost })]);
        assert_eq!(drift(&table, &more, 5).len(), 1);
        assert!(drift(&table, &more, 6).is_empty());
        let less = Table::from([(("virt".into(), "story".into()), Cost { block: 37, ..cost })]);
        assert_eq!(drift(&table, &less, 5).len(), 1);
        assert_eq!(drift(&Table::new(), &table, 5).len(), 1);
        for wrong in ["virt story 1 2 3", "virt story 1 2 3 4 5", "virt story 1 x 2 3 4"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
