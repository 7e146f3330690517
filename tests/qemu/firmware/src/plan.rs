//! Where a test wants power to fail. The plan lies in RAM that resets leave alone, so it goes with the machine from the
//! application into the bootloader; a power cut forgets it.
//!
//! `:K` and in hexadecimal: event (1 digit), its number (1), how (1), flash operations from then on (4). Without
//! operations power fails at the event itself. The machine then says so and stands still until its power is really cut.

use crate::{Board, Cells, Here, Line, say};

/// What operations are counted from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The request itself.
    Now = 1,
    /// Blocks begin to move.
    Moves = 2,
    /// A release begins its trial.
    Trial = 3,
    /// A release was confirmed.
    Confirmed = 4,
}

/// How far the operation comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Not at all.
    Before,
    /// Torn.
    Middle,
    /// It is done.
    After,
}

/// Takes a request; true if it was one.
pub fn take(line: &[u8]) -> bool {
    let [b':', b'K', rest @ ..] = line else { return false };
    let mut digits = rest.iter().filter_map(|byte| char::from(*byte).to_digit(16));
    let mut next = || digits.next().unwrap_or(0);
    let plan = next() << 8 | next() << 4 | next();
    let count = (0..4).fold(0, |sum, _| sum << 4 | next());
    let cells = Here::cells();
    cells.set(Cells::PLAN, plan);
    cells.set(Cells::COUNTDOWN, count);
    true
}

/// Says how many flash operations there were since power came on, if that is asked.
pub fn tell(line: &[u8], to: &mut Line) -> bool {
    if line == b":N" {
        to.print(format_args!(":D{}\r\n", Here::cells().get(Cells::OPERATIONS)));
    }
    line == b":N"
}

fn how(plan: u32) -> How {
    match plan & 15 {
        0 => How::Before,
        1 => How::Middle,
        _ => How::After,
    }
}

/// Something happened that operations may be counted from.
pub fn reached(event: Event) {
    let cells = Here::cells();
    let plan = cells.get(Cells::PLAN);
    if plan >> 8 != event as u32 {
        return;
    }
    match plan >> 4 & 15 {
        0 | 1 if cells.get(Cells::COUNTDOWN) == 0 => fail(),
        0 | 1 => cells.set(Cells::PLAN, (Event::Now as u32) << 8 | plan & 15),
        _ => cells.set(Cells::PLAN, plan - 16),
    }
}

/// Counts a flash operation; `Some` if power fails during it.
pub fn operate() -> Option<How> {
    let cells = Here::cells();
    cells.set(Cells::OPERATIONS, cells.get(Cells::OPERATIONS) + 1);
    let (plan, left) = (cells.get(Cells::PLAN), cells.get(Cells::COUNTDOWN));
    if plan >> 8 != Event::Now as u32 || left == 0 {
        return None;
    }
    cells.set(Cells::COUNTDOWN, left - 1);
    (left == 1).then(|| how(plan))
}

/// The same noise each time.
pub fn noise(at: u32) -> u32 {
    let mut bits = at.wrapping_add(Here::cells().get(Cells::OPERATIONS)).wrapping_mul(0x9e37_79b1);
    bits ^= bits >> 15;
    bits = bits.wrapping_mul(0x85eb_ca77);
    bits ^ bits >> 13
}

/// Power fails: nothing happens any more.
pub fn fail() -> ! {
    say(format_args!("power fails"));
    loop {
        Here::feed();
    }
}
