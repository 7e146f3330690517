//! What skips led to, in numbers, and which of them are known to let something in.

use super::program::{Lines, Program};
use super::search::{Searched, Skip, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How often what happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// As without a skip.
    pub same: usize,
    /// Otherwise, and no harm.
    pub other: usize,
    /// Reset, hang, lockup.
    pub stops: usize,
    /// Something bad got in.
    pub bad: usize,
}

impl Tally {
    /// Counts a verdict.
    pub fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Same => self.same += 1,
            Verdict::Other => self.other += 1,
            Verdict::Stops => self.stops += 1,
            Verdict::Bad(_) => self.bad += 1,
        }
    }

    /// Of these skips.
    pub fn of<'a>(skips: impl IntoIterator<Item = &'a Skip>) -> Self {
        let mut tally = Self::default();
        skips.into_iter().for_each(|skip| tally.count(&skip.verdict));
        tally
    }

    /// All skips.
    pub const fn total(&self) -> usize {
        self.same + self.other + self.stops + self.bad
    }

    fn row(&self, name: &str) -> String {
        let Self { same, other, stops, bad } = self;
        format!("{name:<46} {:>7} {same:>8} {other:>7} {stops:>7} {bad:>5}\n", self.total())
    }
}

/// The table's head.
pub fn head() -> String {
    format!("{:<46} {:>7} {:>8} {:>7} {:>7} {:>5}\n", "", "skips", "refused", "other", "stops", "BAD")
}

/// A case's row, and its functions' if all are wanted.
pub fn rows(program: &Program, name: &str, searched: &Searched, functions: bool) -> String {
    let title = format!("{name}: {} of {} instructions differ", searched.different, searched.ran);
    let mut text = Tally::of(&searched.skips).row(&title);
    let mut by: BTreeMap<&str, Tally> = BTreeMap::new();
    for skip in searched.skips.iter().filter(|_| functions) {
        let name = program.function(skip.at).map_or("?", |function| &function.name);
        by.entry(name).or_default().count(&skip.verdict);
    }
    for (name, tally) in by {
        text += &tally.row(&format!("  {:.44}", short(name)));
    }
    text
}

/// How many skips weren't tried because they are out of reach, and of which functions.
pub fn unreached(program: &Program, lines: &Lines, name: &str, searched: &Searched) -> String {
    let Searched { out_of_reach, chosen, .. } = searched;
    let mut by: BTreeMap<String, usize> = BTreeMap::new();
    for at in out_of_reach {
        let linked = || program.function(*at).map_or_else(String::new, |function| function.name.clone());
        *by.entry(short(&lines.of(*at).map_or_else(linked, |(name, _)| name))).or_default() += 1;
    }
    let by: Vec<_> = by.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let all = out_of_reach.len() + chosen;
    format!(
        "{name}: {} of {all} out of reach{}{}\n",
        out_of_reach.len(),
        if by.is_empty() { "" } else { ": " },
        by.join(", ")
    )
}

/// Without the path of the crate that everything is in.
fn short(name: &str) -> String {
    name.replace("patchlane_device::", "").replace("patchlane_protocol::", "protocol::")
}

/// Where a skip is, in words.
pub fn place(program: &Program, lines: &Lines, at: u32) -> String {
    let (name, line) = lines.of(at).unwrap_or_default();
    format!("{} {} ({line})", short(&program.offset(at)), short(&name))
}

/// Bad skips by the function that they come from in the source: code moves, names stay.
pub fn bad(program: &Program, lines: &Lines, searched: &Searched) -> BTreeMap<String, Vec<Skip>> {
    let mut by: BTreeMap<String, Vec<Skip>> = BTreeMap::new();
    for skip in &searched.skips {
        if let Verdict::Bad(_) = skip.verdict {
            let linked =
                || program.function(skip.at).map_or_else(String::new, |function| function.name.clone());
            let name = lines.of(skip.at).map_or_else(linked, |(name, _)| name);
            by.entry(short(&name).replace(' ', "")).or_default().push(skip.clone());
        }
    }
    by
}

