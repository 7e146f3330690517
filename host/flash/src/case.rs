//! A case as a line of text.

use crate::power::{Cut, Torn, When};
use std::fmt;
use std::str::FromStr;

/// Cuts, one after the other: what is needed to repeat them exactly. Its text is `TORN/AT:WHEN,AT:WHEN/SEED`.
///
/// `AT` counts the writes and erases since the cut before, or since the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Case {
    /// How torn words read.
    pub torn: Torn,
    /// Where power fails, in order.
    pub cuts: Vec<Cut>,
    /// How words are torn.
    pub seed: u64,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.torn.name())?;
        for (number, cut) in self.cuts.iter().enumerate() {
            write!(f, "{}{}:{}", if number > 0 { "," } else { "" }, cut.at, cut.when.name())?;
        }
        write!(f, "/{}", self.seed)
    }
}

impl FromStr for Case {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let [torn, cuts, seed] = parts[..] else {
            return Err(format!("`{text}` isn't TORN/AT:WHEN,AT:WHEN/SEED"));
        };
        let named = Torn::ALL.into_iter().find(|mode| mode.name() == torn);
        let cut = |text: &str| -> Result<Cut, String> {
            let wrong = || format!("`{text}` isn't AT:WHEN");
            let (at, when) = text.split_once(':').ok_or_else(wrong)?;
            let when = When::ALL.into_iter().find(|w| w.name() == when).ok_or_else(wrong)?;
            Ok(Cut { at: at.parse().map_err(|_| wrong())?, when })
        };
        Ok(Self {
            torn: named.ok_or_else(|| format!("`{torn}` is no way in which torn words read"))?,
            cuts: cuts.split(',').filter(|_| !cuts.is_empty()).map(cut).collect::<Result<_, _>>()?,
            seed: seed.parse().map_err(|_| format!("`{seed}` is no seed"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_as_it_is_written() {
        let cuts = [Cut { at: 12, when: When::Middle }, Cut { at: 0, when: When::After }];
        let case = Case { torn: Torn::PerRead, cuts: cuts.to_vec(), seed: 77 };
        assert_eq!(case.to_string(), "per-read/12:middle,0:after/77");
        assert_eq!(case.to_string().parse(), Ok(case));
        let uncut = Case { torn: Torn::Stable, cuts: Vec::new(), seed: 1 };
        assert_eq!(uncut.to_string().parse(), Ok(uncut));
    }

    #[test]
    fn what_is_no_case_is_an_error() {
        for text in
            ["", "stable", "stable/,/1", "stable/1:now/1", "odd/1:last/1", "ecc/x:last/1", "ecc/1:last/y"]
        {
            assert!(text.parse::<Case>().is_err(), "{text}");
        }
    }
}
