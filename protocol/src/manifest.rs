//! The manifest: everything that decides, before any payload (SPEC §4).

use crate::codec::{Reader, Writer, tagged};
use crate::error::FormatError;
use crate::ids::{Digest, Product};
use crate::limits;
use crate::list::{Bounds, Element, List};
use crate::payload::Component;
use crate::signature::DocumentKind;
use crate::version::Version;

tagged! {
    /// The two kinds of bundle. What a bundle does to a device is derived, never declared.
    pub enum Kind {
        /// Signed by the security role; can't move the feature axis.
        SecurityPatch = 0,
        /// Signed by both roles over the same manifest.
        FeatureUpdate = 1,
    }
}

impl Kind {
    /// The kind of document a signature on this manifest is about.
    pub const fn document(self) -> DocumentKind {
        match self {
            Self::SecurityPatch => DocumentKind::SecurityPatch,
            Self::FeatureUpdate => DocumentKind::FeatureUpdate,
        }
    }
}

tagged! {
    /// How bad an advisory is, in CVSS v3.1 words.
    pub enum Severity {
        /// 0.0
        None = 0,
        /// 0.1 to 3.9
        Low = 1,
        /// 4.0 to 6.9
        Medium = 2,
        /// 7.0 to 8.9
        High = 3,
        /// 9.0 to 10.0
        Critical = 4,
    }
}

/// A vulnerability this release fixes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advisory<'a> {
    /// Its index in the product's ledger.
    pub index: u32,
    /// Its public name, such as `CVE-2027-12345`.
    pub id: &'a str,
    /// How bad it is.
    pub severity: Severity,
    /// True if it is known to be exploited.
    pub exploited: bool,
}

impl<'a> Element<'a> for Advisory<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FormatError> {
        Ok(Self {
            index: reader.u32()?,
            id: reader.text(limits::ADVISORY_ID)?,
            severity: Severity::read(reader)?,
            exploited: reader.flag()?,
        })
    }
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), FormatError> {
        writer.u64(u64::from(self.index))?;
        writer.text(self.id, limits::ADVISORY_ID)?;
        self.severity.write(writer)?;
        writer.flag(self.exploited)
    }
    fn follows(&self, previous: &Self) -> bool {
        self.index > previous.index
    }
}

tagged! {
    /// Why a fix comes only together with features (CRA Annex I Part II point 2, "where technically feasible").
    pub enum Reason {
        /// The fix needs the functional change.
        FixForcesChange = 0,
        /// The functional change is the fix.
        ChangeIsFix = 1,
        /// Separating them isn't technically feasible.
        NotFeasible = 2,
    }
}

/// The justification of a feature update whose fixes no patch offers separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Combined<'a> {
    /// The reason code.
    pub reason: Reason,
    /// The reason in words.
    pub because: &'a str,
}

/// What a release is. The same type is what a builder fills in and what a reader gets.
#[derive(Debug, Clone, Copy)]
pub struct Manifest<'a> {
    /// Patch or feature update.
    pub kind: Kind,
    /// For which product.
    pub product: Product,
    /// For which hardware revisions.
    pub hardware: List<'a, u16>,
    /// The place on both axes.
    pub version: Version,
    /// The root version it was made under.
    pub root_version: u32,
    /// Every component of the release.
    pub components: List<'a, Component<'a>>,
    /// The advisories it closes.
    pub advisories: List<'a, Advisory<'a>>,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub issued_at: u64,
    /// Until when this baseline gets security patches, in the same unit. Informs and decides nothing.
    pub support_end: u64,
    /// SHA-256 of the evidence made before signing.
    pub evidence: Option<Digest>,
    /// What an operator reads. Decides nothing.
    pub text: &'a str,
    /// Why fixes come only with features, if they do.
    pub combined: Option<Combined<'a>>,
}

const HARDWARE_BOUNDS: Bounds = Bounds { min: 1, max: limits::HARDWARE };
const COMPONENT_BOUNDS: Bounds = Bounds { min: 1, max: limits::COMPONENTS };
const ADVISORY_BOUNDS: Bounds = Bounds { min: 0, max: limits::ADVISORIES };

impl<'a> Manifest<'a> {
    /// Reads a whole manifest.
    ///
    /// # Errors
    /// Every [`FormatError`] of SPEC §2 and §4.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let manifest = Self {
            kind: Kind::read(&mut reader)?,
            product: Product::read(&mut reader)?,
            hardware: List::read(&mut reader, HARDWARE_BOUNDS)?,
            version: Version::read(&mut reader)?,
            root_version: reader.u32()?,
            components: List::read(&mut reader, COMPONENT_BOUNDS)?,
            advisories: List::read(&mut reader, ADVISORY_BOUNDS)?,
            issued_at: reader.u64()?,
            support_end: reader.u64()?,
            evidence: reader.option(Digest::read)?,
            text: reader.text(limits::TEXT)?,
            combined: reader
                .option(|r| Ok(Combined { reason: Reason::read(r)?, because: r.text(limits::BECAUSE)? }))?,
        };
        reader.finish()?;
        manifest.check().map(|()| manifest)
    }

    /// Writes the manifest; what it writes, [`Manifest::parse`] reads back.
    ///
    /// # Errors
    /// `BufferFull`, or the rule that the values break.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], FormatError> {
        self.check()?;
        let mut w = Writer::new(buffer);
        self.kind.write(&mut w)?;
        self.product.write(&mut w)?;
        self.hardware.write(&mut w, HARDWARE_BOUNDS)?;
        self.version.write(&mut w)?;
        w.u64(u64::from(self.root_version))?;
        self.components.write(&mut w, COMPONENT_BOUNDS)?;
        self.advisories.write(&mut w, ADVISORY_BOUNDS)?;
        w.u64(self.issued_at)?;
        w.u64(self.support_end)?;
        w.option(self.evidence, |w, digest| digest.write(w))?;
        w.text(self.text, limits::TEXT)?;
        w.option(self.combined, |w, combined| {
            combined.reason.write(w)?;
            w.text(combined.because, limits::BECAUSE)
        })?;
        Ok(w.finish())
    }

    /// Rules that span fields.
    fn check(&self) -> Result<(), FormatError> {
        if self.root_version == 0 {
            return Err(FormatError::ZeroVersion);
        }
        if self.kind == Kind::SecurityPatch && self.combined.is_some() {
            return Err(FormatError::CombinedOnPatch);
        }
        if self.kind == Kind::FeatureUpdate && !self.components.iter().all(|c| c.is_self_contained()) {
            return Err(FormatError::MissingFullImage);
        }
        if self.advisories.iter().all(|a| self.version.security.handles(a.index)) {
            Ok(())
        } else {
            Err(FormatError::AdvisoryNotHandled)
        }
    }

    /// True if no component comes with a payload.
    pub fn is_payload_free(&self) -> bool {
        self.components.iter().all(|component| component.alternatives.is_empty())
    }
}
