//! The map as a picture.

use super::{address, board, bytes, chips, device_layout, runs, sectors};
use crate::config::{Flash, Stretch};
use std::fmt::Write as _;

/// Characters between the walls.
const WIDTH: usize = 66;
/// Lines of the largest stretch; the others are in proportion.
const TALLEST: u64 = 5;

/// A map as a picture. `notes` are lines in a stretch, by its name.
pub fn draw(flash: &Flash, notes: &[(&'static str, String)]) -> String {
    let pictures: Vec<String> =
        chips(flash).iter().map(|(chip, parts)| chip_of(flash, *chip, parts, notes)).collect();
    pictures.join("\n")
}

fn title(flash: &Flash, chip: Option<&str>) -> String {
    match (chip, board(flash)) {
        (Some(chip), _) => format!("chip `{chip}`"),
        (None, Some(board)) => format!("{}: {}, {}", board.name, board.title, bytes(board.size())),
        (None, None) => "flash".to_owned(),
    }
}

fn chip_of(
    flash: &Flash,
    chip: Option<&str>,
    parts: &[(&'static str, &Stretch)],
    notes: &[(&'static str, String)],
) -> String {
    let base = address(flash).filter(|_| chip.is_none());
    let border = |at: u64| match base {
        Some(base) => format!("{:#010x}", u64::from(base) + at),
        None => format!("+{at:#09x}"),
    };
    let mut text = format!("{}\n", title(flash, chip));
    let largest = flash.stretches().iter().map(|(_, s)| u64::from(s.size)).max().unwrap_or(1).max(1);
    let mut at = 0;
    let mut first = true;
    let mut block = |at: u64, lines: &[String], rows: u64| {
        let (left, right) = if first { ('┌', '┐') } else { ('├', '┤') };
        first = false;
        let _ = writeln!(text, "  {} {left}{}{right}", border(at), "─".repeat(WIDTH));
        for row in 0..rows.max(lines.len() as u64) {
            let line = usize::try_from(row).ok().and_then(|row| lines.get(row)).map_or("", String::as_str);
            let _ = writeln!(text, "  {:10} │ {line:<width$} │", "", width = WIDTH - 2);
        }
    };
    let head = |name: &str, size: u64, what: &str| format!("{name:<10}{:>12}   {what}", bytes(size));
    for (name, stretch) in parts {
        let from = u64::from(stretch.offset);
        if from > at {
            block(at, &[head("free", from - at, "")], 1);
        }
        let mut lines = vec![head(name, u64::from(stretch.size), &runs(&sectors(flash, stretch)))];
        lines.extend(about(flash, name));
        lines.extend(notes.iter().filter(|(whose, _)| whose == name).map(|(_, note)| indent(note)));
        block(from, &lines, (u64::from(stretch.size) * TALLEST).div_ceil(largest));
        at = at.max(stretch.end());
    }
    let end = board(flash).filter(|_| chip.is_none()).map_or(at, |board| board.size().max(at));
    if end > at {
        block(at, &[head("free", end - at, "")], 1);
    }
    let _ = writeln!(text, "  {} └{}┘", border(end), "─".repeat(WIDTH));
    text
}

fn indent(text: &str) -> String {
    format!("{:25}{text}", "")
}

/// What a stretch is for, as far as it isn't plain.
fn about(flash: &Flash, name: &str) -> Option<String> {
    let text = match name {
        "state" => format!("{} log areas, 5 receipts", device_layout(flash).ok()?.areas()),
        "primary" | "secondary" if flash.direct_xip => {
            let [first, second] = flash.direct_addresses()?;
            let address = if name == "primary" { first } else { second };
            format!("runs in turn; linked for {address:#010x}")
        }
        "primary" => match flash.primary_address() {
            Some(address) => format!("runs; linked for {address:#010x}"),
            None => "runs".to_owned(),
        },
        "secondary" => "what was received, or ran before".to_owned(),
        _ => return None,
    };
    Some(indent(&text))
}

/// How full a place is: a bar, and percent.
pub fn bar(used: u64, room: u64) -> String {
    const CELLS: u64 = 16;
    let full = (used * CELLS).div_ceil(room.max(1)).min(CELLS);
    let cells = |mark: &str, n: u64| mark.repeat(usize::try_from(n).unwrap_or(0));
    format!("{}{} {:>3} %", cells("█", full), cells("░", CELLS - full), used * 100 / room.max(1))
}
