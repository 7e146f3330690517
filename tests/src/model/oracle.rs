//! Whether an edge keeps DESIGN's invariants: judged from sets and names, never by the device's own rules.

use super::catalogue::{Document, Item};
use super::facts::{Facts, There};
use super::step::{Action, Answer};
use crate::sim::world::{Roles, public};
use patchlane::bundle::sha256;
use patchlane_device::state::Phase;
use patchlane_device::{Boot, Running};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::owner::Action as Ask;
use patchlane_protocol::{Digest, FeaturePolicy, Refusal, Request, SecurityPolicy};

/// What the vendor, the owner and the thieves really did.
#[derive(Debug)]
pub struct Oracle {
    /// Bundles.
    pub items: Vec<Item>,
    /// Owner documents.
    pub documents: Vec<Document>,
    /// The vendor's roots.
    pub roots: Vec<Roles>,
    digests: Vec<Digest>,
}

/// One step of one device.
#[derive(Debug, Clone, Copy)]
pub struct Edge<'a> {
    /// Before it.
    pub old: &'a Facts,
    /// What happened.
    pub action: Action,
    /// What came of it.
    pub answer: Answer,
    /// After it.
    pub new: &'a Facts,
}

type Verdict = Result<(), String>;

/// What a release would do to v: DESIGN's table, in set terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// More fixes, same baseline.
    Patch,
    /// The same release again.
    Repair,
    /// A higher baseline.
    Feature,
    /// A lower one.
    Rollback,
    /// Nothing that is allowed.
    Nothing,
}

fn demand(holds: bool, says: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(says()) }
}

impl Oracle {
    /// An oracle for these.
    pub fn new(items: Vec<Item>, documents: Vec<Document>, roots: Vec<Roles>) -> Self {
        let digests = roots.iter().map(|root| sha256(&root.document())).collect();
        Self { items, documents, roots, digests }
    }

    fn root(&self, version: u32) -> &Roles {
        &self.roots[version as usize - 1]
    }

    fn authorised(&self, at: usize, root: u32) -> bool {
        self.items[at].is_authorised(self.root(root))
    }

    /// What `offered` would do to a device that confirmed `v`.
    pub fn does(&self, v: usize, offered: usize) -> Does {
        let (v, offered) = (&self.items[v], &self.items[offered]);
        if !offered.keeps_fixes_of(v) {
            return Does::Nothing;
        }
        match offered.line.cmp(&v.line) {
            std::cmp::Ordering::Equal if offered.handled != v.handled => Does::Patch,
            std::cmp::Ordering::Equal if offered.both && offered.image == v.image => Does::Repair,
            std::cmp::Ordering::Greater if offered.both => Does::Feature,
            std::cmp::Ordering::Less if offered.both => Does::Rollback,
            _ => Does::Nothing,
        }
    }

    /// The root that a device has after it took a bundle's links, one after the other.
    fn walk(&self, root: u32, at: usize) -> u32 {
        let mut now = root;
        for link in &self.items[at].links {
            match link.to {
                to if to <= now => {}
                to if to == now + 1 && link.genuine => now = to,
                _ => break,
            }
        }
        now
    }

    /// Every invariant, over one edge.
    ///
    /// # Errors
    /// The invariant that is broken, and how.
    pub fn judge(&self, edge: &Edge<'_>) -> Verdict {
        self.root_moves(edge)?;
        self.v_moves(edge)?;
        self.owner_rules(edge)?;
        self.consents(edge)?;
        self.fallback_moves(edge)?;
        self.candidate_stands(edge.new)?;
        self.candidate_moves(edge)?;
        self.boots(edge)?;
        self.answers(edge)
    }

