//! What is done while power fails.

use super::scene::{Maker, Scene, img, linked, policy};
use super::shape::Shape;
use super::world::{Step, World, defect};
use crate::sim::world::{Release, Roles};
use patchlane_device::state::Phase;
use patchlane_device::{Boot, Cause, Running};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{FeaturePolicy, Kind, Refusal};

/// One thing that an operator does.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Its name.
    pub name: &'static str,
    /// What it is done with.
    pub scene: fn(&Shape) -> Scene,
    /// One round of the operator's patience; true when all is done.
    pub round: fn(&mut World<'_, '_>) -> Step<bool>,
    /// What has to hold at the end, after one more restart.
    pub end: fn(&mut World<'_, '_>) -> Step<()>,
}

/// All of them.
pub const PLANS: &[Plan] = &[
    Plan { name: "patch", scene: patch, round: |w| w.drive(1), end: |w| runs(w, 1) },
    Plan { name: "patch-as-delta", scene: as_delta, round: |w| w.drive(1), end: |w| runs(w, 1) },
    Plan { name: "patch-with-counter", scene: counted, round: |w| w.drive(1), end: counted_end },
    Plan { name: "patch-without-payload", scene: payload_free, round: apply, end: |w| runs(w, 1) },
    Plan { name: "feature-update", scene: feature, round: |w| w.drive(1), end: |w| runs(w, 1) },
    Plan { name: "rollback", scene: rollback, round: roll_back, end: |w| runs(w, 1) },
    Plan { name: "repair", scene: repair, round: |w| w.drive(1), end: |w| runs(w, 1) },
    Plan { name: "revert", scene: patch, round: revert, end: |w| runs(w, 0) },
    Plan {
        name: "patch-in-unhealthy-trial",
        scene: unhealthy,
        round: |w| end_trial(w, 2),
        end: |w| runs(w, 2),
    },
    Plan { name: "patch-in-healthy-trial", scene: healthy, round: |w| end_trial(w, 2), end: |w| runs(w, 2) },
    Plan { name: "soak", scene: soak, round: |w| w.drive(1), end: |w| runs(w, 1) },
    Plan { name: "root-rotation", scene: rotation, round: rotate, end: rotated },
    Plan { name: "approval-and-replay", scene: held, round: approve_and_replay, end: approved },
    Plan { name: "half-received-displaced", scene: displaced, round: displace_half, end: |w| runs(w, 2) },
    Plan { name: "staged-displaced", scene: displaced, round: displace_staged, end: |w| runs(w, 2) },
    Plan { name: "held-superseded", scene: superseded, round: supersede, end: superseded_end },
    Plan { name: "compaction", scene: unowned, round: compact, end: compacted },
    Plan { name: "rot-fallback-cure", scene: rotten, round: cure, end: |w| runs(w, 2) },
];

fn patch_of(shape: &Shape, line: u16, level: u32, seed: u64) -> Release {
    Release { linked: linked(shape, seed), ..Release::patch(line, 1, level, img(shape, seed)) }
}

fn feature_of(shape: &Shape, line: u16, level: u32, seed: u64) -> Release {
    Release { kind: Kind::FeatureUpdate, ..patch_of(shape, line, level, seed) }
}

/// This release is v, and runs.
fn runs(w: &mut World<'_, '_>, offer: usize) -> Step<()> {
    let state = w.look()?;
    let wanted = &w.scene.offers[offer];
    if w.booted != Some(Boot::Run(Running::Confirmed)) || state.confirmed.manifest != wanted.manifest {
        return defect(format!("at the end {:?} runs, {} is v", w.booted, state.confirmed.version));
    }
    if state.phase != Phase::Idle || state.degraded {
        return defect(format!("at the end there is something left to do: {:?}", state.phase));
    }
    Ok(())
}

fn patch(shape: &Shape) -> Scene {
    let releases = vec![patch_of(shape, 4, 7, 1), patch_of(shape, 4, 8, 2)];
    Maker::new(shape, 0, FeaturePolicy::OwnerKey, true, releases).scene()
}

