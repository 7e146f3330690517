//! What `ledger check` finds: a rule each, with a stable name.

use super::art14::deadlines;
use super::entry::{Advisory, Image, Line, Name, Release, Statement};
use super::matrix::Cell;
use super::time::Moment;
use super::{Entry, Filed, Ledger, seal};
use patchlane_protocol::Version;
use std::collections::{BTreeMap, BTreeSet};

macro_rules! rules {
    ($($name:ident = $text:literal, $meaning:literal;)+) => {
        /// Stable names of findings; `--json` prints them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule { $(#[doc = $meaning] $name),+ }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
            /// Its stable name.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $text),+ } }
            /// What it finds.
            pub const fn meaning(self) -> &'static str { match self { $(Self::$name => $meaning),+ } }
        }
    };
}

rules! {
    Lags = "baseline-lags", "A supported baseline's newest release doesn't handle an advisory that is fixed elsewhere.";
    OnlyWithFeatures = "fix-only-with-features",
        "A supported baseline is affected, the fix comes only with features, and no release gives a reason.";
    NoFullImage = "no-full-image",
        "No bundle of a supported baseline's newest release carries an image in full, for one of its hardware revisions.";
    TwoImages = "two-images", "Two bundles claim one version on one hardware, with different images.";
    NotAChain = "releases-not-a-chain", "Of two releases of a baseline each handles what the other doesn't.";
    IndexGap = "index-gap", "An index was left out.";
    IndexTwice = "index-twice", "Two advisories have one index.";
    IdTwice = "id-twice", "Two advisories have one id.";
    UnknownIndex = "unknown-index", "A release's level is above every index that was minted.";
    UnknownBaseline = "unknown-baseline", "A release or a statement is about a baseline that isn't there.";
    DeadlinePassed = "deadline-passed", "A deadline of CRA Art. 14(2) has passed.";
    NoAwareness = "no-awareness-date", "An exploited advisory doesn't say since when that is known.";
    Development = "development-release", "A release was signed under a development root.";
    ClosedButOwed = "closed-but-owed", "A closed advisory isn't settled on every supported baseline.";
    WaiverExpired = "waiver-expired", "A waiver of a supported baseline's newest release has expired.";
    EvidenceOwed = "evidence-owed", "Evidence that an emergency left out of a supported baseline's release is overdue.";
    UnknownRelease = "unknown-release", "A settlement is about a release that isn't there.";
    HistoryEdited = "history-edited", "An entry was changed after it was sealed, in what may not change.";
    HistoryDeleted = "history-deleted", "An entry that was sealed is gone.";
    SealBroken = "seal-broken", "A seal was edited, or one is missing from the chain.";
    SealFork = "seal-fork", "Two seals follow one: two branches released, and were merged.";
    SealLost = "seal-lost", "The seal named by --head isn't in the chain.";
    Unsealed = "release-unsealed", "A release, or an index, is in no seal.";
}

/// Something that isn't as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// Where: a file of the ledger, or a baseline.
    pub place: String,
    /// What.
    pub what: String,
    /// What to do next.
    pub next: String,
}

impl Finding {
    /// A finding.
    pub fn new(rule: Rule, place: impl ToString, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { rule, place: place.to_string(), what: what.into(), next: next.into() }
    }
}

/// How to check.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// As of when.
    pub now: Moment,
    /// Releases under a development root are none.
    pub development: bool,
}

impl Ledger {
    /// Everything that isn't as it should be, in the order of the rules.
    pub fn check(&self, check: &Check) -> Vec<Finding> {
        let mut found = seal::findings(self);
        self.supported(check, &mut found);
        self.images(&mut found);
        self.chains(&mut found);
        self.indices(&mut found);
        self.ids(&mut found);
        self.strangers(&mut found);
        for filed in &self.advisories {
            self.times(filed, check, &mut found);
        }
        self.overdue(check, &mut found);
        if !check.development {
            for filed in self.releases.iter().filter(|filed| filed.entry.development) {
                let next = "sign and release it under the production root; on the bench, say --development";
                let what = "was signed under a development root: production devices refuse it";
                found.push(Finding::new(Rule::Development, &filed.file, what, next));
            }
        }
        found.sort_by(|a, b| (a.rule, &a.place, &a.what).cmp(&(b.rule, &b.place, &b.what)));
        found
    }

