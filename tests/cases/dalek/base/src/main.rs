//! A meter: it signs its readings with its own key, and takes settings that the operator signed.

#![no_std]
#![no_main]

mod start;

use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};

/// What the line carries at most.
const FRAME: usize = 128;
/// The operator's key.
const OPERATOR: [u8; 32] = *b"\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";

struct Meter {
    key: SigningKey,
    total: u32,
    interval: u16,
}

impl Meter {
    /// A reading, with a signature of the device.
    #[inline(never)]
    fn reading(&self, nonce: &[u8]) -> [u8; 72] {
        let mut text = [0; 24];
        text[..4].copy_from_slice(&self.total.to_be_bytes());
        text[4..6].copy_from_slice(&self.interval.to_be_bytes());
        let length = nonce.len().min(16);
        text[8..8 + length].copy_from_slice(&nonce[..length]);
        let mut answer = [0; 72];
        answer[..8].copy_from_slice(&text[..8]);
        answer[8..].copy_from_slice(&self.key.sign(&text).to_bytes());
        answer
    }

    /// Settings that the operator signed.
    #[inline(never)]
    fn settings(&mut self, frame: &[u8]) -> Option<()> {
        let (text, signature) = frame.split_at_checked(2)?;
        let signature = Signature::from_slice(signature).ok()?;
        VerifyingKey::from_bytes(&OPERATOR).ok()?.verify(text, &signature).ok()?;
        self.interval = u16::from_be_bytes([text[0], text[1]]);
        Some(())
    }

    /// Answers a request: its first byte says what is asked for.
    #[inline(never)]
    fn answer(&mut self, frame: &[u8]) {
        match frame {
            [b'R', nonce @ ..] => start::send(&self.reading(nonce)),
            [b'S', rest @ ..] => {
                let done = self.settings(rest).is_some();
                start::send(if done { b"ok" } else { b"refused" });
            }
            _ => start::send(b"?"),
        }
    }
}

pub(crate) fn run() -> ! {
    // The device's own key is written beside the firmware at the factory.
    let secret = unsafe { (0x0001_f000 as *const [u8; 32]).read_volatile() };
    let mut meter = Meter { key: SigningKey::from_bytes(&secret), total: 0, interval: 60 };
    let mut frame = [0; FRAME];
    loop {
        let length = usize::from(start::receive()).min(FRAME);
        for byte in frame.iter_mut().take(length) {
            *byte = start::receive();
        }
        meter.total = meter.total.wrapping_add(1);
        meter.answer(&frame[..length]);
    }
}