/// What is sent is a delta from what runs, or nothing.
fn as_delta(shape: &Shape) -> Scene {
    let base = img(shape, 1);
    let edited = |by: u8| {
        let mut image = base.clone();
        image.iter_mut().step_by(301).for_each(|byte| *byte ^= by);
        image
    };
    let mut new = patch_of(shape, 4, 8, 1);
    new.linked.iter_mut().zip([0x41, 0x42]).for_each(|(linked, by)| linked.bytes = edited(by));
    let new = Release { image: edited(0x41), bases: vec![base.clone()], full: false, ..new };
    Maker::new(shape, 0, FeaturePolicy::OwnerKey, true, vec![patch_of(shape, 4, 7, 1), new]).scene()
}

fn counted(shape: &Shape) -> Scene {
    let scene = patch(shape);
    Scene { start: super::world::Instant { fuses: 7, ..scene.start }, ..scene }
}

fn counted_end(w: &mut World<'_, '_>) -> Step<()> {
    runs(w, 1)?;
    match w.machine.media.fuses.value() {
        8 => Ok(()),
        other => defect(format!("at the end the counter reads {other}")),
    }
}

fn payload_free(shape: &Shape) -> Scene {
    let old = patch_of(shape, 4, 7, 1);
    let new = Release { payload: false, ..patch_of(shape, 4, 8, 1) };
    Maker::new(shape, 0, FeaturePolicy::OwnerKey, true, vec![old, new]).scene()
}

fn apply(w: &mut World<'_, '_>) -> Step<bool> {
    if w.look()?.confirmed.manifest == w.scene.offers[1].manifest {
        return Ok(true);
    }
    match w.push(1)? {
        Ok(Outcome::Applied) => {
            let manifest = w.scene.offers[1].manifest;
            w.memory().confirmed = manifest;
            Ok(false)
        }
        Err(Refusal::Flash) => Ok(false),
        other => defect(format!("a patch without payload leads to {other:?}")),
    }
}

fn feature(shape: &Shape) -> Scene {
    let releases = vec![patch_of(shape, 4, 7, 1), feature_of(shape, 5, 7, 2)];
    Maker::new(shape, 0, FeaturePolicy::Auto, true, releases).scene()
}

fn rollback(shape: &Shape) -> Scene {
    let releases = vec![feature_of(shape, 5, 7, 1), feature_of(shape, 4, 7, 2)];
    let mut maker = Maker::new(shape, 0, FeaturePolicy::OwnerKey, true, releases);
    maker.approves(1, 1);
    maker.scene()
}

fn roll_back(w: &mut World<'_, '_>) -> Step<bool> {
    if w.look()?.serial == 0 {
        return match w.owner(0)? {
            Ok(_) | Err(Refusal::Flash) => Ok(false),
            Err(refusal) => defect(format!("an approval: it {refusal}")),
        };
    }
    w.drive(1)
}

fn repair(shape: &Shape) -> Scene {
    let old = patch_of(shape, 4, 7, 1);
    let same = feature_of(shape, 4, 7, 1);
    let mut maker = Maker::new(shape, 0, FeaturePolicy::OwnerKey, true, vec![old, same]);
    maker.rot();
    Scene { damaged: true, ..maker.scene() }
}

fn revert(w: &mut World<'_, '_>) -> Step<bool> {
    let state = w.look()?;
    let failed = state.failures.iter().next().is_some();
    match state.phase {
        Phase::Idle if failed => Ok(true),
        Phase::Trial { .. } => w.start(Cause::Watchdog).map(|()| false),
        _ => w.drive(1),
    }
}

fn unhealthy(shape: &Shape) -> Scene {
    let releases = vec![patch_of(shape, 4, 7, 1), feature_of(shape, 5, 7, 2), patch_of(shape, 4, 8, 3)];
    let mut maker = Maker::new(shape, 0, FeaturePolicy::Auto, true, releases);
    maker.on_trial(1);
    maker.scene()
}

fn healthy(shape: &Shape) -> Scene {
    let releases = vec![patch_of(shape, 4, 7, 1), feature_of(shape, 5, 7, 2), patch_of(shape, 5, 8, 3)];
    let mut maker = Maker::new(shape, 3, FeaturePolicy::Auto, true, releases);
    maker.on_trial(1);
    maker.device.machine.confirm().expect("it soaks");
    maker.scene()
}