    /// I8, I7: the vendor's own chain, one at a time, by links only; and a valid link always counts.
    fn root_moves(&self, edge: &Edge<'_>) -> Verdict {
        let (old, new) = (edge.old.root.0, edge.new.root.0);
        let named = self.digests.get(new as usize - 1);
        demand(named == Some(&edge.new.root.1), || format!("I8: root {new} isn't the vendor's"))?;
        demand(new >= old, || format!("I8: root {new} after {old}"))?;
        let (Action::Push(at) | Action::Part(at)) = edge.action else {
            return demand(new == old, || "I8: a root came without a link".into());
        };
        let end = self.walk(old, at);
        demand(new <= end, || format!("I8: root {new}, and the links lead to {end}"))?;
        let stops = edge.answer.cut || edge.answer.said == Some(Err(Refusal::SendAgain));
        let at_least = if stops && !edge.answer.cut { (old + 1).min(end) } else { end };
        demand(edge.answer.cut || new >= at_least, || format!("I8: a valid link to {end} didn't count"))
    }

    /// I1, I2, I6, I7: v moves only to what is authorised, lawful, and was on trial (or has no payload).
    fn v_moves(&self, edge: &Edge<'_>) -> Verdict {
        let (old, new) = (edge.old, edge.new);
        let (before, after) = (&self.items[old.v], &self.items[new.v]);
        demand(after.keeps_fixes_of(before), || format!("I2: {} after {}", after.name, before.name))?;
        if old.v == new.v {
            return Ok(());
        }
        let name = after.name;
        demand(self.authorised(new.v, new.root.0), || format!("I1, I7: {name} isn't authorised"))?;
        let does = self.does(old.v, new.v);
        demand(does != Does::Nothing, || format!("I1: {name} after {} is no transition", before.name))?;
        let free = edge.action == Action::Push(new.v) && !after.payload;
        if free {
            let whole = old.primary[0] == There::Whole && after.image == before.image;
            demand(does == Does::Patch && whole && old.runs_v(), || {
                format!("{name} has no payload, and what it is for isn't there")
            })?;
            return demand(self.may_go_in(old, new.v), || format!("I17: {name} went in without consent"));
        }
        let tried = old.phase.on_trial() && old.candidate == Some(new.v);
        demand(tried, || format!("I6: {name} was never on trial"))?;
        let by_owner = matches!(edge.action, Action::Local(Ask::Keep) | Action::Push(_) | Action::Restart(_));
        let soaks = matches!(old.phase, Phase::Soak { .. }) && (by_owner || edge.answer.cut);
        demand(edge.action == Action::Confirm || soaks, || format!("I6: {name} confirmed by nobody"))
    }

    /// Only the owner's own, fresh documents change what is his (I17).
    fn owner_rules(&self, edge: &Edge<'_>) -> Verdict {
        let (old, new) = (edge.old, edge.new);
        let document = match edge.action {
            Action::Owner(at) => self.documents.get(at),
            _ => None,
        };
        let his = document.filter(|d| old.anchor == Some(public(d.signer)) && d.serial > old.serial);
        let kept = (old.serial, old.anchor, old.policy) == (new.serial, new.anchor, new.policy);
        let Some(his) = his else {
            demand(kept, || "serial, anchor or policy changed without the owner".into())?;
            let local = edge.action == Action::Local(Ask::Approve) && !self.owner_alone(old);
            let grown = new.approval.is_some() && new.approval != old.approval;
            return demand(!grown || local && new.approval.is_some_and(|a| !a.1), || {
                "an approval came from nowhere".into()
            });
        };
        if new.serial == old.serial {
            return demand(kept && new.approval == old.approval, || {
                "a refused document changed something".into()
            });
        }
        demand(new.serial == his.serial, || format!("serial {} for {}", new.serial, his.name))?;
        let anchor = match his.request {
            Request::Anchor(key) => Some(key),
            _ => old.anchor,
        };
        let policy = if let Request::Policy(policy) = his.request { policy } else { old.policy };
        let approval = match his.request {
            Request::Release { action: Ask::Approve, manifest } => Some((manifest, true)),
            Request::Release { action: Ask::Withdraw, manifest } => old.approval.filter(|a| a.0 != manifest),
            _ => old.approval,
        };
        demand((anchor, policy, approval) == (new.anchor, new.policy, new.approval), || {
            format!("{} did something else", his.name)
        })
    }

