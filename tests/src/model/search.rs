//! The search itself.

use super::catalogue::{self, first};
use super::facts::{Facts, Key};
use super::oracle::{Edge, Oracle};
use super::rescue::{Cures, rescue};
use super::step::{self, Action, Answer, PowerCut, Reach};
use super::way::Wrong;
use crate::sim::sweep::Geometry;
use crate::sim::world::{Release, factory};
use crate::sim::{SimDevice, Torn};
use patchlane::bundle::sha256;
use patchlane::flash::mix;
use patchlane_device::{Boot, Cause, Config};
use patchlane_protocol::{Policy, Refusal};
use std::collections::{BTreeSet, HashSet};
use std::fmt;

/// Small words and sectors: an image has two blocks.
const GEOMETRY: [Geometry; 3] = [
    Geometry { write: 16, erase: 4096, length: 8 * 4096 },
    Geometry { write: 4, erase: 512, length: 1024 },
    Geometry { write: 4, erase: 512, length: 1536 },
];

/// A history, and how far it is searched.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: &'static str,
    /// Bundles that are sent, by a part of their names.
    pub sends: Vec<&'static str>,
    /// Owner documents that are sent, by name.
    pub documents: Vec<&'static str>,
    /// The policy at the factory.
    pub policy: Policy,
    /// Boots of a soak.
    pub soak: u8,
    /// Failed trials at most.
    pub hangs: u8,
    /// True if the primary slot may rot, once.
    pub rots: bool,
    /// One edge in so many is also cut.
    pub cuts: u64,
    /// One state in so many is rescued.
    pub rescues: u64,
    /// States at most; a search that ends earlier has seen all there are.
    pub most: usize,
}

/// What a search saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Distinct states.
    pub states: usize,
    /// Steps between them, cuts included.
    pub edges: usize,
    /// Steps during which power was cut.
    pub cuts: usize,
    /// States that an honest patch was tried from.
    pub rescues: usize,
    /// The longest of all shortest paths.
    pub depth: usize,
    /// True if no state is left to be explored.
    pub whole: bool,
    /// What the device answered to bundles, how releases came in, and what started: a check that none of it is idle.
    pub met: BTreeSet<String>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.whole { "to the fixed point" } else { "to its limit" };
        let (states, edges, cuts) = (self.states, self.edges, self.cuts);
        write!(f, "{states} states, {edges} edges ({cuts} cut), {} rescues, ", self.rescues)?;
        write!(f, "depth {}, {end}", self.depth)
    }
}

/// How a state was first reached.
#[derive(Debug, Clone, Copy)]
struct Way {
    from: usize,
    action: Action,
    cut: Option<PowerCut>,
    depth: usize,
}

pub(super) struct Node {
    pub(super) at: usize,
    device: SimDevice,
    pub(super) facts: Facts,
}

pub(super) struct Search<'a> {
    plan: &'a Plan,
    pub(super) oracle: Oracle,
    cures: Cures,
    reach: Reach,
    pub(super) known: HashSet<Key>,
    ways: Vec<Option<Way>>,
    pub(super) next: Vec<Node>,
    seen: Seen,
}

/// Searches a plan.
///
/// # Errors
/// The shortest path to a broken invariant.
pub fn search(plan: &Plan) -> Result<Seen, Wrong> {
    let mut search = Search::new(plan);
    search.begin()?;
    search.run()?;
    Ok(search.seen)
}

