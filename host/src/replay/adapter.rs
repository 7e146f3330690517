//! The adapter: a command of the vendor's that sends inputs to a device with an image, and writes down the answers.
//!
//! It is run once for each session, image and run, in the folder of patchlane.toml. Inputs are lines `NUMBER text …` or
//! `NUMBER hex …`; it writes a line for each, in order: `NUMBER text …`, `hex …`, `silence`, or `gone WHY`, after which
//! nothing more is expected. What is missing is an error: a broken adapter shows nothing.

use super::Side;
use super::answer::Answer;
use super::recording::Session;
use crate::bundle::{Linked, sha256};
use crate::config::{Config, Replay};
use crate::error::{Code, Error, Result};
use crate::files::{self, Temporary};
use crate::output::plural;
use serde_json::{Value, json};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a word of the command may hold, in braces.
const PLACES: [&str; 7] = ["image", "address", "digest", "side", "session", "inputs", "outputs"];

/// An image to play.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Whose.
    pub side: Side,
    /// The address that it is linked for.
    pub address: Option<u32>,
    /// Its bytes, as devices get them.
    pub bytes: &'a [u8],
}

impl<'a> Image<'a> {
    /// The image of a release.
    pub fn of(side: Side, linked: &'a Linked) -> Self {
        Self { side, address: linked.address, bytes: &linked.bytes }
    }

    /// Its SHA-256.
    pub fn digest(&self) -> String {
        sha256(self.bytes).to_string()
    }
}

/// A configured adapter.
#[derive(Debug)]
pub struct Adapter<'a> {
    config: &'a Config,
    section: &'a Replay,
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(Code::Adapter, what, "see that the adapter does what `patchlane replay --help` says of it")
}

