//! I3, I7: from any state, an honest vendor and a patient operator get a patch of v in, whatever features do.

use super::catalogue::{Item, roots, signed};
use super::facts::Facts;
use crate::sim::world::{Release, image, public};
use crate::sim::{SimDevice, Torn};
use patchlane_device::{Boot, Cause, Running, Window};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::owner::Action;
use patchlane_protocol::status::Activity;
use patchlane_protocol::{Kind, Policy, Refusal, Request, SecurityPolicy, Version};

/// How often the vendor may have to send it: once more for a trial that it ends, once more for a root that ends one.
const SENDS: usize = 3;

/// The vendor's cure for each baseline: under the newest root, above all old ceilings.
#[derive(Debug)]
pub struct Cures(Vec<(Release, Vec<u8>)>);

impl Cures {
    /// For these baselines.
    pub fn new(items: &[Item]) -> Self {
        let roots = roots();
        let links = vec![roots[1].link(&["root", "root 2"]), roots[2].link(&["root 2"])];
        let mut lines: Vec<_> = items.iter().map(|item| item.line).collect();
        lines.sort_unstable();
        lines.dedup();
        let cure = |(line, step): (u16, u16)| {
            let mut cure = Release::patch(line, step, 250, image(0xc000 + u64::from(line), 700));
            (cure.root, cure.signers, cure.chunk) = (3, vec!["security 2"], 512);
            cure.links.clone_from(&links);
            debug_assert_eq!(cure.kind, Kind::SecurityPatch);
            let bytes = cure.bytes();
            (cure, bytes)
        };
        Self(lines.into_iter().map(cure).collect())
    }

    fn of(&self, v: &Version) -> Result<&(Release, Vec<u8>), String> {
        let found = self.0.iter().find(|(cure, _)| cure.version.feature == v.feature);
        found.ok_or_else(|| format!("no cure for {v}"))
    }
}

/// Lets the vendor and the operator try.
///
/// # Errors
/// I3: how it is stuck.
pub fn rescue(from: &SimDevice, facts: &Facts, cures: &Cures) -> Result<(), String> {
    let mut device = from.fork(1, Torn::Stable);
    cures.0.iter().for_each(|(cure, _)| device.expect(cure));
    device.restart(Cause::PowerOn);
    let (mut sends, mut refuses) = (0, takes_none(facts));
    for _ in 0..24 {
        let status = device.machine.status().map_err(|refusal| format!("no status: {refusal:?}"))?;
        let (cure, bytes) = cures.of(&status.confirmed.version)?;
        if status.confirmed.version == cure.version {
            return Ok(());
        }
        let cured = status.candidate.is_some_and(|candidate| candidate.version == cure.version);
        if device.machine.engine().needs_restart() {
            device.restart(Cause::Requested);
        } else if cured && matches!(status.activity, Activity::Trial | Activity::Soak) {
            let kept = device.machine.confirm().and_then(|_| {
                let soaks = device.machine.status().is_ok_and(|now| now.activity == Activity::Soak);
                if soaks { device.machine.local(Action::Keep, &cure.digest()) } else { Ok(Outcome::Done) }
            });
            kept.map_err(|refusal| format!("I3: the cure isn't confirmed: {refusal:?}"))?;
        } else if std::mem::take(&mut refuses) {
            relents(&mut device, facts)?;
        } else {
            sends += 1;
            send(&mut device, cure, bytes)?;
        }
        if sends > SENDS {
            return Err(format!("I3: {sends} sends, and still {}", status.confirmed.version));
        }
    }
    Err(format!("I3: stuck: {:?} {facts:?}", device.machine.engine().state()))
}

/// True if the owner lets no patch in: then nobody can but he.
const fn takes_none(facts: &Facts) -> bool {
    matches!(facts.policy.security, SecurityPolicy::Off | SecurityPolicy::Notify)
}

/// He changes his mind.
fn relents(device: &mut SimDevice, facts: &Facts) -> Result<(), String> {
    let policy = Policy { security: SecurityPolicy::ApplyInWindow, ..facts.policy };
    let his = ["owner", "owner 2"].into_iter().find(|key| facts.anchor == Some(public(key)));
    let document = signed(facts.serial + 1, Request::Policy(policy), &[his.ok_or("nobody owns it")?]);
    let said = device.machine.owner(&document);
    said.map(drop).map_err(|refusal| format!("I3, I17: the owner wants patches, and meets {refusal:?}"))
}

fn send(device: &mut SimDevice, cure: &Release, bytes: &[u8]) -> Result<(), String> {
    match device.push(bytes, bytes.len()) {
        Ok(Outcome::Staged) => {
            let _ = device.machine.window(Window::Open);
            if !device.machine.engine().needs_restart() {
                let asked = device.machine.local(Action::Apply, &cure.digest());
                asked.map_err(|refusal| format!("I3: the cure isn't applied: {refusal:?}"))?;
            }
            Ok(())
        }
        Ok(_) | Err(Refusal::SendAgain) => Ok(()),
        // A trial that the patch can't end runs into the watchdog.
        Err(Refusal::TrialPending) if device.booted == Some(Boot::Run(Running::Trial)) => {
            for _ in 0..3 {
                device.restart(Cause::Watchdog);
            }
            Ok(())
        }
        Err(other) => Err(format!("I3, I4: an honest patch meets {other:?}")),
    }
}