    /// True if only the owner's own approval counts.
    const fn owner_alone(&self, facts: &Facts) -> bool {
        facts.anchor.is_some()
            && matches!(facts.policy.feature, FeaturePolicy::Never | FeaturePolicy::OwnerKey)
    }

    /// True if the owner's policy lets this release in now.
    fn may_go_in(&self, facts: &Facts, at: usize) -> bool {
        let consent = facts.approval.filter(|a| a.0 == self.items[at].manifest).map(|a| a.1);
        match (self.does(facts.v, at), facts.policy.feature) {
            (Does::Patch | Does::Repair, _) => {
                let takes = [SecurityPolicy::StageOnly, SecurityPolicy::ApplyInWindow];
                takes.contains(&facts.policy.security) || facts.primary[0] != There::Whole || facts.degraded
            }
            (Does::Feature, FeaturePolicy::Auto) => true,
            (Does::Feature, FeaturePolicy::Local) => consent.is_some(),
            (Does::Feature, FeaturePolicy::OwnerKey) => consent == Some(true) && facts.anchor.is_some(),
            (Does::Rollback, _) => consent == Some(true) || consent.is_some() && !self.owner_alone(facts),
            (Does::Feature, FeaturePolicy::Never) | (Does::Nothing, _) => false,
        }
    }

    /// Nothing begins to run without what policy asks for (I17); under StageOnly somebody has to ask.
    fn consents(&self, edge: &Edge<'_>) -> Verdict {
        let (old, new) = (edge.old, edge.new);
        let Some(at) = new.candidate else { return Ok(()) };
        let name = self.items[at].name;
        if old.candidate != new.candidate && matches!(edge.action, Action::Push(_) | Action::Part(_)) {
            demand(self.may_go_in(old, at), || format!("I17: {name} is received without consent"))?;
        }
        if new.phase.on_trial() && !old.phase.on_trial() && !old.phase.moves() {
            // A cut is followed by a start: what was just consented to may go in then.
            let after = Facts { approval: new.approval, policy: new.policy, ..old.clone() };
            let may = self.may_go_in(old, at) || edge.answer.cut && self.may_go_in(&after, at);
            demand(may, || format!("I17: {name} began without consent"))?;
        }
        let asked = matches!(edge.action, Action::Local(Ask::Apply) | Action::Owner(_));
        let patch = matches!(self.does(new.v, at), Does::Patch | Does::Repair);
        let waits = patch && old.policy.security == SecurityPolicy::StageOnly;
        let becomes = new.phase == Phase::Ready && old.phase != Phase::Ready;
        let whole = old.primary[0] == There::Whole && !old.degraded;
        demand(!(becomes && waits && whole) || asked, || format!("I17: nobody asked for {name}"))
    }

    /// I6: the fallback is the release confirmed just before v, if it loses none of v's fixes.
    fn fallback_moves(&self, edge: &Edge<'_>) -> Verdict {
        let (old, new) = (edge.old, edge.new);
        let Some(fallback) = new.fallback else { return Ok(()) };
        let name = self.items[fallback].name;
        let keeps = self.items[fallback].keeps_fixes_of(&self.items[new.v]);
        demand(keeps, || format!("I6: the fallback {name} loses a fix of {}", self.items[new.v].name))?;
        let repaired = self.does(old.v, new.v) == Does::Repair && old.v != new.v;
        let was = old.v == new.v || repaired;
        let lawful = if was { old.fallback == Some(fallback) } else { old.v == fallback };
        demand(lawful, || format!("I6: the fallback {name} wasn't confirmed just before v"))
    }

