//! Which part of the new program is which of the old one: by name, by file, by content.

use super::names;
use super::shape::{End, Program, Ref};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What a part holds, wherever it lies.
type Key = [u8; 32];

/// Old and new side by side.
pub(super) struct Pairing<'p, 'a> {
    pub(super) old: &'p Program<'a>,
    pub(super) new: &'p Program<'a>,
    /// Old part to new ones, and back: several where functions were folded into one, or parted.
    pub(super) forth: Vec<BTreeSet<usize>>,
    pub(super) back: Vec<BTreeSet<usize>>,
    /// Pairs of other names, old and new.
    pub(super) renamed: BTreeSet<(usize, usize)>,
    keys: [Vec<Key>; 2],
    /// Texts of parts without a name, whole.
    texts: [Vec<Option<Vec<u8>>>; 2],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Old,
    New,
}

/// Code shorter than this looks alike by chance, in bytes.
const TELLING: usize = 6;

impl<'p, 'a> Pairing<'p, 'a> {
    pub(super) fn new(old: &'p Program<'a>, new: &'p Program<'a>) -> Self {
        let sides = [old, new].map(|program| vec![BTreeSet::new(); program.parts.len()]);
        let [forth, back] = sides;
        let texts =
            [old, new].map(|program| (0..program.parts.len()).map(|part| program.spelled(part)).collect());
        let keys = [Vec::new(), Vec::new()];
        let mut pairing = Self { old, new, forth, back, renamed: BTreeSet::new(), keys, texts };
        pairing.by_name();
        // What points to something that was found only now is found next.
        for _ in 0..2 {
            pairing.weigh();
            pairing.by_content();
        }
        pairing.by_base();
        pairing.weigh();
        pairing
    }

    pub(super) fn program(&self, side: Side) -> &'p Program<'a> {
        match side {
            Side::Old => self.old,
            Side::New => self.new,
        }
    }

    pub(super) fn key(&self, side: Side, part: usize) -> &Key {
        &self.keys[side as usize][part]
    }

    /// The whole text that begins with a part without a name.
    pub(super) fn text(&self, side: Side, part: usize) -> Option<&[u8]> {
        self.texts[side as usize][part].as_deref()
    }

    fn pair(&mut self, old: usize, new: usize) {
        self.forth[old].insert(new);
        self.back[new].insert(old);
    }

    /// Parts by name: functions and data apart.
    fn groups(&self) -> BTreeMap<(bool, String), [Vec<usize>; 2]> {
        let mut groups: BTreeMap<(bool, String), [Vec<usize>; 2]> = BTreeMap::new();
        for side in [Side::Old, Side::New] {
            let program = self.program(side);
            for (index, part) in program.parts.iter().enumerate() {
                for name in program.names(index) {
                    groups.entry((part.code, name.to_owned())).or_default()[side as usize].push(index);
                }
            }
        }
        groups
    }

    /// Names that stand once on each side, or once in each file.
    fn by_name(&mut self) {
        for (_, [olds, news]) in self.groups() {
            if let ([old], [new]) = (&olds[..], &news[..]) {
                self.pair(*old, *new);
                continue;
            }
            let mut files: BTreeMap<&str, [Vec<usize>; 2]> = BTreeMap::new();
            for (side, parts) in [(Side::Old, &olds), (Side::New, &news)] {
                for part in parts {
                    if let Some(file) = self.program(side).file(*part) {
                        files.entry(file).or_default()[side as usize].push(*part);
                    }
                }
            }
            for [olds, news] in files.into_values() {
                if let ([old], [new]) = (&olds[..], &news[..]) {
                    self.pair(*old, *new);
                }
            }
        }
    }

