//! The demo application's work: a small Modbus-like register server.
//!
//! A request is a line `:R AA CC` in hexadecimal (first register, how many); the answer is `:D` and so many words, or
//! `:E` and a code. Up to 4.1 s7 the server checks against the wrong bound and gives away what lies behind the
//! registers; the patch 4.1 s8 corrects one comparison; the feature update 5.0 adds a register.

use crate::Line;

/// What the plant may read.
#[cfg(not(feature = "flow"))]
pub const REGISTERS: [u16; 4] = [230, 501, 17, 1];
/// What the plant may read: the last one is new.
#[cfg(feature = "flow")]
pub const REGISTERS: [u16; 5] = [230, 501, 17, 1, 42];
/// What lies behind: nobody's business.
const SECRET: [u16; 4] = [0xdead, 0xbeef, 0xcafe, 0xf00d];

/// Registers and secret, one after the other, as a linker would lay them out.
fn memory(at: usize) -> u16 {
    match REGISTERS.get(at) {
        Some(register) => *register,
        None => SECRET.get(at - REGISTERS.len()).copied().unwrap_or(0),
    }
}

/// How far a request may reach.
#[cfg(feature = "fix")]
pub const BOUND: usize = REGISTERS.len();
/// How far a request may reach. (CVE-2027-4108: the bound of the buffer, not of the registers.)
#[cfg(not(feature = "fix"))]
pub const BOUND: usize = REGISTERS.len() + SECRET.len();

fn digit(byte: u8) -> Option<usize> {
    char::from(byte).to_digit(16).map(|digit| digit as usize)
}

/// Answers one request.
pub fn answer(line: &[u8], to: &mut Line) {
    let &[b':', b'R', a, b, c, d] = line else {
        to.print(format_args!(":E01\r\n"));
        return;
    };
    let (Some(a), Some(b), Some(c), Some(d)) = (digit(a), digit(b), digit(c), digit(d)) else {
        to.print(format_args!(":E03\r\n"));
        return;
    };
    let (first, count) = (a * 16 + b, c * 16 + d);
    if count == 0 || first + count > BOUND {
        to.print(format_args!(":E02\r\n"));
        return;
    }
    to.print(format_args!(":D"));
    for at in first..first + count {
        to.print(format_args!("{:04x}", memory(at)));
    }
    to.print(format_args!("\r\n"));
}
