//! What a device would do with a bundle: its own rules, in its own order, on what its status tells.
//!
//! The order is that of the device's engine (`engine/head.rs`); `tests/cli/diff.rs` plays bundles to simulated devices and
//! compares what they did with what was foretold here.

use super::bundles::offer;
use crate::bundle::{Bundle, signature_set};
use crate::commands::describe::place;
use crate::config::Config;
use crate::error::Result;
use crate::root::Root;
use ed25519_dalek::SigningKey;
use patchlane_device::evidence::{Facts, Received, Verified};
use patchlane_device::rules::policy::{self, Consent, Install, Situation, owner_alone};
use patchlane_device::rules::trial::{TrialEnd, TrialFacts, ends};
use patchlane_device::rules::{Failures, Offer, Rank, Standing, Transition, transition::classify};
use patchlane_device::{Layout, Place, Region};
use patchlane_protocol::signature::SIGNATURE_BOUNDS;
use patchlane_protocol::status::{Activity, Named};
use patchlane_protocol::{
    Baseline, Ceilings, Digest, Kind, List, Manifest, PublicKey, Refusal, Role, Roles, RootDocument,
    SignedRoot, Status, Writer, limits,
};

/// What is known of the device.
pub(super) struct Known<'a> {
    pub(super) status: &'a Status,
    /// The root that whoever asks trusts.
    pub(super) root: Option<&'a Root>,
    /// The configuration of the same product: where its slots lie.
    pub(super) config: Option<&'a Config>,
    /// The address that its images are linked for, if someone said it.
    pub(super) address: Option<u32>,
}

/// What becomes of the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is taken, and goes in then.
    Taken(Install),
    /// It is confirmed at once: it needs no payload.
    Applied,
    /// It is here already, in whole or in part.
    Here(Activity),
    /// It ends the trial, and is taken when it is sent again.
    EndsTrial(TrialEnd),
    /// Only the root it carries is news.
    RootOnly,
    /// It is remembered, and waits for approval.
    Held,
    /// It is refused.
    Refused(Refusal),
}

/// What is foretold.
pub(super) struct Foresight {
    /// What it would be to this device.
    pub(super) transition: Option<Transition>,
    /// What becomes of it.
    pub(super) verdict: Verdict,
    /// If who signed it decides: what would become of it otherwise.
    pub(super) otherwise: Option<Verdict>,
    /// The root that the device trusts afterwards, if that changes.
    pub(super) new_root: Option<u32>,
    /// What the verdict leaves open.
    pub(super) unknown: Vec<String>,
}

/// Walks the root links as the device does: the version it trusts afterwards.
fn walk_links(bundle: &Bundle, status: &Status) -> Result<std::result::Result<u32, Refusal>> {
    let mut version = status.root_version;
    for link in bundle.links() {
        let next = SignedRoot::parse(link)?.document;
        if next.product != status.product {
            return Ok(Err(Refusal::WrongProduct));
        }
        if next.version > version {
            if version.checked_add(1) != Some(next.version) {
                return Ok(Err(Refusal::RootNotNext));
            }
            version = next.version;
        }
    }
    Ok(Ok(version))
}

/// Who signed the bundle and its links, as far as the root at hand can tell.
fn authenticity(
    bundle: &Bundle,
    known: &Known<'_>,
    ends_at: u32,
    unknown: &mut Vec<String>,
) -> Result<Option<Refusal>> {
    if bundle.signatures().is_empty() {
        return Ok(Some(Refusal::BelowThreshold));
    }
    let Some(root) = known.root else {
        unknown.push("who signed it: there is no trust anchor (--root FILE)".into());
        return Ok(None);
    };
    let trusted = root.document()?;
    if trusted.product != known.status.product {
        unknown.push("who signed it: the root at hand is another product's".into());
        return Ok(None);
    }
    let present = match bundle.walk(trusted) {
        Ok(present) => present,
        Err(error) => return error.refusal.map(Some).ok_or(error),
    };
    if root.document()?.version > known.status.root_version && ends_at > known.status.root_version {
        unknown
            .push(format!("whether the device's own root {} signed the next one", known.status.root_version));
    }
    if present.version != ends_at {
        unknown.push(format!(
            "whether root {ends_at}, which judges there, lists the same keys as root {}",
            present.version
        ));
    }
    let set = bundle.signature_bytes()?;
    let verdict =
        Received::parse(bundle.manifest_bytes(), &set).and_then(|received| received.verify(&present));
    Ok(verdict.err())
}