    /// What is on its way in is authorised by the present root, and still lawful (I1, I2, I7, I8).
    fn candidate_stands(&self, now: &Facts) -> Verdict {
        let Some(at) = now.candidate.filter(|_| now.phase != Phase::Revert) else { return Ok(()) };
        let name = self.items[at].name;
        demand(self.authorised(at, now.root.0), || format!("I1, I8: {name} isn't authorised, and goes in"))?;
        demand(self.does(now.v, at) != Does::Nothing, || format!("I1, I2: {name} goes in, and may not"))?;
        demand(now.approval.is_none_or(|a| a.0 != self.items[now.v].manifest), || {
            "an approval outlived its release".into()
        })
    }

    /// I3, I14: only what ranks higher displaces; and nothing that is kept is lost during a trial.
    fn candidate_moves(&self, edge: &Edge<'_>) -> Verdict {
        let (old, new) = (edge.old, edge.new);
        let restarts = matches!(edge.action, Action::Restart(_) | Action::Hang) || edge.answer.cut;
        if old.phase.on_trial() && !restarts {
            let slots = |facts: &Facts| (facts.primary[0], facts.primary[2], facts.secondary[0]);
            let renamed = (old.v, old.fallback) != (new.v, new.fallback);
            let same = renamed || slots(old) == slots(new);
            demand(same, || "I14: a slot changed during a trial".into())?;
        }
        let (Action::Push(_) | Action::Part(_), Some(was), Some(is)) =
            (edge.action, old.candidate, new.candidate)
        else {
            return Ok(());
        };
        if was == is || !self.authorised(was, new.root.0) {
            return Ok(());
        }
        let class = |at| match self.does(old.v, at) {
            Does::Repair => 2,
            Does::Patch => 1,
            _ => 0,
        };
        let less = |a: usize, b: usize| {
            self.items[b].handled != self.items[a].handled && self.items[b].keeps_fixes_of(&self.items[a])
        };
        demand(class(is) >= class(was) && !(class(is) == class(was) && less(is, was)), || {
            format!("I3: {} displaced {}", self.items[is].name, self.items[was].name)
        })
    }

    /// I6, I14: what runs is v, the candidate on trial, or the fallback; whole; and v runs if it is whole.
    fn boots(&self, edge: &Edge<'_>) -> Verdict {
        let new = edge.new;
        let restarted = matches!(edge.action, Action::Restart(_) | Action::Hang) || edge.answer.cut;
        if !restarted {
            return Ok(());
        }
        let [v, candidate, fallback] = new.primary;
        match new.booted {
            Boot::Run(Running::Confirmed) => {
                demand(v == There::Whole, || "I6: v runs, and isn't whole".into())
            }
            Boot::Run(Running::Trial) => demand(candidate == There::Whole && new.phase.on_trial(), || {
                "I6: a trial runs that is none".into()
            }),
            Boot::Run(Running::Fallback) => {
                let at = new.fallback.ok_or("I6: a fallback runs that isn't known")?;
                let may = self.authorised(at, new.root.0) && fallback == There::Whole && new.degraded;
                demand(may && new.rotted, || format!("I6: {} runs as fallback", self.items[at].name))
            }
            Boot::Service(reason) => {
                demand(new.rotted && v != There::Whole, || format!("I14: service mode, {reason:?}"))
            }
        }
    }

    /// What is refused changes nothing (I15, I4); what has to be taken is taken (I3).
    fn answers(&self, edge: &Edge<'_>) -> Verdict {
        let Action::Push(at) = edge.action else { return Ok(()) };
        let (Some(said), false) = (edge.answer.said, edge.answer.cut) else { return Ok(()) };
        let (old, new) = (edge.old, edge.new);
        let lists = matches!(said, Err(Refusal::Held | Refusal::PolicyNotify | Refusal::PolicyNever));
        if said.is_err() && said != Err(Refusal::SendAgain) && old.root == new.root {
            demand(lists || edge.answer.operations == 0, || format!("I15: {said:?} wrote"))?;
            let held = if lists { new.held } else { old.held };
            let same = Facts { held, booted: new.booted, ..old.clone() };
            demand(same == *new, || format!("I4, I15: {said:?} changed something"))?;
        }
        if old.phase.on_trial() && old.root == new.root {
            return self.ends_trial(edge, at, said);
        }
        self.takes(edge, at, said)
    }