    /// The baselines that are supported, and have been released at all.
    fn in_the_field<'a>(&'a self, check: &Check) -> impl Iterator<Item = (&'a Line, Version)> {
        let day = check.now.day();
        let lines = self.baselines.iter().map(|filed| &filed.entry);
        lines
            .filter(move |line| line.supported(day))
            .filter_map(|line| self.newest(line.baseline.0).map(|version| (line, version)))
    }

    fn supported(&self, check: &Check, found: &mut Vec<Finding>) {
        for (line, newest) in self.in_the_field(check) {
            let baseline = line.baseline.0;
            for advisory in self.advisories.iter().map(|filed| &filed.entry) {
                found.extend(self.owed(advisory, line, &newest));
            }
            let released: Vec<_> = self.released(&newest).collect();
            let of =
                |hardware: u16| released.iter().filter(move |filed| filed.entry.hardware.contains(&hardware));
            let all = self.of_baseline(baseline).flat_map(|filed| filed.entry.hardware.iter().copied());
            let (here, gone): (Vec<u16>, Vec<u16>) =
                all.collect::<BTreeSet<_>>().into_iter().partition(|hardware| of(*hardware).next().is_some());
            for hardware in gone {
                let what = format!(
                    "{newest} isn't released for hardware {hardware}, which earlier releases are for"
                );
                let next =
                    "build and release it for that hardware, too: [product] hardware in patchlane.toml";
                found.push(Finding::new(Rule::Lags, baseline, what, next));
            }
            let bare = here.iter().find(|hardware| !of(**hardware).any(|filed| filed.entry.full));
            if let Some(hardware) = bare {
                let only = if here.len() > 1 { format!(" for hardware {hardware}") } else { String::new() };
                let what = format!("{newest} is released without an image in full{only}");
                let next = format!(
                    "build and release one, of the same image: patchlane build security --baseline {baseline} --image FIRMWARE"
                );
                found.push(Finding::new(Rule::NoFullImage, baseline, what, next));
            }
            for filed in released {
                let expired = |until| check.now.day() > until;
                for waiver in filed.entry.waiver.iter().filter(|waiver| expired(waiver.until)) {
                    let what = format!("waives {} until {}: {}", waiver.check, waiver.until, waiver.because);
                    let next = "mend what was waived, and release that";
                    found.push(Finding::new(Rule::WaiverExpired, &filed.file, what, next));
                }
            }
        }
    }

    /// What a supported baseline is owed of one advisory.
    fn owed(&self, advisory: &Advisory, line: &Line, newest: &Version) -> Option<Finding> {
        let (baseline, id) = (line.baseline.0, &advisory.id);
        let index = advisory.index.filter(|index| !newest.security.handles(*index))?;
        let at = |rule, what: String, next: String| Some(Finding::new(rule, baseline, what, next));
        match self.cell(advisory, baseline, &[]) {
            Cell::Combined => None,
            Cell::Untold => at(
                Rule::Lags,
                format!("is at {newest}, and its devices don't know yet that {id} ({index}) isn't theirs"),
                format!("patchlane build security --baseline {baseline} --not-affected"),
            ),
            Cell::Unknown => at(
                Rule::Lags,
                format!("is at {newest}, and nobody has said whether {id} ({index}) affects it"),
                format!("patchlane ledger affects {id} affected|not-affected {baseline}"),
            ),
            _ if self.only_with_features(advisory) => at(
                Rule::OnlyWithFeatures,
                format!("is at {newest}, and {id} ({index}) is fixed only by feature updates"),
                format!(
                    "patchlane build security --baseline {baseline} --fixes {id} --image FIRMWARE; \
                     or release the feature update with --combined and a reason"
                ),
            ),
            _ => at(
                Rule::Lags,
                format!("is at {newest}, and is owed the fix of {id} ({index})"),
                format!("patchlane build security --baseline {baseline} --fixes {id} --image FIRMWARE"),
            ),
        }
    }

    /// One version, one set of images, on any hardware.
    fn images(&self, found: &mut Vec<Finding>) {
        let mut seen: BTreeMap<(String, u16), &Filed<Release>> = BTreeMap::new();
        for filed in &self.releases {
            let Some(version) = filed.entry.version() else { continue };
            for hardware in &filed.entry.hardware {
                let first = *seen.entry((version.to_string(), *hardware)).or_insert(filed);
                if images(&first.entry) != images(&filed.entry) {
                    let what = format!("claims {version} with another image than {}", first.file);
                    let next = "devices take neither for the other: recall one, and release its image under a new level";
                    found.push(Finding::new(Rule::TwoImages, &filed.file, what, next));
                    break;
                }
            }
        }
    }

    fn chains(&self, found: &mut Vec<Finding>) {
        for (position, filed) in self.releases.iter().enumerate() {
            let Some(version) = filed.entry.version() else { continue };
            let beside = self.releases.iter().take(position).find(|other| {
                let other = other.entry.version().filter(|other| other.feature == version.feature);
                other.is_some_and(|other| other.security.partial_cmp(&version.security).is_none())
            });
            if let Some(beside) = beside {
                let what = format!("handles something that {} doesn't, and the other way round", beside.file);
                let next = format!(
                    "release one that handles both: patchlane build security --baseline {} --fixes ...",
                    version.feature
                );
                // What handles both puts it right: devices of either take it.
                let mended = self.of_baseline(version.feature).filter_map(|other| other.entry.version());
                let both = |other: &Version| {
                    let loses = |filed: &Filed<Release>| {
                        filed
                            .entry
                            .version()
                            .is_none_or(|version| !other.security.loses_nothing_of(&version.security))
                    };
                    !loses(filed) && !loses(beside)
                };
                if !mended.into_iter().any(|other| both(&other)) {
                    found.push(Finding::new(Rule::NotAChain, &filed.file, what, next));
                }
            }
        }
    }

    fn indices(&self, found: &mut Vec<Finding>) {
        let mut by_index: BTreeMap<u32, &Filed<Advisory>> = BTreeMap::new();
        for filed in &self.advisories {
            let Some(index) = filed.entry.index else { continue };
            if let Some(first) = by_index.get(&index) {
                let what = format!("has index {index}, as {} has", first.entry.id);
                let next = "two branches released: keep the one that was published first; take the index out of the \
                            other one and its release and seal away, then build it again";
                found.push(Finding::new(Rule::IndexTwice, &filed.file, what, next));
            }
            by_index.entry(index).or_insert(filed);
        }
        let first = self.head.entry.before.saturating_add(1);
        let gaps: Vec<u32> = (first..=self.minted()).filter(|index| !by_index.contains_key(index)).collect();
        if let (Some(first), Some(last)) = (gaps.first(), gaps.last()) {
            let what = format!("{} of the indices {first} to {last} are no advisory's", gaps.len());
            let next = "take the missing advisories from version control: indices are minted one by one";
            found.push(Finding::new(Rule::IndexGap, "advisories", what, next));
        }
    }

    fn ids(&self, found: &mut Vec<Finding>) {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for filed in &self.advisories {
            let ids = std::iter::once(&filed.entry.id).chain(&filed.entry.aliases);
            let own: BTreeSet<String> = ids.map(|id| id.to_ascii_lowercase()).collect();
            for id in own {
                if let Some(other) = seen.get(&id) {
                    let what = format!("has the id {id}, as {other} has");
                    let next = "make one advisory of both, before either gets an index";
                    found.push(Finding::new(Rule::IdTwice, &filed.file, what, next));
                }
                seen.entry(id).or_insert(&filed.entry.id);
            }
        }
    }

    /// Releases and statements about what isn't there.
    fn strangers(&self, found: &mut Vec<Finding>) {
        let unknown = |name: &Name| self.baseline(name.0).is_none();
        let add = |name: &Name| format!("patchlane ledger baseline add {}; or correct the entry", name.0);
        for filed in &self.releases {
            let (name, level) = (filed.entry.baseline, filed.entry.level);
            if unknown(&name) {
                let what = format!("is a release of {}, and there is no such baseline", name.0);
                found.push(Finding::new(Rule::UnknownBaseline, &filed.file, what, add(&name)));
            }
            if level > self.minted() {
                let what = format!("is at level {level}, and {} indices were minted", self.minted());
                let next = "take the missing advisories from version control, or `before` in ledger.toml";
                found.push(Finding::new(Rule::UnknownIndex, &filed.file, what, next));
            }
        }
        for filed in &self.settlements {
            let is = |release: &&Filed<Release>| release.entry.stem(&release.sha256) == filed.entry.release;
            if !self.releases.iter().any(|release| is(&release)) {
                let what = format!("settles what {} owes, and there is no such release", filed.entry.release);
                let next = "take the release's entry from version control; or take this one away";
                found.push(Finding::new(Rule::UnknownRelease, &filed.file, what, next));
            }
        }
        for filed in &self.advisories {
            for name in filed.entry.affects.keys().filter(|name| unknown(name)) {
                let what = format!("speaks of {}, and there is no such baseline", name.0);
                found.push(Finding::new(Rule::UnknownBaseline, &filed.file, what, add(name)));
            }
        }
    }

    /// Evidence that is overdue. Devices of a supported baseline run its releases, also those that aren't its newest.
    fn overdue(&self, check: &Check, found: &mut Vec<Finding>) {
        let day = check.now.day();
        let supported = |name: &Name| self.baseline(name.0).is_some_and(|line| line.entry.supported(day));
        for filed in self.releases.iter().filter(|filed| supported(&filed.entry.baseline)) {
            for owed in self.debts(filed).filter(|owed| day > owed.due) {
                let what =
                    format!("owes the evidence of check {} since {}: {}", owed.check, owed.due, owed.because);
                let next = format!(
                    "patchlane lint -o later.json on its change record; then: patchlane ledger settle {} --evidence later.json",
                    filed.entry.bundle
                );
                found.push(Finding::new(Rule::EvidenceOwed, &filed.file, what, next));
            }
        }
    }

    fn times(&self, filed: &Filed<Advisory>, check: &Check, found: &mut Vec<Finding>) {
        let advisory = &filed.entry;
        let mut at =
            |rule, what: String, next: String| found.push(Finding::new(rule, &filed.file, what, next));
        if advisory.exploited && advisory.dates.aware.is_none() {
            let next = format!("patchlane ledger amend {} --aware 2027-01-14T16:30Z", advisory.id);
            at(Rule::NoAwareness, "is exploited, and doesn't say since when you know".into(), next);
        }
        for deadline in deadlines(advisory, self.first_fix(advisory)) {
            if deadline.passed(check.now) {
                let what = format!("the {} was due {}", deadline.step.words(), deadline.due);
                let option = deadline.step.option();
                let next = format!("send it; then: patchlane ledger amend {} {option} MOMENT", advisory.id);
                at(Rule::DeadlinePassed, what, next);
            }
        }
        let Some(day) = advisory.closed else { return };
        let unsettled = |(line, _): &(&Line, Version)| !self.cell(advisory, line.baseline.0, &[]).settled();
        // A baseline that was added later has nothing to do with it, unless somebody says so.
        let concerned = |(line, _): &(&Line, Version)| {
            matches!(advisory.affects.get(&line.baseline), Some(Statement::Affected))
                || advisory.index.is_some()
        };
        if let Some((line, _)) = self.in_the_field(check).filter(concerned).find(unsettled) {
            let what = format!("was closed on {day}, and {} is owed its fix", line.baseline.0);
            let next = format!(
                "release it: patchlane build security --baseline {} --fixes {}",
                line.baseline.0, advisory.id
            );
            at(Rule::ClosedButOwed, what, next);
        }
    }
}

/// In one order, whatever the file's.
fn images(release: &Release) -> Vec<&Image> {
    let mut all: Vec<&Image> = release.image.iter().collect();
    all.sort();
    all
}