/// What is on trial gives way to a patch.
fn end_trial(w: &mut World<'_, '_>, patch: usize) -> Step<bool> {
    let state = w.look()?;
    let other = state.candidate.is_some_and(|c| c.release.manifest == w.scene.offers[1].manifest);
    if !(other && state.phase.on_trial()) || w.machine.engine().needs_restart() {
        return w.drive(patch);
    }
    // What works is confirmed; what doesn't yet may be taken back.
    let trial = w.scene.offers[1].manifest;
    w.memory().promised = Some(trial).filter(|_| matches!(state.phase, Phase::Soak { .. }));
    match w.push(patch)? {
        Err(Refusal::SendAgain | Refusal::Flash) => Ok(false),
        answer => defect(format!("a patch during a trial leads to {answer:?}")),
    }
}

fn soak(shape: &Shape) -> Scene {
    let releases = vec![patch_of(shape, 4, 7, 1), patch_of(shape, 4, 8, 2)];
    Maker::new(shape, 3, FeaturePolicy::OwnerKey, true, releases).scene()
}

fn rotation(shape: &Shape) -> Scene {
    let roles = Roles { version: 2, security: vec!["security 2"], ..Roles::default() };
    let (links, signers) = (vec![roles.link(&["root"])], vec!["security 2"]);
    let next = Release { root: 2, links, signers, ..patch_of(shape, 4, 9, 3) };
    let releases = vec![patch_of(shape, 4, 7, 1), patch_of(shape, 4, 8, 2), next];
    let mut maker = Maker::new(shape, 0, FeaturePolicy::OwnerKey, true, releases.clone());
    maker.device.push(&releases[1].bytes(), 512).expect("staged");
    let scene = maker.scene();
    Scene { revoked: Some((releases[1].digest(), 2)), ..scene }
}

fn rotate(w: &mut World<'_, '_>) -> Step<bool> {
    let state = w.look()?;
    let revoked = state.candidate.is_some_and(|c| c.release.manifest == w.scene.offers[1].manifest);
    if state.root.version > 1 && revoked {
        return defect("what a root revoked is still on its way in");
    }
    w.drive(2)
}

fn rotated(w: &mut World<'_, '_>) -> Step<()> {
    runs(w, 2)?;
    match w.look()?.root.version {
        2 => Ok(()),
        other => defect(format!("at the end root {other} is trusted")),
    }
}

fn held(shape: &Shape) -> Scene {
    let releases = vec![patch_of(shape, 4, 7, 1), feature_of(shape, 5, 7, 2)];
    let mut maker = Maker::new(shape, 0, FeaturePolicy::OwnerKey, true, releases);
    maker.approves(1, 1);
    maker.scene()
}

/// Sends what isn't approved: it is listed.
fn list(w: &mut World<'_, '_>, offer: usize) -> Step<bool> {
    match w.push(offer)? {
        Err(Refusal::Held | Refusal::Flash) => Ok(false),
        other => defect(format!("a feature update without consent leads to {other:?}")),
    }
}

fn approve_and_replay(w: &mut World<'_, '_>) -> Step<bool> {
    let state = w.look()?;
    let listed = state.held.is_some_and(|held| held.manifest == w.scene.offers[1].manifest);
    if state.serial == 0 {
        return if listed { roll_back(w) } else { list(w, 1) };
    }
    match w.owner(0)? {
        Err(Refusal::SerialSpent) => w.drive(1),
        other => defect(format!("a replayed approval leads to {other:?}")),
    }
}

fn approved(w: &mut World<'_, '_>) -> Step<()> {
    runs(w, 1)?;
    let state = w.look()?;
    match (state.serial, state.approval, state.held) {
        (1, None, None) => Ok(()),
        _ => defect(format!("at the end {:?} and {:?}", state.approval, state.held)),
    }
}

fn displaced(shape: &Shape) -> Scene {
    let releases = vec![patch_of(shape, 4, 7, 1), feature_of(shape, 5, 7, 2), patch_of(shape, 4, 8, 3)];
    Maker::new(shape, 0, FeaturePolicy::Auto, true, releases).scene()
}

fn displace_half(w: &mut World<'_, '_>) -> Step<bool> {
    if w.memory().stage > 0 {
        return w.drive(2);
    }
    w.push_half(1)?;
    w.memory().stage = 1;
    Ok(false)
}

