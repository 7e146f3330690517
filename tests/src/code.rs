//! Programs that look like compiled ones to whoever predicts code: functions that call each other and load what lies
//! elsewhere, and two tables of pointers to them. Edit one, link it again, and everything that refers to something changes.
//! And the device's decoder of deltas, fed piece by piece.

use patchlane::flash::mix;
use patchlane_device::delta::{BadDelta, Decoder, Input as Chunk, Isa, Need, Window as Base};

/// What a function does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Some instruction that refers to nothing; which one is its number.
    Plain(u32),
    /// Calls the function with this name.
    Call(u32),
    /// Makes the address of the function with this name: a pair on RV32 (the second instruction varies), else a call.
    Refer(u32),
}

/// A program.
#[derive(Debug, Clone)]
pub struct Program {
    isa: Isa,
    /// Name and body, in the order of their addresses.
    functions: Vec<(u32, Vec<Op>)>,
}

impl Program {
    /// So many functions of random bodies.
    pub fn new(isa: Isa, seed: u64, functions: u32) -> Self {
        let function = |name| (name, body(mix(seed ^ u64::from(name)), functions));
        Self { isa, functions: (0..functions).map(function).collect() }
    }

    /// What a fix makes of it: a function grows at `place`, another shrinks, a new one comes between others. Wraps.
    pub fn fixed(&self, place: usize) -> Self {
        let mut fixed = self.clone();
        let count = fixed.functions.len();
        let grown = &mut fixed.functions[place % count].1;
        let middle = grown.len() / 2;
        grown.splice(middle..middle, [1, 2, 3, 4].map(Op::Plain));
        let shrunk = &mut fixed.functions[(place + count / 2) % count].1;
        shrunk.truncate(shrunk.len() - 2);
        let name = count as u32;
        fixed.functions.insert((place + count / 3) % count, (name, body(u64::from(name), name)));
        fixed
    }

