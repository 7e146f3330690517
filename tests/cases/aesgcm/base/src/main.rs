//! A valve: it opens commands that the control room sealed, and keeps the last frame for whoever looks for faults.

#![no_std]
#![no_main]

mod start;

use aes_gcm::aead::{AeadInPlace, KeyInit};
use aes_gcm::{Aes128Gcm, Key, Nonce, Tag};

/// What the line carries at most.
const FRAME: usize = 96;
const NONCE: usize = 12;
const TAG: usize = 16;

struct Valve {
    cipher: Aes128Gcm,
    opening: u8,
    last: [u8; FRAME],
}

impl Valve {
    /// Opens a command in place; nonce, text, tag.
    #[inline(never)]
    fn open(&mut self, frame: &mut [u8]) -> Option<u8> {
        let text = frame.len().checked_sub(NONCE + TAG)?;
        let (nonce, rest) = frame.split_at_mut(NONCE);
        let (text, tag) = rest.split_at_mut(text);
        let opened = self.cipher.decrypt_in_place_detached(
            Nonce::from_slice(nonce),
            b"valve",
            text,
            Tag::from_slice(tag),
        );
        // Whatever came of it stays here for the service console.
        self.last[..text.len()].copy_from_slice(text);
        opened.ok()?;
        text.first().copied()
    }

    /// Answers a request: its first byte says what is asked for.
    #[inline(never)]
    fn answer(&mut self, frame: &mut [u8]) {
        match frame {
            [b'C', sealed @ ..] => match self.open(sealed) {
                Some(opening) => {
                    self.opening = opening.min(100);
                    start::send(b"ok");
                }
                None => start::send(b"refused"),
            },
            [b'L'] => start::send(&self.last),
            [b'?'] => start::send(&[self.opening]),
            _ => start::send(b"?"),
        }
    }
}

pub(crate) fn run() -> ! {
    // The device's own key is written beside the firmware at the factory.
    let secret = unsafe { (0x0001_f000 as *const [u8; 16]).read_volatile() };
    let cipher = Aes128Gcm::new(Key::<Aes128Gcm>::from_slice(&secret));
    let mut valve = Valve { cipher, opening: 0, last: [0; FRAME] };
    let mut frame = [0; FRAME];
    loop {
        let length = usize::from(start::receive()).min(FRAME);
        for byte in frame.iter_mut().take(length) {
            *byte = start::receive();
        }
        valve.answer(&mut frame[..length]);
    }
}
