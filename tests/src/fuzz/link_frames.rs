//! The service link, both ways: what a device hears from anyone, and what a host hears from any device.

use super::Choices;
use crate::sim::cases::{patch, story};
use crate::sim::{SimDevice, Torn};
use crate::vectors::{all, describe::rewrite};
use patchlane::ear::{Ear, Heard};
use patchlane::link::Link;
use patchlane_device::Cause;
use patchlane_device::service::{Application, OUT};
use patchlane_protocol::limits;
use patchlane_protocol::link::{Command, Deframer, Reply, STUFFED, encode_frame};
use std::io::{Read, Write};
use std::sync::LazyLock;

/// An input: which part of it is to be played; then bytes on the line.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.byte() % 4 {
        0 => both_hear(choices.rest()),
        1 => in_step(&mut choices),
        2 => serves(&mut choices),
        _ => asks(&mut choices),
    }
}

/// Frames as the deframer takes them.
fn frames(line: &[u8]) -> Vec<Vec<u8>> {
    let mut deframer = Deframer::new();
    let content = |byte: &u8| deframer.push(*byte).ok().flatten().map(<[u8]>::to_vec);
    line.iter().filter_map(content).collect()
}

/// What the host's ear makes of a line.
fn heard(line: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut ear = Ear::default();
    let mut all: Vec<Heard> = line.iter().flat_map(|byte| ear.push(*byte)).collect();
    all.extend(ear.rest());
    let (mut frames, mut lines) = (Vec::new(), Vec::new());
    for heard in all {
        match heard {
            Heard::Frame(content) => frames.push(content),
            Heard::Line(line) => lines.push(line),
        }
    }
    (frames, lines)
}

fn framed(content: &[u8]) -> Vec<u8> {
    encode_frame(content, &mut [0; STUFFED + 4]).expect("it is no longer than a frame").to_vec()
}

/// Any bytes: both ends hear the same frames; what is a command or a reply has one spelling; text is no longer than what
/// came.
fn both_hear(line: &[u8]) {
    let contents = frames(line);
    let (told, lines) = heard(line);
    assert_eq!(told, contents, "the two ends hear different frames");
    assert!(lines.iter().map(Vec::len).sum::<usize>() <= line.len(), "it hears more than was said");
    for content in contents {
        assert!(content.len() <= limits::FRAME);
        assert_eq!(
            frames(&framed(&content)),
            std::slice::from_ref(&content),
            "a frame that doesn't come back"
        );
        for document in ["command", "reply"] {
            if let Ok(again) = rewrite(document, &content) {
                assert_eq!(again, content, "a second spelling of one {document}");
            }
        }
    }
}