/// Makes a manifest one that is verified, under a root and by keys made up for it: so that the device's rules can be asked
/// what they would say **if** it were. Nothing else ever sees that root.
fn supposing<T>(bundle: &Bundle, look: impl FnOnce(Verified<'_>) -> T) -> Result<T> {
    let m = bundle.manifest()?;
    let keys = [[1; 32], [2; 32], [3; 32]].map(|seed| SigningKey::from_bytes(&seed));
    let public = keys.each_ref().map(|key| [PublicKey::ed25519(key.verifying_key().to_bytes())]);
    let role = |i: usize| Role::new(1, List::of(&public[i])?);
    let root = RootDocument {
        product: m.product,
        version: m.root_version,
        development: true,
        ceilings: Ceilings { feature: Baseline { line: u16::MAX, step: u16::MAX }, level: u32::MAX },
        roles: Roles::new(role(0)?, role(1)?, role(2)?)?,
    };
    let signing: &[&SigningKey] = match m.kind {
        Kind::SecurityPatch => &[&keys[1]],
        Kind::FeatureUpdate => &[&keys[1], &keys[2]],
    };
    let set = signature_set(signing, &bundle.preimage()?);
    let mut buffer = [0; limits::HEAD];
    let mut writer = Writer::new(&mut buffer);
    List::of(&set)?.write(&mut writer, SIGNATURE_BOUNDS)?;
    let verified = Received::parse(bundle.manifest_bytes(), writer.finish())?.verify(&root)?;
    Ok(look(verified))
}

/// Slots that anything fits in, for a device whose map isn't known.
fn spacious() -> Result<Layout> {
    let place = |offset, length| Place { offset, length, read: 1, write: 1, erase: 4096 };
    let slot = 1 << 30;
    Layout::new(place(0, 0x1_0000), place(0x1_0000, slot), place(0x1_0000 + slot, slot + 4096))
        .map_err(|e| crate::Error::internal(format!("no layout: {e}")))
}

fn layout(known: &Known<'_>, unknown: &mut Vec<String>) -> Result<Layout> {
    match known.config.and_then(|config| config.flash.as_ref()) {
        Some(flash) => flash.layout(),
        None => {
            unknown.push(
                "whether the image fits the slot: there is no patchlane.toml with this product's [flash]"
                    .into(),
            );
            spacious()
        }
    }
}

/// The address to judge by: what was said, what the configuration names, or any that the bundle has.
fn address(known: &Known<'_>, m: &Manifest<'_>, unknown: &mut Vec<String>) -> Option<u32> {
    let images = m.components.iter().flat_map(|component| component.images.iter());
    let carried: Vec<u32> = images.filter_map(|image| image.address).collect();
    if known.address.is_some() || carried.is_empty() {
        return known.address;
    }
    let direct = known.config.and_then(Config::direct_addresses).map(|both| both.to_vec());
    let named = direct.or(known.config.map(|config| config.build.addresses.clone())).unwrap_or_default();
    let fits =
        named.iter().find(|address| carried.contains(address)).or(named.first()).or(carried.first()).copied();
    if named.len() != 1 {
        let list: Vec<_> = carried.iter().map(|address| place(Some(*address))).collect();
        unknown.push(format!(
            "the device's slot: the bundle is for {} (--address says which it is)",
            list.join(", ")
        ));
    }
    fits
}

/// Whose approval is pending for this manifest.
fn consent(status: &Status, manifest: Digest, unknown: &mut Vec<String>) -> Consent {
    if status.approval != Some(manifest) {
        return Consent::None;
    }
    if owner_alone(&status.policy, status.owned) {
        unknown.push("whether the owner gave the approval; nobody else's counts under this policy".into());
        Consent::Owner
    } else {
        Consent::Local
    }
}

/// The confirmed release, as far as it is known.
fn standing(status: &Status, manifest: Digest, offer: &Offer, unknown: &mut Vec<String>) -> Standing {
    let damaged = matches!(status.activity, Activity::Degraded | Activity::Service);
    let same = status.confirmed.manifest == manifest;
    if damaged && !same && offer.version == status.confirmed.version {
        unknown.push(
            "whether its images are those of the confirmed release: as a repair it is judged as if they were"
                .into(),
        );
    }
    let known = same || offer.version == status.confirmed.version;
    let images = if known { offer.images } else { Digest([0; 32]) };
    Standing { version: status.confirmed.version, images, damaged }
}

/// How what is on its way in ranks. Its manifest isn't in the report, so it is derived anew.
fn rank_of(candidate: &Named, v: &Standing, issued_at: u64) -> Option<Rank> {
    let as_offered = Offer { kind: Kind::FeatureUpdate, version: candidate.version, images: v.images };
    let transition = classify(v, &as_offered).ok()?;
    Some(Rank { transition, version: candidate.version, issued_at })
}

fn during_trial(
    status: &Status,
    verified: &Verified<'_>,
    facts: &Facts<'_>,
    unknown: &mut Vec<String>,
) -> std::result::Result<Verdict, Refusal> {
    let candidate = status.candidate.ok_or(Refusal::TrialPending)?;
    if candidate.manifest == verified.digest() {
        return Err(Refusal::SameVersion);
    }
    verified.could_go_in(facts)?;
    let payload_free = verified.manifest().is_payload_free();
    if payload_free {
        unknown.push("whether the images that remain after the trial are those it names".into());
    }
    let trial = Standing { version: candidate.version, images: verified.offer().images, damaged: false };
    let v = Standing { images: verified.offer().images, ..facts.v };
    let healthy = status.activity == Activity::Soak;
    match ends(&verified.offer(), &TrialFacts { v, trial, healthy, payload_free }) {
        TrialEnd::Pending => Err(Refusal::TrialPending),
        TrialEnd::RevertIfWhole => {
            unknown
                .push("whether what ran before the trial is still whole; if not, the trial goes on".into());
            Ok(Verdict::EndsTrial(TrialEnd::RevertIfWhole))
        }
        TrialEnd::Confirm => Ok(Verdict::EndsTrial(TrialEnd::Confirm)),
    }
}

fn at_rest(
    status: &Status,
    verified: Verified<'_>,
    facts: &Facts<'_>,
    unknown: &mut Vec<String>,
) -> std::result::Result<Verdict, Refusal> {
    let rank = verified.rank(facts)?;
    let (manifest, payload_free) = (verified.digest(), verified.manifest().is_payload_free());
    let install = policy::decide(rank.transition, payload_free, &facts.on)?;
    verified.permit(facts)?;
    if let Some(known) = status.candidate {
        if known.manifest == manifest {
            return Ok(Verdict::Here(status.activity));
        }
        let outranks = |issued| rank_of(&known, &facts.v, issued).is_none_or(|other| rank.outranks(&other));
        if outranks(0) != outranks(u64::MAX) {
            unknown
                .push(format!("which was issued later: this or {}, which is on its way in", known.version));
        }
        if !outranks(rank.issued_at) {
            return Err(Refusal::Busy);
        }
    }
    unknown.push("whether three trials of it failed there: an operator has to ask for a retry then".into());
    match payload_free {
        true if !facts.on.runs => Err(Refusal::NeedPayload),
        true => {
            unknown.push("whether the installed image is the one it names: the device reads it back".into());
            Ok(Verdict::Applied)
        }
        false => Ok(Verdict::Taken(install)),
    }
}

/// The rules that need a verified head, in the device's order.
fn decide(
    known: &Known<'_>,
    verified: Verified<'_>,
    facts: &Facts<'_>,
    unknown: &mut Vec<String>,
) -> Verdict {
    let decided = if matches!(known.status.activity, Activity::Trial | Activity::Soak) {
        during_trial(known.status, &verified, facts, unknown)
    } else {
        at_rest(known.status, verified, facts, unknown)
    };
    match decided {
        Ok(verdict) => verdict,
        Err(Refusal::Held) => Verdict::Held,
        Err(refusal) => Verdict::Refused(refusal),
    }
}

pub(super) fn foresee(bundle: &Bundle, known: &Known<'_>) -> Result<Foresight> {
    let (status, m) = (known.status, bundle.manifest()?);
    let mut unknown = Vec::new();
    let refused = |refusal, unknown| Foresight {
        transition: None,
        verdict: Verdict::Refused(refusal),
        otherwise: None,
        new_root: None,
        unknown,
    };
    let ends_at = match walk_links(bundle, status)? {
        Ok(version) => version,
        Err(refusal) => return Ok(refused(refusal, unknown)),
    };
    let new_root = Some(ends_at).filter(|version| *version != status.root_version);
    if m.product != status.product {
        return Ok(refused(Refusal::WrongProduct, unknown));
    }
    if m.root_version > ends_at {
        return Ok(Foresight { new_root, ..refused(Refusal::NeedRoot, unknown) });
    }
    let signed = authenticity(bundle, known, ends_at, &mut unknown)?;
    let (offer, digest) = (offer(&m), bundle.digest());
    let v = standing(status, digest, &offer, &mut unknown);
    let (layout, failures) = (layout(known, &mut unknown)?, Failures::default());
    let on = Situation {
        policy: status.policy,
        anchored: status.owned,
        runs: !v.damaged,
        consent: consent(status, digest, &mut unknown),
    };
    let address = address(known, &m, &mut unknown);
    // Where code runs from both slots, the address is that of the free one.
    let flipped = layout.addresses().is_some_and(|[first, _]| address == Some(first));
    let [primary, mut secondary] =
        [Region::Primary, Region::Secondary].map(|role| layout.slot(role, flipped, address));
    secondary.address = address.or(secondary.address);
    let facts = Facts { hardware: status.hardware, v, on, failures: &failures, primary, secondary };
    let mut verdict = supposing(bundle, |verified| decide(known, verified, &facts, &mut unknown))?;
    if new_root.is_some() {
        if status.candidate.is_some() {
            unknown.push(
                "whether what isn't confirmed yet holds under the new root; if not, it is dropped first"
                    .into(),
            );
        }
        if verdict == Verdict::Refused(Refusal::SameVersion) {
            verdict = Verdict::RootOnly;
        }
    }
    let otherwise = signed.map(|_| verdict);
    let verdict = signed.map_or(verdict, Verdict::Refused);
    Ok(Foresight { transition: classify(&v, &offer).ok(), verdict, otherwise, new_root, unknown })
}