    /// Its bytes at this address; two equal tables of pointers to all functions end it.
    pub fn linked(&self, address: u32) -> Vec<u8> {
        let mut places = vec![0; self.functions.len()];
        for (name, place, _) in self.places() {
            places[name as usize] = place;
        }
        let mut bytes = Vec::new();
        for (_, body) in &self.functions {
            for op in body {
                self.emit(&mut bytes, *op, &places);
            }
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let thumb = u32::from(self.isa == Isa::Thumb);
        let table: Vec<u8> =
            places.iter().flat_map(|place| ((address + place) | thumb).to_le_bytes()).collect();
        [bytes, table.repeat(2)].concat()
    }

    /// Name, offset and length in bytes of every function, by offset.
    pub fn places(&self) -> Vec<(u32, u32, u32)> {
        let mut end = 0;
        let place = |(name, body): &(u32, Vec<Op>)| {
            let length = body.iter().map(|op| self.length(*op)).sum::<u32>().next_multiple_of(4);
            end += length;
            (*name, end - length, length)
        };
        self.functions.iter().map(place).collect()
    }

    /// True if both do the same in the function with this name.
    pub fn shares(&self, other: &Self, name: u32) -> bool {
        let body = |of: &Self| of.functions.iter().find(|f| f.0 == name).map(|f| f.1.clone());
        body(self).is_some() && body(self) == body(other)
    }

    fn length(&self, op: Op) -> u32 {
        match (self.isa, op) {
            (Isa::Thumb, Op::Plain(_)) => 2,
            (Isa::Riscv, Op::Plain(n)) => 2 + n % 2 * 2,
            (Isa::Riscv, Op::Refer(_)) => 8,
            _ => 4,
        }
    }

    fn emit(&self, bytes: &mut Vec<u8>, op: Op, places: &[u32]) {
        let at = bytes.len() as u32;
        let by = |name: u32| places[name as usize].wrapping_sub(at);
        match (self.isa, op) {
            (Isa::Thumb, Op::Plain(n)) => bytes.extend((0x2000 | n as u16 & 0x1fff).to_le_bytes()),
            (Isa::Thumb, Op::Call(to) | Op::Refer(to)) => bytes.extend(bl(by(to).wrapping_sub(4))),
            (Isa::Riscv, Op::Plain(n)) if n % 2 == 0 => bytes.extend((1 | n as u16 & 0x1ffc).to_le_bytes()),
            (Isa::Riscv, Op::Plain(n)) => bytes.extend((n & 0xffff_ff80 | 0x33).to_le_bytes()),
            (Isa::Riscv, Op::Call(to)) => bytes.extend(jal(by(to)).to_le_bytes()),
            (Isa::Riscv, Op::Refer(to)) => bytes.extend(pair(by(to), to)),
            (_, Op::Plain(n)) => bytes.extend((n & 0x01ff_ffff | 0xe000_0000).to_le_bytes()),
            (_, Op::Call(to) | Op::Refer(to)) => {
                let by = by(to).wrapping_sub(8) >> 2 & 0x00ff_ffff;
                bytes.extend((0xeb00_0000 | by).to_le_bytes());
            }
        }
    }
}

fn body(seed: u64, names: u32) -> Vec<Op> {
    let op = |n: u64| {
        let word = mix(seed ^ n << 32);
        let name = (word >> 32) as u32 % names;
        match word % 8 {
            0 | 1 => Op::Call(name),
            2 => Op::Refer(name),
            _ => Op::Plain((word >> 8) as u32),
        }
    };
    (0..12 + seed % 20).map(op).collect()
}

/// Thumb `BL`, encoding T1, as Arm's manual gives it: S:I1:I2:imm10:imm11:0.
fn bl(by: u32) -> [u8; 4] {
    let bit = |n: u32| by >> n & 1;
    let j = |n: u32| 1 - (bit(n) ^ bit(24));
    let high = 0b11110 << 11 | bit(24) << 10 | by >> 12 & 0x3ff;
    let low = 0b11 << 14 | j(23) << 13 | 1 << 12 | j(22) << 11 | by >> 1 & 0x7ff;
    (low << 16 | high).to_le_bytes()
}

/// RISC-V `JAL ra`: imm[20|10:1|11|19:12].
fn jal(by: u32) -> u32 {
    (by >> 20 & 1) << 31 | (by >> 1 & 0x3ff) << 21 | (by >> 11 & 1) << 20 | by & 0x000f_f000 | 1 << 7 | 0x6f
}

/// `AUIPC t0` and one of `JALR ra`, `ADDI`, `LW`, `SW` on it.
fn pair(by: u32, which: u32) -> Vec<u8> {
    let low = by & 0xfff;
    let second = match which % 4 {
        0 => low << 20 | 5 << 15 | 1 << 7 | 0x67,
        1 => low << 20 | 5 << 15 | 10 << 7 | 0x13,
        2 => low << 20 | 5 << 15 | 2 << 12 | 10 << 7 | 0x03,
        _ => low >> 5 << 25 | 10 << 20 | 5 << 15 | 2 << 12 | (low & 31) << 7 | 0x23,
    };
    let first = by.wrapping_add(0x800) & 0xffff_f000 | 5 << 7 | 0x17;
    [first.to_le_bytes(), second.to_le_bytes()].concat()
}

/// Decodes in chunks of one size, looking at the base through windows of another.
///
/// # Errors
/// The decoder's.
pub fn decode(
    base: &[u8],
    data: &[u8],
    size: usize,
    chunk: usize,
    window: usize,
) -> Result<Vec<u8>, BadDelta> {
    let mut decoder = Decoder::new();
    decoder.begin(base.len() as u32, size as u32);
    let mut chunks = data.chunks(chunk).peekable();
    let mut at = chunks.next().unwrap_or(&[]);
    let (mut view, mut image, mut steps) = (Base { at: 0, bytes: &[] }, Vec::new(), 0);
    loop {
        steps += 1;
        assert!(steps < 4 * size + data.len() + 1_000, "it doesn't end");
        match decoder.run(Chunk { chunk: at, last: chunks.peek().is_none() }, view)? {
            Need::Input => at = chunks.next().expect("a chunk"),
            Need::Base(old) => {
                let old = old as usize;
                assert!(old < base.len(), "outside the base");
                view = Base { at: old as u32, bytes: &base[old..base.len().min(old + window)] };
            }
            Need::Page => {
                let (place, page) = decoder.page();
                assert_eq!(place as usize, image.len());
                image.extend(page);
                decoder.turn();
            }
            Need::End => return Ok(image),
        }
    }
}