/// Frames between lines of text: every one of either is heard, by the host; every frame, by the device.
fn in_step(choices: &mut Choices<'_>) {
    let (mut line, mut contents, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    while !choices.is_empty() {
        let text = choices.flag();
        let length = choices.below(limits::FRAME + 1);
        let bytes = choices.take(length);
        if text {
            let words: Vec<u8> = bytes.iter().copied().filter(|b| !b"\0\r\n".contains(b)).collect();
            // A whole frame without its delimiters is one, whoever printed it.
            if !words.is_empty() && frames(&[&words[..], &[0]].concat()).is_empty() {
                line.extend(&words);
                line.push(b'\n');
                texts.push(words);
            }
        } else {
            line.extend(framed(bytes));
            contents.push(bytes.to_vec());
        }
    }
    assert_eq!(frames(&line), contents, "the device hears other frames");
    assert_eq!(heard(&line), (contents, texts), "the host hears something else");
}

/// Grants what a byte says.
struct Grants(u8);

impl Application for Grants {
    fn grants(&mut self, _: &Command<'_>) -> bool {
        self.0 = self.0.rotate_left(1);
        self.0 & 1 == 1
    }
}

/// A device that has an owner and runs `4.1 s7`.
static DEVICE: LazyLock<SimDevice> = LazyLock::new(|| {
    let mut device = story();
    device.expect(&patch(4, 8, 2));
    device
});

/// Any frames at a device: each has an answer, which the host understands; what runs stays what it was, and boots.
fn serves(choices: &mut Choices<'_>) {
    let mut device = DEVICE.fork(1, Torn::Stable);
    device.restart(Cause::PowerOn);
    let mut application = Grants(choices.byte());
    let (mut deframer, mut out) = (Deframer::new(), [0; OUT]);
    let before = device.status();
    let mut answers = 0;
    for byte in choices.rest() {
        if let Ok(Some(content)) = deframer.push(*byte) {
            let served = device.machine.serve(content, &mut application, &mut out);
            let (told, lines) = heard(served.frame);
            assert!(lines.is_empty() && told.len() == 1, "an answer that isn't one frame");
            Reply::parse(&told[0]).expect("an answer the host understands");
            answers += 1;
        }
        if answers > 64 {
            break;
        }
    }
    assert!(device.power.violations().is_empty(), "{:?}", device.power.violations());
    device.restart(Cause::PowerOn);
    let after = device.status();
    assert_eq!(after.confirmed, before.confirmed, "frames without a signature changed what runs");
    assert!(after.serial >= before.serial && after.root_version >= before.root_version);
}

/// A port at whose other end is anyone: reads what is there in pieces, then it is unplugged.
struct Anyone {
    line: Vec<u8>,
    at: usize,
    piece: usize,
}

impl Read for Anyone {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.line[self.at..];
        let length = rest.len().min(into.len()).min(self.piece);
        into[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }
}

impl Write for Anyone {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Any answers to a host: it ends, with an error that says something or what was really told.
fn asks(choices: &mut Choices<'_>) {
    static BUNDLE: LazyLock<Vec<u8>> = LazyLock::new(|| patch(4, 8, 2).bytes());
    let (verb, piece) = (choices.byte(), choices.below(256) + 1);
    let mut line = Vec::new();
    // Whole frames of what the bytes say, so that a checksum doesn't have to be guessed; or bytes as they are.
    if verb & 0x80 == 0 {
        while !choices.is_empty() {
            let length = choices.below(limits::FRAME + 1);
            line.extend(framed(choices.take(length)));
        }
    } else {
        line = choices.rest().to_vec();
    }
    let said = frames(&line);
    let mut link = Link::over(Anyone { line, at: 0, piece });
    let failed = match verb % 3 {
        0 => link.status().map(|_| assert!(!said.is_empty(), "a status that nobody told")).err(),
        1 => {
            link.push(&BUNDLE, |_| {}).map(|_| assert!(!said.is_empty(), "an outcome that nobody told")).err()
        }
        _ => link.request(&Command::Reboot).map(|_| assert!(!said.is_empty())).err(),
    };
    if let Some(error) = failed {
        assert!(!error.what.is_empty() && !error.next.is_empty(), "{error:?}");
    }
}

/// The frames among the vectors, and conversations.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for vector in all() {
        let input = vector.bytes("input");
        match vector.document {
            "frame" => seeds.push((vector.name.to_owned(), [&[0], input].concat())),
            "command" => seeds.push((vector.name.to_owned(), [&[2, 0xaa], &framed(input)[..]].concat())),
            "reply" if input.len() <= 255 => {
                let verb = if input.first() == Some(&0x81) { 0 } else { 1 };
                let length = (input.len() as u16).to_le_bytes();
                seeds.push((vector.name.to_owned(), [&[3, verb, 99], &length[..], input].concat()));
            }
            _ => {}
        }
    }
    let bundle = patch(4, 8, 2).bytes();
    let mut transfer = vec![2, 0xff];
    transfer.extend(framed(&[2]));
    for (at, bytes) in (0u32..).step_by(limits::FRAME_DATA).zip(bundle.chunks(limits::FRAME_DATA)) {
        let mut content = [0; limits::FRAME];
        let mut writer = patchlane_protocol::Writer::new(&mut content);
        Command::Data { offset: at, bytes }.write(&mut writer).expect("it fits");
        transfer.extend(framed(writer.finish()));
    }
    seeds.push(("transfer".into(), transfer));
    let text = [&[1, 0, 5, 0][..], b"hello", &[1, 9, 0], b"some text", &[0, 3, 0, 1, 0, 2]].concat();
    seeds.push(("text-and-frames".into(), text));
    seeds
}
