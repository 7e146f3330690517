//! Deadlines of CRA Art. 14(2) for an actively exploited vulnerability: an early warning within 24 hours of becoming
//! aware, a notification within 72 hours, a final report within 14 days of a corrective or mitigating measure.
//!
//! The strictest reading is counted: hours from the moment itself, days as 24 hours, holidays as any day. What
//! Regulation 1182/71 adds (the hour and the day of the event don't count; no period ends on a Sunday) is never needed.

use super::entry::Advisory;
use super::time::{DAY, HOUR, Moment};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Art. 14(2)(a).
    EarlyWarning,
    /// Art. 14(2)(b).
    Notification,
    /// Art. 14(2)(c).
    FinalReport,
}

impl Step {
    /// In words; `slug` has it as programs read it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::EarlyWarning => "early warning",
            Self::Notification => "notification",
            Self::FinalReport => "final report",
        }
    }

    /// The option of `ledger amend` that records it.
    pub const fn option(self) -> &'static str {
        match self {
            Self::EarlyWarning => "--early-warning",
            Self::Notification => "--notification",
            Self::FinalReport => "--final-report",
        }
    }

    const fn seconds(self) -> u64 {
        match self {
            Self::EarlyWarning => 24 * HOUR,
            Self::Notification => 72 * HOUR,
            Self::FinalReport => 14 * DAY,
        }
    }
}

/// A deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// What is due.
    pub step: Step,
    /// Until when.
    pub due: Moment,
    /// When it was done.
    pub done: Option<Moment>,
}

impl Deadline {
    /// True if it isn't done, and should be.
    pub fn passed(&self, now: Moment) -> bool {
        self.done.is_none() && now > self.due
    }
}

/// The deadlines that run for an advisory; `released` is when its first fix was issued.
pub fn deadlines(advisory: &Advisory, released: Option<Moment>) -> Vec<Deadline> {
    let dates = advisory.dates;
    let measure = [dates.measure, released].into_iter().flatten().min();
    let steps = [
        (Step::EarlyWarning, dates.aware, dates.early_warning),
        (Step::Notification, dates.aware, dates.notification),
        (Step::FinalReport, measure, dates.final_report),
    ];
    let running = steps.into_iter().filter(|_| advisory.exploited).filter_map(|(step, from, done)| {
        from.map(|from| Deadline { step, due: Moment(from.0.saturating_add(step.seconds())), done })
    });
    running.collect()
}