/// What stands in the place of a function in the committed list, for how many skips may be out of reach.
const OUT_OF_REACH: &str = "out-of-reach";

/// The committed list: board, case and function, and how many bad skips they may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known(BTreeMap<(String, String, String), usize>);

impl Known {
    /// Reads it.
    ///
    /// # Errors
    /// The line that isn't understood, or gives no reason.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut known = BTreeMap::new();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let mut word = || words.next().map(str::to_owned).ok_or_else(|| format!("skips.txt: `{line}`"));
            let key = (word()?, word()?, word()?);
            let count = word()?.parse().map_err(|_| format!("skips.txt: `{line}`: how many?"))?;
            word().map_err(|_| format!("skips.txt: `{line}`: no reason"))?;
            if known.insert(key, count).is_some() {
                return Err(format!("skips.txt: `{line}` twice"));
            }
        }
        Ok(Self(known))
    }

    /// What to say if more skips are out of reach than the list tells: a tool that tries less and less finds less and less.
    pub fn reaches(&self, board: &str, case: &str, out_of_reach: usize) -> Option<String> {
        let key = (board.into(), case.into(), OUT_OF_REACH.into());
        let may = self.0.get(&key).copied().unwrap_or(0);
        (out_of_reach > may).then(|| {
            format!("{board} {case} {OUT_OF_REACH}: {out_of_reach} skips aren't tried, {may} are listed")
        })
    }

    /// What differs from what was found: more is worse, and less is a list that isn't true, if all was tried.
    pub fn differs(
        &self,
        board: &str,
        case: &str,
        found: &BTreeMap<String, Vec<Skip>>,
        all: bool,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, skips) in found {
            let may = self.0.get(&(board.into(), case.into(), name.clone())).copied().unwrap_or(0);
            if skips.len() > may {
                lines
                    .push(format!("{board} {case} {name}: {} skips let it in, {may} are known", skips.len()));
            }
        }
        for ((of, on, name), count) in &self.0 {
            let there = found.get(name).map_or(0, Vec::len);
            if all && of == board && on == case && there < *count && name != OUT_OF_REACH {
                lines.push(format!("{board} {case} {name}: {there} skips let it in, {count} are listed"));
            }
        }
        lines
    }
}

/// What was bad, with what shows it again, and as the list has it.
pub fn told(
    target: (&str, &str),
    found: &BTreeMap<String, Vec<Skip>>,
    place: &dyn Fn(u32) -> String,
) -> String {
    let (board, case) = target;
    let mut text = String::new();
    for (name, skips) in found {
        let _ = writeln!(text, "{board} {case} {name} {}", skips.len());
        for skip in skips {
            let Verdict::Bad(what) = &skip.verdict else { continue };
            let _ = writeln!(text, "    {}: {what}", place(skip.at));
            let _ = writeln!(
                text,
                "      again: cargo xtask skips --board {board} --replay {case}@{:#x}:{}",
                skip.at, skip.place
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Known;
    use std::collections::BTreeMap;

    #[test]
    fn a_list_tells_how_many_may_be_out_of_reach() {
        let known = Known::read("# why\nmicrobit unsigned out-of-reach 3 a loop\n").unwrap();
        assert_eq!(known.reaches("microbit", "unsigned", 3), None);
        assert_eq!(known.reaches("microbit", "altered", 0), None);
        for (case, count) in [("unsigned", 4), ("altered", 1)] {
            let said = known.reaches("microbit", case, count).unwrap();
            assert!(said.contains(&format!("{count} skips aren't tried")), "{said}");
        }
        // It is no list of what lets something in.
        assert!(known.differs("microbit", "unsigned", &BTreeMap::new(), true).is_empty());
        assert!(Known::read("microbit unsigned out-of-reach 3").is_err());
    }
}
