//! One case of a sweep again: the whole line that repeats a failure, and the variable that it is chosen by.
//!
//! `PATCHLANE_CASE` names a case of one test, as its failure printed it. All others are passed over. A name that no case
//! has is a failure: a line that repeats nothing mustn't look like a defect that is gone.

use std::cell::Cell;
use std::fmt::Display;

const VARIABLE: &str = "PATCHLANE_CASE";

/// The cases of one test.
#[derive(Debug)]
pub struct Cases {
    /// The file in tests/tests, and the test's path in it.
    test: (String, String),
    asked: Option<String>,
    met: Cell<bool>,
}

/// The [`Cases`] of the test that this is called in: its name is the function's, so that the two can't differ.
#[macro_export]
macro_rules! cases {
    () => {{
        fn here() {}
        $crate::again::Cases::of(std::any::type_name_of_val(&here), std::env::var("PATCHLANE_CASE").ok())
    }};
}

/// A case that is being tried: if it ends in a panic, it says how to repeat it.
#[derive(Debug)]
pub struct Trying(String);

impl Drop for Trying {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again: {}", self.0);
        }
    }
}

impl Cases {
    /// Of the function in which `path` was declared, as [`cases!`](crate::cases) finds it; which one is asked for.
    pub fn of(path: &str, asked: Option<String>) -> Self {
        let (binary, rest) = path.split_once("::").unwrap_or((path, ""));
        let test = rest.rsplit_once("::").map_or(rest, |(test, _)| test);
        Self { test: (binary.into(), test.into()), asked, met: Cell::new(false) }
    }

    /// True if no case is singled out: only then does what is asserted of all of them hold.
    pub const fn are_all(&self) -> bool {
        self.asked.is_none()
    }

    /// The number that is asked for, if cases are numbers: it may lie beyond those that are usually tried.
    pub fn number(&self) -> Option<u64> {
        self.asked.as_ref()?.parse().ok()
    }

    /// The case that is asked for, where there are too many to go through: whoever asks here tries it.
    pub fn single(&self) -> Option<&str> {
        self.met.set(true);
        self.asked.as_deref()
    }

    /// Begins a case, unless another one is asked for. It lasts as long as what is returned.
    #[must_use]
    pub fn begin(&self, case: impl Display) -> Option<Trying> {
        let case = case.to_string();
        let wanted = self.asked.as_ref().is_none_or(|asked| *asked == case);
        self.met.set(self.met.get() || wanted);
        wanted.then(|| Trying(self.line(&case)))
    }

    /// The same for what comes before others: it is done whichever of them is asked for.
    #[must_use]
    pub fn first(&self, case: impl Display) -> Trying {
        let case = case.to_string();
        self.begin(&case).unwrap_or_else(|| Trying(self.line(&case)))
    }

    /// What repeats a case.
    pub fn line(&self, case: &str) -> String {
        let (binary, test) = &self.test;
        // As a shell takes it, whatever is in it.
        let case = case.replace('\'', r"'\''");
        format!(
            "{VARIABLE}='{case}' cargo test -p patchlane-tests --test {binary} {test} -- --exact --nocapture"
        )
    }
}

impl Drop for Cases {
    fn drop(&mut self) {
        let missed = self.asked.as_ref().filter(|_| !self.met.get() && !std::thread::panicking());
        if let Some(asked) = missed {
            panic!("{VARIABLE}: `{}` has no case `{asked}`", self.test.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cases;
    use std::panic::catch_unwind;

    const HERE: &str = "walk::inner::some_test::here";

    #[test]
    fn all_are_tried_unless_one_is_asked_for() {
        let all = Cases::of(HERE, None);
        assert!(all.are_all() && all.begin("one").is_some() && all.begin("two").is_some());
        let one = Cases::of(HERE, Some("7".into()));
        assert!(!one.are_all() && one.begin(6).is_none() && one.begin(7).is_some());
        assert_eq!(one.number(), Some(7));
    }

    #[test]
    fn the_line_repeats_the_case() {
        let cases = Cases::of(HERE, None);
        let trying = cases.begin("patch, 4/4K, ecc/12:middle/7").unwrap();
        assert_eq!(
            trying.0,
            "PATCHLANE_CASE='patch, 4/4K, ecc/12:middle/7' cargo test -p patchlane-tests --test walk \
             inner::some_test -- --exact --nocapture"
        );
        assert!(cases.line("a thief's").starts_with(r"PATCHLANE_CASE='a thief'\''s' cargo"));
        let cases = crate::cases!();
        assert!(
            cases.line("").contains(" again::tests::the_line_repeats_the_case -- "),
            "{}",
            cases.line("")
        );
        drop(cases.begin(std::env::var("PATCHLANE_CASE").unwrap_or_default()));
    }

    #[test]
    fn a_case_that_there_is_not_is_no_success() {
        let missed = catch_unwind(|| drop(Cases::of(HERE, Some("8".into())).begin("7")));
        assert!(missed.unwrap_err().downcast_ref::<String>().unwrap().contains("no case `8`"));
        // Nor does what comes before all of them count as it.
        assert!(catch_unwind(|| drop(Cases::of(HERE, Some("8".into())).first("7"))).is_err());
        assert!(catch_unwind(|| drop(Cases::of(HERE, Some("7".into())).first("7"))).is_ok());
    }
}