fn displace_staged(w: &mut World<'_, '_>) -> Step<bool> {
    if w.memory().stage > 0 {
        return w.drive(2);
    }
    match w.push(1)? {
        Ok(Outcome::Staged) => {
            w.releases();
            w.memory().stage = 1;
            Ok(false)
        }
        Err(Refusal::Flash) => Ok(false),
        other => defect(format!("a feature update under Auto leads to {other:?}")),
    }
}

fn superseded(shape: &Shape) -> Scene {
    let mut releases = vec![patch_of(shape, 4, 7, 1), feature_of(shape, 5, 7, 2)];
    releases.extend([patch_of(shape, 4, 8, 3), feature_of(shape, 5, 8, 4)]);
    Maker::new(shape, 0, FeaturePolicy::OwnerKey, true, releases).scene()
}

fn supersede(w: &mut World<'_, '_>) -> Step<bool> {
    let state = w.look()?;
    let holds = |offer: usize| state.held.is_some_and(|held| held.manifest == w.scene.offers[offer].manifest);
    let (first, last) = (holds(1), holds(3));
    if w.memory().stage == 0 && !first {
        return list(w, 1);
    }
    w.memory().stage = 1;
    if !w.drive(2)? {
        return Ok(false);
    }
    if last {
        return Ok(true);
    }
    if !w.status()?.held.is_some_and(|held| held.superseded) {
        return defect("what would lose a fix isn't said to be superseded");
    }
    // From here on it may be displaced.
    w.memory().held = None;
    list(w, 3)
}

fn superseded_end(w: &mut World<'_, '_>) -> Step<()> {
    runs(w, 2)?;
    match w.status()?.held {
        Some(held) if held.release.manifest == w.scene.offers[3].manifest && !held.superseded => Ok(()),
        other => defect(format!("at the end {other:?} is held")),
    }
}

fn unowned(shape: &Shape) -> Scene {
    Maker::new(shape, 0, FeaturePolicy::Local, false, vec![patch_of(shape, 4, 7, 1)]).scene()
}

/// The policy after so many changes.
fn nth_policy(n: u32) -> patchlane_protocol::Policy {
    policy([FeaturePolicy::Local, FeaturePolicy::Never, FeaturePolicy::Auto][n as usize % 3])
}

/// The log turns over all its areas, twice and a bit.
fn compact(w: &mut World<'_, '_>) -> Step<bool> {
    let state = w.look()?;
    let stage = w.memory().stage;
    if state.policy == nth_policy(stage + 1) {
        // The answer was lost, the change wasn't.
        w.memory().stage += 1;
        return Ok(false);
    }
    if state.policy != nth_policy(stage) {
        return defect(format!("change {stage} of the policy was lost: {:?}", state.policy));
    }
    if stage > 2 * w.machine.engine().layout().areas() {
        return Ok(true);
    }
    w.policy(nth_policy(stage + 1))?;
    if stage % 4 == 3 {
        w.start(Cause::Requested)?;
    }
    Ok(false)
}

fn compacted(w: &mut World<'_, '_>) -> Step<()> {
    runs(w, 0)?;
    let stage = w.memory().stage;
    if w.look()?.policy == nth_policy(stage) { Ok(()) } else { defect("at the end another policy") }
}

fn rotten(shape: &Shape) -> Scene {
    let releases = vec![patch_of(shape, 4, 7, 1), feature_of(shape, 5, 7, 2), patch_of(shape, 5, 8, 3)];
    let mut maker = Maker::new(shape, 0, FeaturePolicy::Auto, true, releases);
    maker.on_trial(1);
    maker.device.machine.confirm().expect("confirmed");
    maker.rot();
    maker.scene()
}

/// The fallback runs first, then the cure.
fn cure(w: &mut World<'_, '_>) -> Step<bool> {
    let state = w.look()?;
    let cured = state.confirmed.manifest == w.scene.offers[2].manifest;
    let fallback = w.booted == Some(Boot::Run(Running::Fallback));
    if !cured && state.phase == Phase::Idle && !(state.degraded && fallback) {
        return defect(format!("v is damaged, and {:?} runs", w.booted));
    }
    w.drive(2)
}
