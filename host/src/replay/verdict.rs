//! What the answers show.

use super::Side;
use super::answer::{Answer, Mask, Sent};
use super::recording::Input;
use std::collections::{BTreeMap, BTreeSet};

/// One input, and what both releases answered: one answer each, if every run gave the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its session.
    pub session: String,
    /// Its name.
    pub input: String,
    /// What was sent.
    pub sent: Sent,
    /// The vulnerabilities that it shows.
    pub advisories: Vec<String>,
    /// What a device without them answers.
    pub safe: Option<Answer>,
    /// What isn't compared.
    pub masks: Vec<Mask>,
    /// What the base answered, each answer once.
    pub base: Vec<Answer>,
    /// What the patch answered.
    pub patch: Vec<Answer>,
}

impl Row {
    /// An input that wasn't played yet.
    pub fn of(session: &str, input: &Input) -> Self {
        Self {
            session: session.to_owned(),
            input: input.name.clone(),
            sent: input.sent.clone(),
            advisories: input.advisories.clone(),
            safe: input.safe.as_ref().map(|safe| safe.compared(&input.masks)),
            masks: input.masks.clone(),
            base: Vec::new(),
            patch: Vec::new(),
        }
    }

    /// The same input, whatever was answered.
    #[must_use]
    pub fn unplayed(&self) -> Self {
        Self { base: Vec::new(), patch: Vec::new(), ..self.clone() }
    }

    pub(super) fn hear(&mut self, side: Side, answer: Answer) {
        let answer = answer.compared(&self.masks);
        let heard = match side {
            Side::Base => &mut self.base,
            Side::Patch => &mut self.patch,
        };
        if !heard.contains(&answer) {
            heard.push(answer);
        }
    }

    /// What a release answered.
    pub fn heard(&self, side: Side) -> &[Answer] {
        match side {
            Side::Base => &self.base,
            Side::Patch => &self.patch,
        }
    }

    /// True if both answered the same.
    pub fn is_same(&self) -> bool {
        self.base == self.patch
    }
}

/// A recording, played to one image of each release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The address that the images are linked for.
    pub address: Option<u32>,
    /// SHA-256 of the base's image.
    pub base: String,
    /// SHA-256 of the patch's image.
    pub patch: String,
    /// Every input, in order.
    pub rows: Vec<Row>,
}

/// Why the patch is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What was seen.
    pub what: String,
    /// What to do.
    pub next: &'static str,
}

/// What the answers show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why the patch is refused; none if it isn't.
    pub problems: Vec<Problem>,
    /// Worth a look.
    pub notes: Vec<String>,
    /// How many tagged inputs fail on the base and are safe on the patch, by vulnerability.
    pub shown: BTreeMap<String, u64>,
}

/// The `rows` of one image, judged.
struct Judge<'a> {
    ids: &'a [&'a str],
    shown: BTreeMap<String, u64>,
    out: &'a mut Verdict,
}

impl Judge<'_> {
    fn no(&mut self, what: String, next: &'static str) {
        self.out.problems.push(Problem { what, next });
    }

    /// Whether both answers can be judged; what is wrong with them, otherwise.
    fn is_sound(&mut self, rows: &[Row], at: usize) -> bool {
        let row = &rows[at];
        for side in Side::BOTH {
            let (heard, name) = (row.heard(side), side.name());
            let [answer] = heard else {
                let told: Vec<String> = heard.iter().map(Answer::to_string).collect();
                self.no(
                    format!("`{}` is answered by the {name} in several ways: {}", row.input, told.join(", ")),
                    "find out what the answer depends on; bytes that may differ, of a clock for example, are masked",
                );
                return false;
            };
            if *answer == Answer::Unplayed {
                // Said once for each session.
                let before = at.checked_sub(1).map(|before| &rows[before]);
                let last = before.filter(|before| before.session == row.session);
                let told = last.is_some_and(|last| {
                    last.base.contains(&Answer::Unplayed) || last.patch.contains(&Answer::Unplayed)
                });
                if !told {
                    let after = last.map_or("the session began", |last| last.input.as_str());
                    self.no(
                        format!("`{}` wasn't played to the {name}: after `{after}` there was no device", row.input),
                        "let the input that ends the device be the last of its session, and go on in another one",
                    );
                }
                return false;
            }
            if !row.masks.is_empty() && answer.is_hidden() {
                self.no(
                    format!("of what the {name} answers to `{}` masks leave nothing to compare", row.input),
                    "mask only what may differ",
                );
                return false;
            }
        }
        true
    }

    fn untagged(&mut self, row: &Row, after: Option<&str>) {
        let (Some(base), Some(patch)) = (row.base.first(), row.patch.first()) else { return };
        if base == patch {
            return;
        }
        let after = after.map_or(String::new(), |input| {
            format!(" (after `{input}` of the same session, which may have changed the device)")
        });
        self.no(
            format!(
                "`{}` is answered {base} by the base and {patch} by the patch, and no vulnerability explains it{after}",
                row.input
            ),
            "it is a change of function: take it out of the patch; an input that shows the vulnerability is tagged with it",
        );
    }

    fn tagged(&mut self, row: &Row, safe: &Answer) {
        let (Some(base), Some(patch)) = (row.base.first(), row.patch.first()) else { return };
        let tags = row.advisories.join(", ");
        if let Some(other) = row.advisories.iter().find(|id| !self.ids.contains(&id.as_str())) {
            return self.no(
                format!("`{}` is explained by {other}, which this patch doesn't close", row.input),
                "a tag names what the change record closes: correct the tag, or the record",
            );
        }
        if patch != safe {
            return self.no(
                format!("`{}` ({tags}) is answered {patch} by the patch, and {safe} is safe", row.input),
                "complete the fix; if it brings a function of its own, take that out",
            );
        }
        if base == safe {
            return self.out.notes.push(format!("`{}` is tagged {tags}, and shows no difference", row.input));
        }
        for id in &row.advisories {
            *self.shown.entry(id.clone()).or_default() += 1;
        }
    }
}

