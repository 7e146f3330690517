//! What a release says about itself: from options, or from the ledger, which the options have to agree with.

use super::Options;
use crate::bundle::Closes;
use crate::error::{Code, Error, Result};
use crate::ledger::Ledger;
use crate::ledger::plan::Plan;
use patchlane_protocol::version::Open;
use patchlane_protocol::{Digest, Image, Security, Size};

/// What a release says.
pub(super) struct Wanted {
    pub(super) security: Security,
    pub(super) closes: Vec<Closes>,
    /// Seconds since 1970; 0 if nobody says.
    pub(super) support_end: u64,
    pub(super) text: String,
    /// Images that are known without a file.
    pub(super) installed: Vec<Image>,
}

/// As it was typed.
fn typed(options: &Options, level: u32) -> Result<Plan> {
    let security = Open::new(&options.open).and_then(|open| Security::new(level, open)).map_err(|e| {
        Error::new(Code::Usage, format!("--open: {e}"), "list indices below --level, in order")
    })?;
    let mut closes = options.closes.clone();
    closes.sort_by_key(|c| c.index);
    Ok(Plan { security, closes })
}

/// From the ledger; what was typed beside it has to be the same.
fn planned(options: &Options, ledger: &Ledger) -> Result<Plan> {
    let named = options.closes.iter().map(|closes| closes.id.clone());
    let fixes: Vec<String> = options.fixes.iter().cloned().chain(named).collect();
    let plan = ledger.plan(options.feature()?, &fixes, options.contains)?;
    let differs = |what: String| {
        let next = "leave it out: the ledger gives it";
        Err(Error::new(Code::Disagrees, what, next))
    };
    let (level, open): (u32, Vec<u32>) = (plan.security.level(), plan.security.open().iter().collect());
    if options.level.is_some_and(|given| given != level) {
        return differs(format!("--level isn't {level}, which the ledger gives"));
    }
    if !options.open.is_empty() && options.open != open {
        return differs(format!("--open isn't {open:?}, which the ledger gives"));
    }
    if let Some(other) = options.closes.iter().find(|closes| !plan.closes.contains(closes)) {
        return differs(format!("--closes says otherwise than the ledger about {}", other.id));
    }
    Ok(plan)
}

/// The newest images of a baseline, as the ledger knows them.
fn installed(options: &Options, ledger: &Ledger) -> Result<Vec<Image>> {
    let baseline = options.feature()?;
    let newest = ledger.newest(baseline);
    let release = newest.and_then(|version| ledger.released(&version).next()).ok_or_else(|| {
        let what = format!("--not-affected: the ledger has no release of {baseline}");
        Error::new(Code::Disagrees, what, "release it first: it has no devices yet")
    })?;
    if release.entry.image.iter().any(|image| image.component != 0) {
        let what = format!("--not-affected: {} has several components", release.file);
        return Err(Error::new(Code::Disagrees, what, "build it from its images, with --no-payload"));
    }
    let image = |image: &crate::ledger::entry::Image| {
        Ok(Image { address: image.address, size: Size::new(image.bytes)?, digest: Digest(image.sha256.0) })
    };
    release.entry.image.iter().map(image).collect()
}

/// A patch without payload has something to say, or it isn't one.
fn untold(options: &Options, plan: &Plan) -> Result<String> {
    let baseline = options.feature()?;
    if plan.closes.is_empty() {
        let what = format!("there is nothing that {baseline} isn't affected by, and doesn't know yet");
        let next = format!(
            "say it first: patchlane ledger affects ID not-affected {baseline}; its index comes with the first fix"
        );
        return Err(Error::new(Code::Disagrees, what, next));
    }
    let ids: Vec<&str> = plan.closes.iter().map(|closes| &closes.id[..]).collect();
    let text = format!("{baseline} isn't affected by {}", ids.join(", "));
    // As much as a manifest takes; the list of what it closes is whole.
    Ok(text.chars().take(patchlane_protocol::limits::TEXT).collect())
}

/// Level, open list and advisories of the release.
pub(super) fn wanted(options: &Options, ledger: Option<&Ledger>) -> Result<Wanted> {
    let asks = options.not_affected || !options.fixes.is_empty() || options.contains.is_some();
    let Some(ledger) = ledger else {
        let no_ledger = |what: &str| {
            let next = "start one: patchlane ledger init; or say --level, and --closes";
            Err(Error::new(Code::Usage, what, next))
        };
        return match options.level {
            _ if asks => no_ledger("--fixes, --contains and --not-affected need a ledger, and there is none"),
            None => no_ledger("--level is missing, and there is no ledger to take it from"),
            Some(level) => typed(options, level).map(|plan| Wanted::of(plan, 0)),
        };
    };
    let line = ledger.baseline(options.feature()?);
    let support_end = line.map_or(0, |line| line.entry.support_end.ends());
    let plan = match options.level {
        // Said in full, it stands as it is, if the ledger agrees with it in the end.
        Some(level) if !asks => typed(options, level)?,
        _ => planned(options, ledger)?,
    };
    let mut wanted = Wanted::of(plan.clone(), support_end);
    if options.not_affected {
        wanted.text = untold(options, &plan)?;
        wanted.installed = installed(options, ledger)?;
    }
    Ok(wanted)
}

impl Wanted {
    fn of(plan: Plan, support_end: u64) -> Self {
        Self {
            security: plan.security,
            closes: plan.closes,
            support_end,
            text: String::new(),
            installed: Vec::new(),
        }
    }
}
