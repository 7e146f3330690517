//! What devices answer and do, as scenario files name it.

use patchlane_protocol::Refusal;
use patchlane_protocol::link::Outcome;
use patchlane_protocol::status::Activity;

/// What a device can be doing.
pub(super) const ACTIVITIES: [&str; 8] =
    ["Idle", "Receiving", "Staged", "Ready", "Trial", "Soak", "Degraded", "Service"];

const OUTCOMES: [Outcome; 5] =
    [Outcome::Done, Outcome::Ready, Outcome::Staged, Outcome::Applied, Outcome::RootCommitted];

/// What a device is doing.
pub(super) fn activity(activity: Activity) -> String {
    format!("{activity:?}")
}

/// An answer's name in scenario files.
pub fn answer(result: Result<Outcome, Refusal>) -> String {
    match result {
        Ok(Outcome::RootCommitted) => "root-committed".into(),
        Ok(outcome) => format!("{outcome:?}").to_lowercase(),
        Err(Refusal::Malformed(error)) => format!("{error:?}"),
        Err(refusal) => format!("{refusal:?}"),
    }
}

fn refusals() -> impl Iterator<Item = Refusal> {
    (0..=u8::MAX).filter_map(Refusal::from_code)
}

/// Every answer there is.
pub(super) fn all() -> Vec<String> {
    OUTCOMES.into_iter().map(Ok).chain(refusals().map(Err)).map(answer).collect()
}

/// What an answer means, if its name doesn't say it: the refusal's words.
pub(super) fn meaning(name: &str) -> Option<String> {
    refusals().find(|refusal| answer(Err(*refusal)) == name).map(|refusal| refusal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_complete() {
        let names: std::collections::BTreeSet<_> = all().into_iter().collect();
        assert_eq!(names.len(), all().len());
        assert!(names.contains("LosesFix") && names.contains("ready") && names.contains("UnexpectedEnd"));
        assert_eq!(meaning("LosesFix").as_deref(), Some("would lose a security fix"));
        assert_eq!(meaning("ready"), None);
    }
}