    /// I3: a patch ends a trial if, and only if, it is taken afterwards (DESIGN §4, Trial).
    fn ends_trial(&self, edge: &Edge<'_>, at: usize, said: Result<Outcome, Refusal>) -> Verdict {
        let (old, new) = (edge.old, edge.new);
        let Some(trial) = old.candidate else { return Err("a trial of nothing".into()) };
        let (item, tried) = (&self.items[at], &self.items[trial]);
        let healthy = matches!(old.phase, Phase::Soak { .. });
        let for_which = if healthy { trial } else { old.v };
        let image = |of: usize| item.payload || item.image == self.items[of].image;
        let news = healthy || !tried.keeps_fixes_of(item);
        let back = healthy || old.keep && old.secondary[usize::from(old.degraded)] == There::Whole;
        let lost = !healthy && old.degraded && !item.payload;
        let failed = old.failures.iter().any(|(manifest, count)| *manifest == item.manifest && *count >= 3);
        let wanted = matches!(old.policy.security, SecurityPolicy::StageOnly | SecurityPolicy::ApplyInWindow);
        let ends = self.does(for_which, at) == Does::Patch
            && wanted
            && self.authorised(at, old.root.0)
            && news
            && image(for_which)
            && back
            && !lost
            && !failed;
        let ended = said == Err(Refusal::SendAgain);
        demand(ends == ended, || format!("I3: {} meets the trial of {}: {said:?}", item.name, tried.name))?;
        let confirms = !ended || healthy == (new.v == trial);
        demand(confirms, || format!("I3: the trial of {} ended otherwise", tried.name))
    }

    /// I3: a lawful patch of v is taken, whatever is half received or held.
    fn takes(&self, edge: &Edge<'_>, at: usize, said: Result<Outcome, Refusal>) -> Verdict {
        let (old, new) = (edge.old, edge.new);
        let item = &self.items[at];
        let root = self.walk(old.root.0, at);
        let idle = !old.phase.on_trial() && !old.phase.moves();
        let failed = old.failures.iter().any(|(manifest, count)| *manifest == item.manifest && *count >= 3);
        // What repairs is known as such once a start has found the damage.
        let cures = match self.does(old.v, at) {
            Does::Patch => true,
            Does::Repair => item.payload && matches!(old.booted, Boot::Service(_)),
            _ => false,
        };
        let mine = idle && self.authorised(at, root) && cures && !failed;
        if !mine || !self.may_go_in(old, at) {
            return Ok(());
        }
        let fits = item.payload
            || old.runs_v() && item.image == self.items[old.v].image && old.primary[0] == There::Whole;
        if !fits {
            return demand(said == Err(Refusal::NeedPayload) || said == Err(Refusal::Busy), || {
                format!("{}: {said:?} instead of NeedPayload", item.name)
            });
        }
        let is_it = |other: usize| self.items[other].manifest == item.manifest;
        let rival = old.candidate.filter(|was| !is_it(*was) && self.authorised(*was, root));
        let waits = rival.is_some_and(|was| match self.does(old.v, was) {
            Does::Repair => true,
            Does::Patch if self.does(old.v, at) == Does::Repair => false,
            Does::Patch => !item.keeps_fixes_of(&self.items[was]) || item.handled == self.items[was].handled,
            _ => false,
        });
        let there = new.candidate.is_some_and(is_it) || is_it(new.v);
        demand(waits || said.is_ok() && there, || format!("I3: {}: {said:?}", item.name))
    }
}