impl<'a> Search<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let roots = catalogue::roots();
        let items = catalogue::items(&roots);
        let documents = catalogue::documents(&items);
        let named = |part: &&str, name: &str| {
            if part.ends_with(':') { name.starts_with(*part) } else { name == *part }
        };
        let sends = (0..items.len()).filter(|at| plan.sends.iter().any(|part| named(part, items[*at].name)));
        let sends: Vec<usize> = sends.collect();
        let papers = (0..documents.len()).filter(|at| plan.documents.contains(&documents[*at].name));
        let reach = Reach {
            parts: sends.iter().copied().filter(|at| items[*at].payload).collect(),
            sends,
            documents: papers.collect(),
            hangs: plan.hangs,
            rots: plan.rots,
        };
        Self {
            plan,
            cures: Cures::new(&items),
            reach,
            oracle: Oracle::new(items, documents, roots),
            known: HashSet::new(),
            ways: Vec::new(),
            next: Vec::new(),
            seen: Seen::default(),
        }
    }

    pub(super) fn begin(&mut self) -> Result<(), Wrong> {
        let config = Config { address: None, soak: self.plan.soak, fenced: false };
        let owned = factory(self.plan.policy, true);
        let first: Release = first();
        let mut device = SimDevice::with(config, GEOMETRY, &first, owned, 1, Torn::Stable);
        for item in &self.oracle.items {
            std::ops::DerefMut::deref_mut(&mut device).expect(item.manifest, sha256(&item.image));
        }
        device.restart(Cause::PowerOn);
        self.ways.push(None);
        let read = Facts::of(&mut device, &self.oracle.items, false);
        let (facts, key) = read.map_err(|text| self.path(0, None, &text))?;
        self.known.insert(key);
        self.next.push(Node { at: 0, device, facts });
        Ok(())
    }

    pub(super) fn run(&mut self) -> Result<(), Wrong> {
        loop {
            let level = std::mem::take(&mut self.next);
            if level.is_empty() {
                self.seen.whole = true;
                break;
            }
            for node in level {
                if self.ways.len() >= self.plan.most {
                    self.seen.states = self.ways.len();
                    return Ok(());
                }
                self.expand(&node)?;
            }
        }
        self.seen.states = self.ways.len();
        Ok(())
    }

    fn expand(&mut self, node: &Node) -> Result<(), Wrong> {
        if mix(node.at as u64).is_multiple_of(self.plan.rescues) {
            self.rescued(node)?;
        }
        for action in self.possible(node)? {
            let (answer, known) = self.edge(node, action, None)?;
            let seed = mix((node.at as u64) << 16 ^ self.seen.edges as u64);
            if answer.operations > 0 && !known | seed.is_multiple_of(self.plan.cuts) {
                self.edge(node, action, Some(PowerCut { seed, operations: answer.operations }))?;
            }
        }
        Ok(())
    }

    pub(super) fn rescued(&mut self, node: &Node) -> Result<(), Wrong> {
        self.seen.rescues += 1;
        rescue(&node.device, &node.facts, &self.cures).map_err(|wrong| self.path(node.at, None, &wrong))
    }

    /// What may happen next. The bootloader's own session begins with a start: where that changes something, it is what
    /// happens next.
    pub(super) fn possible(&self, node: &Node) -> Result<Vec<Action>, Wrong> {
        let all = step::enabled(&node.facts, &self.reach);
        if !matches!(node.facts.booted, Boot::Service(_)) {
            return Ok(all);
        }
        let start = Action::Restart(Cause::PowerOn);
        let world = (&self.oracle.items[..], &self.oracle.documents[..]);
        let begun = step::perform(&node.device, &node.facts, start, world, None)
            .and_then(|(mut device, _)| Facts::of(&mut device, world.0, node.facts.rotted));
        let (facts, _) = begun.map_err(|text| self.path(node.at, Some((start, None)), &text))?;
        Ok(if facts == node.facts { all } else { vec![start] })
    }

    /// One edge: done, judged, and its end kept if it is new. Says whether it was known.
    pub(super) fn edge(
        &mut self,
        node: &Node,
        action: Action,
        cut: Option<PowerCut>,
    ) -> Result<(Answer, bool), Wrong> {
        self.seen.edges += 1;
        let wrong = |this: &Self, text: String| this.path(node.at, Some((action, cut)), &text);
        let world = (&self.oracle.items[..], &self.oracle.documents[..]);
        let done = step::perform(&node.device, &node.facts, action, world, cut);
        let (mut device, answer) = done.map_err(|text| wrong(self, text))?;
        self.seen.cuts += usize::from(answer.cut);
        let rotted = node.facts.rotted || action == Action::Rot;
        let (facts, key) =
            Facts::of(&mut device, &self.oracle.items, rotted).map_err(|text| wrong(self, text))?;
        let edge = Edge { old: &node.facts, action, answer, new: &facts };
        self.oracle.judge(&edge).map_err(|text| wrong(self, format!("{text}\n{:?}", answer.said)))?;
        self.keeps_its_word(&edge, &device).map_err(|text| wrong(self, text))?;
        self.note(&edge);
        let known = !self.known.insert(key);
        if !known {
            let at = self.ways.len();
            let depth = self.ways[node.at].map_or(0, |way| way.depth) + 1;
            self.seen.depth = self.seen.depth.max(depth);
            self.ways.push(Some(Way { from: node.at, action, cut, depth }));
            self.next.push(Node { at, device, facts });
        }
        Ok((answer, known))
    }

    fn note(&mut self, edge: &Edge<'_>) {
        let met = &mut self.seen.met;
        if let Some(said) = edge.answer.said.filter(|_| !edge.answer.cut) {
            met.insert(said.map_or_else(|refusal| format!("{refusal:?}"), |outcome| format!("{outcome:?}")));
        }
        if edge.old.v != edge.new.v {
            met.insert(format!("confirms a {:?}", self.oracle.does(edge.old.v, edge.new.v)));
        }
        match edge.new.booted {
            Boot::Run(running) => met.insert(format!("runs {running:?}")),
            Boot::Service(_) => met.insert("service mode".to_owned()),
        };
    }

    /// A trial that a patch ended is ended for it: sent again, it is taken (DESIGN §4, Trial).
    fn keeps_its_word(&self, edge: &Edge<'_>, device: &SimDevice) -> Result<(), String> {
        let Action::Push(at) = edge.action else { return Ok(()) };
        let ended = edge.answer.said == Some(Err(Refusal::SendAgain)) && edge.old.phase.on_trial();
        if !ended || edge.answer.cut || edge.old.root != edge.new.root {
            return Ok(());
        }
        let mut again = device.fork(1, Torn::Stable);
        again.restart(Cause::Requested);
        let bytes = &self.oracle.items[at].bytes;
        let said = again.push(bytes, bytes.len());
        if said.is_ok() { Ok(()) } else { Err(format!("it asked to be sent again, and then says {said:?}")) }
    }

    /// The shortest way to a state, and the step that went wrong.
    pub(super) fn path(&self, at: usize, last: Option<(Action, Option<PowerCut>)>, what: &str) -> Wrong {
        let mut steps: Vec<_> = last.into_iter().collect();
        let mut now = at;
        while let Some(way) = self.ways[now] {
            steps.push((way.action, way.cut));
            now = way.from;
        }
        let called = |(action, cut): &(Action, Option<PowerCut>)| {
            let name = step::name(*action, &self.oracle.items, &self.oracle.documents);
            cut.map_or_else(|| name.clone(), |cut| format!("{name}{cut}"))
        };
        let what = format!("{}: {what}", self.plan.name);
        Wrong { what, steps: steps.iter().rev().map(called).collect() }
    }
}
