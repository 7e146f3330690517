//! What is heard on the line: frames of the service link, and lines of text that the device prints between them.
//!
//! Both ends of a frame look alike. So when what seemed a frame isn't one, it was text, and the delimiter that ended it
//! begins the next: whoever starts to listen in mid-frame is in step again after it.

use patchlane_protocol::link::{Deframer, STUFFED};

/// Bytes of a line that are kept together; a longer one is heard in parts.
const LINE: usize = 1024;

/// Something heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A frame's content, its checksum right.
    Frame(Vec<u8>),
    /// A line of text, without its end: whatever bytes they were.
    Line(Vec<u8>),
}

/// Tells frames from text.
#[derive(Debug, Default)]
pub struct Ear {
    frames: Deframer,
    /// A delimiter has come, and what follows it is expected to be a frame.
    inside: bool,
    /// What has come since, in case it isn't.
    seeming: Vec<u8>,
    line: Vec<u8>,
}

impl Ear {
    /// Takes one byte.
    pub fn push(&mut self, byte: u8) -> Vec<Heard> {
        let mut heard = Vec::new();
        let frame = self.frames.push(byte).map(|content| content.map(<[u8]>::to_vec));
        match (byte, frame) {
            (0, Ok(Some(content))) => {
                // Without its first delimiter a frame looked like text so far.
                if !self.inside {
                    self.line.clear();
                }
                self.inside = false;
                self.seeming.clear();
                heard.push(Heard::Frame(content));
            }
            (0, Ok(None)) => self.inside = true,
            (0, Err(_)) => {
                self.say_seeming(&mut heard);
                self.inside = true;
            }
            _ if self.inside => {
                self.seeming.push(byte);
                if self.seeming.len() > STUFFED {
                    self.say_seeming(&mut heard);
                    self.inside = false;
                }
            }
            _ => self.text(byte, &mut heard),
        }
        heard
    }

    /// What was heard of a line that hasn't ended: a prompt, or the last words before silence.
    pub fn rest(&mut self) -> Option<Heard> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() { None } else { Some(Heard::Line(line)) }
    }

    fn say_seeming(&mut self, heard: &mut Vec<Heard>) {
        for byte in std::mem::take(&mut self.seeming) {
            self.text(byte, heard);
        }
    }

    fn text(&mut self, byte: u8, heard: &mut Vec<Heard>) {
        match byte {
            b'\r' => {}
            b'\n' => heard.extend(self.rest()),
            _ => {
                self.line.push(byte);
                if self.line.len() >= LINE {
                    heard.extend(self.rest());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchlane_protocol::link::encode_frame;

    fn frame(content: &[u8]) -> Vec<u8> {
        let mut out = [0; STUFFED + 4];
        encode_frame(content, &mut out).unwrap().to_vec()
    }

    fn hear(bytes: &[u8]) -> (Vec<String>, Vec<Vec<u8>>) {
        let mut ear = Ear::default();
        let mut all: Vec<Heard> = bytes.iter().flat_map(|byte| ear.push(*byte)).collect();
        all.extend(ear.rest());
        let (mut lines, mut frames) = (Vec::new(), Vec::new());
        for heard in all {
            match heard {
                Heard::Line(line) => lines.push(String::from_utf8_lossy(&line).into_owned()),
                Heard::Frame(content) => frames.push(content),
            }
        }
        (lines, frames)
    }

    #[test]
    fn text_and_frames_are_told_apart() {
        let mut bytes = b"boots\r\n# runs\n".to_vec();
        bytes.extend(frame(b"one"));
        bytes.extend(frame(b"two"));
        bytes.extend(b"tail");
        assert_eq!(
            hear(&bytes),
            (vec!["boots".into(), "# runs".into(), "tail".into()], vec![b"one".to_vec(), b"two".to_vec()])
        );
    }

    /// From every byte of a conversation on: at most the frame under way is lost, and no text.
    #[test]
    fn whoever_comes_in_mid_frame_is_in_step_after_it() {
        let first = frame(b"first");
        let mut bytes = first.clone();
        bytes.extend(b"text one\n");
        bytes.extend(frame(b"second"));
        bytes.extend(b"text two\n");
        for from in 0..first.len() {
            let (lines, frames) = hear(&bytes[from..]);
            assert!(frames.ends_with(&[b"second".to_vec()]), "{from}: {frames:?}");
            assert_eq!(lines.last().unwrap(), "text two", "{from}: {lines:?}");
            assert!(lines.iter().any(|line| line.ends_with("text one")), "{from}: {lines:?}");
        }
    }

    #[test]
    fn a_damaged_frame_costs_no_text_after_it() {
        let mut bytes = frame(b"damaged");
        bytes[3] ^= 0x40;
        bytes.extend(b"after it\n");
        bytes.extend(frame(b"good"));
        let (lines, frames) = hear(&bytes);
        assert_eq!(frames, [b"good"]);
        assert!(lines.iter().any(|line| line.ends_with("after it")), "{lines:?}");
    }

    #[test]
    fn nothing_grows_without_bounds() {
        let mut ear = Ear::default();
        ear.push(0);
        for _ in 0..100_000 {
            ear.push(b'x');
        }
        assert!(ear.line.len() < LINE && ear.seeming.len() <= STUFFED);
    }
}