/// A word with what stands in braces exchanged, once: what it is exchanged for may hold braces itself.
fn filled(word: &str, values: &dyn Fn(&str) -> Option<String>) -> String {
    let (mut text, mut rest) = (String::new(), word);
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let place = after.split_once('}').and_then(|(name, after)| Some((values(name)?, after)));
        match place {
            Some((value, after)) => {
                text.push_str(&value);
                rest = after;
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text + rest
}

/// A place that isn't there, of those that look like one: `{imag}`.
fn unknown(word: &str) -> Option<&str> {
    let mut names = word.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase());
    names.find(|name| is_name(name) && !PLACES.contains(name))
}

impl<'a> Adapter<'a> {
    /// The adapter that patchlane.toml names.
    ///
    /// # Errors
    /// `config`: there is none, or its command lacks what it needs.
    pub fn of(config: &'a Config) -> Result<Self> {
        let no = |what: &str, next: &str| Error::new(Code::Config, what, next).at(config.file.display());
        let next = "say how inputs get to a device: [replay] command, see `patchlane replay --help`";
        let section = config.replay.as_ref().ok_or_else(|| no("has no [replay]", next))?;
        let has = |place: &str| section.command.iter().any(|word| word.contains(&format!("{{{place}}}")));
        if section.command.first().is_none_or(|program| program.is_empty()) {
            return Err(no("[replay] command is empty", next));
        }
        if let Some(place) = section.command.iter().find_map(|word| unknown(word)) {
            let places = PLACES.map(|place| format!("{{{place}}}")).join(", ");
            return Err(no(&format!("[replay] command names {{{place}}}"), &format!("there are: {places}")));
        }
        if !has("inputs") || !has("outputs") {
            return Err(no("[replay] command lacks {inputs} or {outputs}", "name both: they are files"));
        }
        if !["image", "digest", "side"].into_iter().any(has) {
            let next = "give it {image}, {digest} or {side}";
            return Err(no("[replay] command is the same for base and patch", next));
        }
        Ok(Self { config, section })
    }

    /// How often each image is played.
    pub fn runs(&self) -> u16 {
        self.section.runs
    }

    /// What it is, for a statement: its command, and the files among its words, of both sides where a word says so.
    pub fn value(&self) -> Value {
        let words = self.section.command.iter();
        let mut names: Vec<String> =
            words.flat_map(|word| Side::BOTH.map(|side| word.replace("{side}", side.name()))).collect();
        names.dedup();
        let file = |word: &String| {
            let bytes = files::read(&self.config.path(Path::new(word))).ok()?;
            Some(json!({ "name": word, "sha256": sha256(&bytes).to_string() }))
        };
        json!({
            "command": self.section.command,
            "timeout": self.section.timeout,
            "files": names.iter().filter_map(file).collect::<Vec<_>>(),
        })
    }

    /// Plays a session to an image: an answer for each input.
    ///
    /// # Errors
    /// `replay-adapter`: it doesn't run, ends badly or too late, or answers otherwise than it should.
    pub fn play(&self, image: &Image<'_>, session: &Session) -> Result<Vec<Answer>> {
        let folder = Temporary::new()?;
        let path = |name: &str| folder.path().join(name);
        let lines =
            session.inputs.iter().enumerate().map(|(i, input)| format!("{} {}\n", i + 1, input.sent.line()));
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(path(name), bytes).map_err(|e| files::failed(&e, &path(name), "written"))
        };
        write("inputs", lines.collect::<String>().as_bytes())?;
        write("image.bin", image.bytes)?;
        let values = |name: &str| match PLACES.into_iter().find(|place| *place == name)? {
            "image" => Some(path("image.bin").display().to_string()),
            "address" => Some(image.address.map_or(String::new(), |address| format!("{address:#010x}"))),
            "digest" => Some(image.digest()),
            "side" => Some(image.side.name().to_owned()),
            "session" => Some(session.name.clone()),
            file => Some(path(file).display().to_string()),
        };
        let words: Vec<String> = self.section.command.iter().map(|word| filled(word, &values)).collect();
        let about = |e: Error| e.at(format!("session `{}` on the {}:", session.name, image.side.name()));
        self.run(&words, folder.path()).map_err(about)?;
        let outputs = path("outputs");
        match std::fs::metadata(&outputs) {
            Err(_) => return Err(about(wrong("the adapter wrote no outputs"))),
            // A pipe that nobody writes to would be read for ever.
            Ok(there) if !there.is_file() => {
                return Err(about(wrong("the adapter's outputs aren't a regular file")));
            }
            Ok(_) => {}
        }
        answers(&files::read(&outputs)?, session).map_err(|what| about(wrong(what)))
    }

    /// Runs the command to its end, which has to be a good one.
    fn run(&self, words: &[String], temporary: &Path) -> Result<()> {
        let [program, arguments @ ..] = words else { return Err(wrong("the command is empty")) };
        // A program beside patchlane.toml is found there, whatever folder this is.
        let here = Path::new(program).components().count() > 1;
        let folder =
            if self.config.folder.as_os_str().is_empty() { Path::new(".") } else { &self.config.folder };
        let folder = folder.canonicalize().map_err(|e| files::failed(&e, folder, "opened"))?;
        let mut command = if here { Command::new(folder.join(program)) } else { Command::new(program) };
        let stderr = temporary.join("stderr");
        let told = std::fs::File::create(&stderr).map_err(|e| files::failed(&e, &stderr, "written"))?;
        command.args(arguments).current_dir(&folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(told);
        let mut child = Running::start(command, temporary).map_err(|e| {
            let next = "check [replay] command in patchlane.toml: a list of the program and its arguments";
            Error::new(Code::Adapter, format!("`{program}` doesn't run: {e}"), next)
        })?;
        let patience = Duration::from_secs(self.section.timeout.into());
        let Some(status) = child.wait(patience)? else {
            let what = format!("the adapter took longer than {}", plural(patience.as_secs(), "second"));
            let next = "let it say `silence` or `gone` for what isn't answered; or raise [replay] timeout";
            return Err(Error::new(Code::Adapter, what, next));
        };
        if status.success() {
            return Ok(());
        }
        let told = last_line(&stderr).unwrap_or_default();
        let told = if told.is_empty() { "it says nothing" } else { &told };
        Err(wrong(format!("the adapter failed ({status}): {told}")))
    }
}

/// Of a text from outside so much is told, in bytes.
const TOLD: usize = 200;

/// A text from outside, short enough for a sentence.
fn cut(text: &str) -> String {
    let mut end = text.len().min(TOLD);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}

/// The last line of a file, however long that is.
fn last_line(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(end.saturating_sub(4096)))?;
    let mut bytes = Vec::new();
    file.take(4096).read_to_end(&mut bytes)?;
    Ok(cut(String::from_utf8_lossy(&bytes).trim().lines().last().unwrap_or_default().trim()))
}

/// An adapter that runs. It goes with its children when this is dropped, and when patchlane is stopped.
struct Running(Child);