    /// Names that repeat, by content; what is left of them in order; and other names with the same content.
    fn by_content(&mut self) {
        for (_, [olds, news]) in self.groups() {
            let [olds, news] = self.alone([olds, news]);
            for (old, new) in self.alike(&olds, &news) {
                self.pair(old, new);
            }
            let [olds, news] = self.alone([olds, news]);
            for (old, new) in olds.into_iter().zip(news) {
                self.pair(old, new);
            }
        }
        let telling = |program: &Program<'_>, part: usize| {
            program.name(part).is_some()
                && program.parts[part].code
                && program.shapes[part].code.len() >= TELLING
        };
        let all = [Side::Old, Side::New].map(|side| {
            let program = self.program(side);
            (0..program.parts.len()).filter(|part| telling(program, *part)).collect::<Vec<_>>()
        });
        let [olds, news] = self.alone(all);
        for (old, new) in self.alike(&olds, &news) {
            self.pair(old, new);
            self.renamed.insert((old, new));
        }
    }

    /// Clones and pieces that a compiler made under other suffixes.
    fn by_base(&mut self) {
        let mut groups: BTreeMap<String, [Vec<usize>; 2]> = BTreeMap::new();
        for ((code, name), parts) in self.groups() {
            let group = groups.entry(format!("{code} {}", names::base(&name))).or_default();
            for (all, parts) in group.iter_mut().zip(self.alone(parts)) {
                all.extend(parts);
            }
        }
        for [olds, news] in groups.into_values() {
            if let ([old], [new]) = (&olds[..], &news[..]) {
                self.pair(*old, *new);
            }
        }
    }

    /// Those without a counterpart.
    fn alone(&self, [mut olds, mut news]: [Vec<usize>; 2]) -> [Vec<usize>; 2] {
        olds.retain(|part| self.forth[*part].is_empty());
        news.retain(|part| self.back[*part].is_empty());
        [olds, news]
    }

    /// Pairs of the same content, in order.
    fn alike(&self, olds: &[usize], news: &[usize]) -> Vec<(usize, usize)> {
        let mut waiting: BTreeMap<&Key, Vec<usize>> = BTreeMap::new();
        for new in news.iter().rev() {
            waiting.entry(self.key(Side::New, *new)).or_default().push(*new);
        }
        let found = |old: &usize| Some((*old, waiting.get_mut(self.key(Side::Old, *old))?.pop()?));
        olds.iter().filter_map(found).collect()
    }

    /// What every part holds. What has no name is known by its own content, two levels deep.
    fn weigh(&mut self) {
        for side in [Side::Old, Side::New] {
            let program = self.program(side);
            let mut keys: Vec<Key> =
                program.shapes.iter().map(|shape| Sha256::digest(&shape.code).into()).collect();
            for _ in 0..2 {
                keys = (0..program.parts.len()).map(|part| self.weigh_one(side, part, &keys)).collect();
            }
            self.keys[side as usize] = keys;
        }
    }

    fn weigh_one(&self, side: Side, part: usize, keys: &[Key]) -> Key {
        let shape = &self.program(side).shapes[part];
        let mut hash = Sha256::new();
        hash.update((shape.code.len() as u64).to_le_bytes());
        hash.update(&shape.code);
        hash.update(
            self.program(side).parts[part]
                .size
                .to_le_bytes()
                .map(|byte| if shape.code.is_empty() { byte } else { 0 }),
        );
        for Ref { at, purpose, end } in &shape.refs {
            hash.update(at.to_le_bytes());
            hash.update([*purpose as u8]);
            match end {
                End::Own(offset) => hash.update(format!("own {offset}")),
                End::Name(name, addend) => hash.update(format!("name {name} {addend}")),
                End::Zeros => hash.update("zeros"),
                End::Place(place) => hash.update(format!("place {place}")),
                End::Part(to, offset) => match self.label(side, *to) {
                    Some(label) => hash.update(format!("part {label} {offset}")),
                    None => {
                        hash.update(keys[*to]);
                        hash.update(offset.to_le_bytes());
                    }
                },
            }
        }
        hash.finalize().into()
    }

    /// What a part with a name is called on both sides: by the first of the new one's numbers, once it is known.
    fn label(&self, side: Side, part: usize) -> Option<String> {
        let name = self.program(side).name(part)?;
        let new = match side {
            Side::Old => self.forth[part].first().copied(),
            Side::New => (!self.back[part].is_empty()).then_some(part),
        };
        Some(new.map_or_else(|| format!("{name:?}"), |new| new.to_string()))
    }

    /// Whether two sites point to the same.
    pub(super) fn same_end(&self, old: &End, new: &End) -> bool {
        match (old, new) {
            (End::Part(old, a), End::Part(new, b)) => {
                a == b
                    && match (self.old.name(*old), self.new.name(*new)) {
                        (None, None) => {
                            let text = self.text(Side::Old, *old);
                            self.key(Side::Old, *old) == self.key(Side::New, *new)
                                || text.is_some() && text == self.text(Side::New, *new)
                        }
                        _ => self.forth[*old].contains(new),
                    }
            }
            (old, new) => old == new,
        }
    }

    /// Whether two sites are the same.
    pub(super) fn same_ref(&self, old: &Ref, new: &Ref) -> bool {
        (old.at, old.purpose) == (new.at, new.purpose) && self.same_end(&old.end, &new.end)
    }

    /// Whether two parts hold the same.
    pub(super) fn same(&self, old: usize, new: usize) -> bool {
        let (a, b) = (&self.old.shapes[old], &self.new.shapes[new]);
        let zeroed = a.code.is_empty() && b.code.is_empty();
        a.code == b.code
            && (!zeroed || self.old.parts[old].size == self.new.parts[new].size)
            && a.refs.len() == b.refs.len()
            && a.refs.iter().zip(&b.refs).all(|(a, b)| self.same_ref(a, b))
    }
}
