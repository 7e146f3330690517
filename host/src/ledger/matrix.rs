//! Baselines × advisories: what each baseline has, and what it is owed.

use super::Ledger;
use super::entry::{Advisory, Lane, Release, Statement};
use super::time::Moment;
use patchlane_protocol::{Baseline, Version};

/// Where a baseline stands with an advisory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// Its newest release fixes it.
    Fixed,
    /// It isn't affected, and its devices know, as far as there is an index to know of.
    NotAffected,
    /// A bundle handles it; it waits for signatures.
    Built,
    /// A bundle handles it and is signed; it waits for `ledger release`.
    Signed,
    /// It is fixed elsewhere, and not here.
    Owed,
    /// It isn't affected, and its devices still have to be told: by a patch without payload.
    Untold,
    /// Its fix comes only with features, and a release says why.
    Combined,
    /// It is affected, and no fix is released anywhere.
    Open,
    /// Nobody has said whether it is affected.
    Unknown,
}

impl Cell {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Fixed,
        Self::NotAffected,
        Self::Built,
        Self::Signed,
        Self::Owed,
        Self::Untold,
        Self::Combined,
        Self::Open,
        Self::Unknown,
    ];

    /// A sign, and a word.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Fixed => ("✓", "fixed"),
            Self::NotAffected => ("-", "not affected"),
            Self::Built => ("◐", "built"),
            Self::Signed => ("◕", "signed"),
            Self::Owed => ("✗", "owed"),
            Self::Untold => ("✗", "untold"),
            Self::Combined => ("↑", "with features"),
            Self::Open => ("○", "open"),
            Self::Unknown => ("?", "not assessed"),
        }
    }

    /// True for what is done.
    pub const fn settled(self) -> bool {
        matches!(self, Self::Fixed | Self::NotAffected)
    }
}

/// A bundle that isn't released yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its file.
    pub file: String,
    /// Its version.
    pub version: Version,
    /// The ids of what it closes.
    pub closes: Vec<String>,
    /// Whether all have signed it.
    pub signed: bool,
}

impl Ledger {
    /// Where a baseline stands with an advisory.
    pub fn cell(&self, advisory: &Advisory, baseline: Baseline, waiting: &[Waiting]) -> Cell {
        let said = advisory.affects.get(&super::entry::Name(baseline));
        let not_affected = matches!(said, Some(Statement::NotAffected(..)));
        if self.handles(baseline, advisory.index) {
            return if not_affected { Cell::NotAffected } else { Cell::Fixed };
        }
        let brings =
            |bundle: &&Waiting| bundle.version.feature == baseline && bundle.closes.contains(&advisory.id);
        let (mut brought, signed) = (false, waiting.iter().filter(brings).any(|bundle| bundle.signed));
        brought |= waiting.iter().any(|bundle| brings(&bundle));
        match (advisory.index, said) {
            _ if signed => Cell::Signed,
            _ if brought => Cell::Built,
            (None, _) if not_affected => Cell::NotAffected,
            (Some(_), _) if not_affected => Cell::Untold,
            (Some(_), Some(Statement::Affected)) if self.combined(advisory) => Cell::Combined,
            (Some(_), Some(Statement::Affected)) => Cell::Owed,
            (None, Some(Statement::Affected)) => Cell::Open,
            _ => Cell::Unknown,
        }
    }

    /// Whether a baseline's newest release handles an index.
    pub fn handles(&self, baseline: Baseline, index: Option<u32>) -> bool {
        let newest = self.newest(baseline);
        index.zip(newest).is_some_and(|(index, version)| version.security.handles(index))
    }

    /// The releases that fix an advisory, and don't only say that they aren't affected.
    pub fn fixes<'a>(&'a self, advisory: &'a Advisory) -> impl Iterator<Item = &'a Release> {
        let index = advisory.index.unwrap_or(0);
        let affected = |baseline| !matches!(advisory.affects.get(baseline), Some(Statement::NotAffected(..)));
        let all = self.releases.iter().map(|filed| &filed.entry);
        all.filter(move |release| release.handles(index) && affected(&release.baseline))
    }

    /// True if its fix comes only with features.
    pub fn only_with_features(&self, advisory: &Advisory) -> bool {
        let mut fixes = self.fixes(advisory).peekable();
        fixes.peek().is_some() && fixes.all(|release| release.lane == Lane::Feature)
    }

    /// True if its fix comes only with features, and a release says why.
    pub fn combined(&self, advisory: &Advisory) -> bool {
        let says = |release: &Release| release.combined.is_some() && release.closes.contains(&advisory.id);
        self.only_with_features(advisory) && self.fixes(advisory).any(says)
    }

    /// When the first fix of an advisory was issued.
    pub fn first_fix(&self, advisory: &Advisory) -> Option<Moment> {
        self.fixes(advisory).map(|release| release.issued).min()
    }
}