/// Judges what was played, for a patch that closes these vulnerabilities.
pub fn judge(played: &[Played], ids: &[&str]) -> Verdict {
    let mut verdict = Verdict::default();
    for one in played {
        let before = verdict.problems.len();
        let mut judge = Judge { ids, shown: BTreeMap::new(), out: &mut verdict };
        let mut after: Option<(&str, &str)> = None;
        let mut answered = false;
        for (at, row) in one.rows.iter().enumerate() {
            if !judge.is_sound(&one.rows, at) {
                continue;
            }
            match &row.safe {
                Some(safe) => judge.tagged(row, safe),
                None => {
                    let in_session = after.filter(|(session, _)| *session == row.session);
                    judge.untagged(row, in_session.map(|(_, input)| input));
                    answered |= row.base.iter().any(Answer::is_said);
                }
            }
            if row.safe.is_some() && !row.is_same() {
                after = Some((&row.session, &row.input));
            }
        }
        let missing: BTreeSet<&str> =
            ids.iter().copied().filter(|id| !judge.shown.contains_key(*id)).collect();
        for id in missing {
            judge.no(
                format!("nothing shows the exploit of {id}: no input tagged with it fails on the base and is safe on the patch"),
                "record the exploit: an input with `advisories` and `safe`",
            );
        }
        if !answered {
            judge.no(
                "no input without a tag is answered: that silence is equal shows nothing".into(),
                "see that the adapter hears the device, and record what the device answers",
            );
        }
        // Of several images each has to show it; the first one's count is told.
        let shown = std::mem::take(&mut judge.shown);
        if verdict.shown.is_empty() {
            verdict.shown = shown;
        }
        if let Some(address) = one.address.filter(|_| played.len() > 1) {
            verdict.problems[before..]
                .iter_mut()
                .for_each(|p| p.what.push_str(&format!(" (image for {address:#010x})")));
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "CVE-2027-1";

    fn of(text: &str) -> Vec<Answer> {
        text.split('|')
            .map(|line| if line == "-" { Answer::Unplayed } else { Answer::of_line(line).unwrap() })
            .collect()
    }

    fn row(input: &str, base: &str, patch: &str, safe: Option<&str>) -> Row {
        Row {
            session: "s".into(),
            input: input.into(),
            sent: Sent::Text(input.into()),
            advisories: safe.iter().map(|_| ID.to_owned()).collect(),
            safe: safe.map(|safe| Answer::of_line(safe).unwrap()),
            masks: Vec::new(),
            base: of(base),
            patch: of(patch),
        }
    }

    fn problems(rows: Vec<Row>, ids: &[&str]) -> Vec<String> {
        let played = Played { address: None, base: String::new(), patch: String::new(), rows };
        judge(&[played], ids).problems.into_iter().map(|problem| problem.what).collect()
    }

    fn sound() -> Vec<Row> {
        vec![row("read", "text 1", "text 1", None), row("over", "text secret", "text no", Some("text no"))]
    }

    #[test]
    fn the_fix_and_nothing_else_passes() {
        assert_eq!(problems(sound(), &[ID]), [""; 0]);
        let mut crash = sound();
        crash[1] = row("over", "gone signal 11", "text no", Some("text no"));
        assert_eq!(problems(crash, &[ID]), [""; 0], "a crash of the base is the exploit's symptom");
    }

    #[test]
    fn what_is_refused_is_refused_by_name() {
        let with = |more: Row| sound().into_iter().chain([more]).collect::<Vec<_>>();
        for (rows, ids, word) in [
            (
                with(row("code 16", "text no", "text ok", None)),
                &[ID][..],
                "`code 16` is answered `no` by the base and `ok` by the patch",
            ),
            (with(row("x", "silence", "text ok", None)), &[ID], "answered nothing by the base"),
            (with(row("x", "text ok", "gone", None)), &[ID], "a crash by the patch"),
            (with(row("x", "text a|text b", "text a", None)), &[ID], "by the base in several ways: `a`, `b`"),
            (with(row("x", "text a", "text a|silence", None)), &[ID], "by the patch in several ways"),
            (with(row("x", "-", "text a", None)), &[ID], "after `over` there was no device"),
            (with(row("x", "text a", "text b", Some("text c"))), &[ID], "`b` by the patch, and `c` is safe"),
            (sound(), &["CVE-2027-2"], "which this patch doesn't close"),
            (sound(), &[ID, "CVE-2027-2"], "nothing shows the exploit of CVE-2027-2"),
            (
                vec![
                    row("read", "text 1", "text 1", None),
                    row("over", "text no", "text no", Some("text no")),
                ],
                &[ID],
                "nothing shows the exploit",
            ),
            (vec![row("read", "silence", "silence", None), sound().remove(1)], &[ID], "silence is equal"),
        ] {
            let found = problems(rows, ids);
            assert!(found.iter().any(|what| what.contains(word)), "{word}: {found:?}");
        }
    }

    #[test]
    fn a_mask_that_hides_everything_shows_nothing() {
        let mut rows = sound();
        rows[0].masks = vec![Mask { at: 0, length: 9, why: "clock".into() }];
        let hidden = vec![of("text 1")[0].compared(&rows[0].masks)];
        (rows[0].base, rows[0].patch) = (hidden.clone(), hidden);
        assert!(problems(rows, &[ID])[0].contains("leave nothing to compare"));
    }
}