impl Running {
    fn start(mut command: Command, temporary: &Path) -> std::io::Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn()?;
        #[cfg(unix)]
        {
            let (id, folder) = (child.id(), temporary.to_path_buf());
            files::on_interrupt(Some(Box::new(move || {
                kill_group(id);
                let _ = std::fs::remove_dir_all(&folder);
            })));
        }
        #[cfg(not(unix))]
        let _ = temporary;
        Ok(Self(child))
    }

    /// How it ended; nothing if it hasn't by then.
    fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let (until, mut pause) = (Instant::now() + patience, Duration::from_millis(1));
        loop {
            let ended = self.0.try_wait().map_err(|e| wrong(format!("the adapter is lost: {e}")))?;
            if ended.is_some() || Instant::now() >= until {
                return Ok(ended);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

#[cfg(unix)]
fn kill_group(id: u32) {
    let group = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        #[cfg(unix)]
        {
            files::on_interrupt(None);
            // Also after a good end: what it started and left behind would hold the device.
            kill_group(self.0.id());
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The answers to a session's inputs.
fn answers(bytes: &[u8], session: &Session) -> std::result::Result<Vec<Answer>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the outputs aren't text (UTF-8)")?;
    let mut answers: Vec<Answer> = Vec::new();
    for line in text.lines() {
        let name =
            |at: usize| session.inputs.get(at).map_or("an input that isn't there", |input| &input.name);
        if matches!(answers.last(), Some(Answer::Gone(_))) {
            return Err(format!("after `gone`, the outputs go on with `{}`", cut(line)));
        }
        let wanted = answers.len() + 1;
        let (number, answer) = line.split_once(' ').ok_or_else(|| format!("`{}` is no answer", cut(line)))?;
        if number != wanted.to_string() || wanted > session.inputs.len() {
            return Err(format!(
                "`{}` comes where the answer to {wanted}, `{}`, should",
                cut(line),
                name(wanted - 1)
            ));
        }
        answers.push(Answer::of_line(answer).map_err(|what| format!("answer {wanted}: {}", cut(&what)))?);
    }
    if matches!(answers.last(), Some(Answer::Gone(_))) {
        answers.resize(session.inputs.len(), Answer::Unplayed);
    }
    match session.inputs.get(answers.len()) {
        Some(input) => Err(format!(
            "the outputs end after {} of {}: there is no answer to `{}`",
            answers.len(),
            plural(session.inputs.len() as u64, "input"),
            input.name
        )),
        None => Ok(answers),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Input, Sent};
    use super::*;

    fn session() -> Session {
        let input = |name: &str| Input {
            name: name.into(),
            sent: Sent::Text("x".into()),
            advisories: Vec::new(),
            safe: None,
            masks: Vec::new(),
        };
        Session { name: "s".into(), inputs: ["a", "b", "c"].map(input).to_vec() }
    }

    #[test]
    fn every_input_has_an_answer_in_order() {
        let of = |text: &str| answers(text.as_bytes(), &session());
        assert_eq!(of("1 text x\n2 silence\n3 hex 00\n").unwrap().len(), 3);
        assert_eq!(of("1 gone reset\n").unwrap()[1..], [Answer::Unplayed, Answer::Unplayed]);
        for (text, word) in [
            ("", "end after 0 of 3 inputs: there is no answer to `a`"),
            ("1 text x\n2 text y\n", "there is no answer to `c`"),
            ("1 text x\n3 text y\n", "should"),
            ("1 text x\n1 text y\n", "the answer to 2, `b`, should"),
            ("1 text x\n2 silence\n3 hex 00\n4 text more\n", "should"),
            ("1 gone\n2 text x\n", "after `gone`"),
            ("1\n", "is no answer"),
            ("1 ok\n", "none of text"),
        ] {
            let told = of(text).unwrap_err();
            assert!(told.contains(word), "{text:?}: {told}");
        }
        assert!(answers(b"1 text \xff", &session()).is_err());
    }

    #[test]
    fn braces_are_filled_once() {
        let values = |name: &str| (name == "image").then(|| "{side}".to_owned());
        assert_eq!(filled("a{image}b{image}", &values), "a{side}b{side}");
        assert_eq!(filled("{x}{image", &values), "{x}{image");
        assert_eq!((unknown("a{imag}"), unknown("{image}{\"a\":{}}")), (Some("imag"), None));
    }
}
