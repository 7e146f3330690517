//! A recording: what is sent, session by session, and which answers may differ.

use super::answer::{Answer, Mask, Sent};
use crate::error::{Code, Error, Result};
use crate::explain::explain;
use crate::files;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The format that this program reads.
const FORMAT: u16 = 1;
/// No recording has more inputs.
const MOST: usize = 100_000;

/// A recording, with its sweeps expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Each begins on a device that was freshly started.
    pub sessions: Vec<Session>,
    /// How many inputs came out of sweeps.
    pub swept: usize,
    /// Why nothing is swept, if nothing is.
    pub unswept: Option<String>,
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

/// Inputs that share the device's state, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub name: String,
    /// What is sent.
    pub inputs: Vec<Input>,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its name: no other input of the recording has it.
    pub name: String,
    /// What is sent.
    pub sent: Sent,
    /// The vulnerabilities that it shows; only such an answer may differ.
    pub advisories: Vec<String>,
    /// What a device without them answers.
    pub safe: Option<Answer>,
    /// What isn't compared.
    pub masks: Vec<Mask>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u16,
    /// For readers.
    #[serde(default, rename = "about")]
    _about: String,
    unswept: Option<String>,
    session: Vec<RawSession>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSession {
    name: String,
    input: Vec<RawInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInput {
    name: String,
    text: Option<String>,
    hex: Option<String>,
    #[serde(default)]
    advisories: Vec<String>,
    safe: Option<Safe>,
    #[serde(default)]
    tagged: Vec<Tagged>,
    #[serde(default)]
    mask: Vec<Mask>,
}

/// Which inputs of a sweep show vulnerabilities.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tagged {
    values: Vec<String>,
    advisories: Vec<String>,
    safe: Safe,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Safe {
    text: Option<String>,
    hex: Option<String>,
    #[serde(default)]
    silence: bool,
}

impl Safe {
    fn answer(self) -> std::result::Result<Answer, String> {
        match (self.silence, &self.text, self.hex.as_deref()) {
            (true, None, None) => Ok(Answer::Silence),
            (false, None, Some("")) => Ok(Answer::Bytes(Vec::new())),
            (false, _, _) => match Sent::new(self.text, self.hex.as_deref()) {
                Ok(Sent::Text(text)) => Ok(Answer::Bytes(text.into_bytes())),
                Ok(Sent::Hex(bytes)) => Ok(Answer::Bytes(bytes)),
                Err(what) => Err(format!("safe: {what}")),
            },
            _ => Err("safe: silence has neither text nor hex".into()),
        }
    }
}

/// A piece of what is sent.
enum Part {
    Literal(String),
    /// `{00..ff}`: each number, in as many digits.
    Range {
        from: u64,
        to: u64,
        width: usize,
        upper: bool,
    },
}

/// `{00..ff}` and the text after it, if `text` begins with one.
fn range(text: &str) -> std::result::Result<Option<(Part, &str)>, String> {
    let Some((inside, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) else {
        return Ok(None);
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    let Some((low, high)) = inside.split_once("..").filter(|(low, high)| digits(low) && digits(high)) else {
        return Ok(None);
    };
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let width = low.len();
    match (number(low), number(high)) {
        (Some(from), Some(to)) if from <= to && high.len() == width => {
            let upper = inside.bytes().any(|b| b.is_ascii_uppercase());
            Ok(Some((Part::Range { from, to, width, upper }, rest)))
        }
        _ => Err(format!("{{{inside}}} has to be two hex numbers of one width, the lower one first")),
    }
}

fn parts(text: &str) -> std::result::Result<Vec<Part>, String> {
    let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some(c) = rest.chars().next() {
        if let Some((part, after)) = range(rest)? {
            parts.extend([Part::Literal(std::mem::take(&mut literal)), part]);
            rest = after;
        } else {
            literal.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    parts.push(Part::Literal(literal));
    Ok(parts)
}

/// Everything that a text stands for, each with the values that make it; the last range turns fastest.
fn expanded(text: &str) -> std::result::Result<Vec<(String, Vec<String>)>, String> {
    let mut all = vec![(String::new(), Vec::new())];
    for part in parts(text)? {
        match part {
            Part::Literal(literal) => all.iter_mut().for_each(|(text, _)| text.push_str(&literal)),
            Part::Range { from, to, width, upper } => {
                let many = (to - from).saturating_add(1).saturating_mul(all.len() as u64);
                if many > MOST as u64 {
                    return Err(format!("`{text}` stands for more than {MOST} inputs"));
                }
                let value = |n: u64| if upper { format!("{n:0width$X}") } else { format!("{n:0width$x}") };
                let grown = all.iter().flat_map(|(text, values)| {
                    (from..=to).map(move |n| {
                        let values = values.iter().cloned().chain([value(n)]).collect();
                        (format!("{text}{}", value(n)), values)
                    })
                });
                all = grown.collect();
            }
        }
    }
    Ok(all)
}

/// The vulnerabilities that an input shows, and what is safe.
type Tag = (Vec<String>, Answer);

fn tag(mut advisories: Vec<String>, safe: Safe) -> std::result::Result<Tag, String> {
    if advisories.is_empty() || advisories.iter().any(|id| id.trim().is_empty()) {
        return Err("`safe` belongs to `advisories`: the vulnerabilities that the input shows".into());
    }
    advisories.sort();
    advisories.dedup();
    Ok((advisories, safe.answer()?))
}

impl RawInput {
    fn masks(&self) -> std::result::Result<(), String> {
        match self.mask.iter().find(|mask| mask.length == 0 || mask.why.trim().is_empty()) {
            Some(_) => Err("a mask has a length, and says `why` the bytes may differ".into()),
            None => Ok(()),
        }
    }

    /// The tags of a sweep, by values.
    fn tags(&self, known: &BTreeSet<&str>) -> std::result::Result<BTreeMap<String, Tag>, String> {
        let mut tags = BTreeMap::new();
        for tagged in &self.tagged {
            let tag = tag(tagged.advisories.clone(), tagged.safe.clone())?;
            for values in &tagged.values {
                for (values, _) in expanded(values)? {
                    if !known.contains(values.as_str()) {
                        return Err(format!("tagged: `{values}` isn't in the sweep"));
                    }
                    if tags.insert(values.clone(), tag.clone()).is_some() {
                        return Err(format!("tagged: `{values}` is there twice"));
                    }
                }
            }
        }
        Ok(tags)
    }

    /// The inputs that it stands for, and whether it is a sweep.
    fn inputs(self) -> std::result::Result<(Vec<Input>, bool), String> {
        self.masks()?;
        let whole = match (&self.text, &self.hex) {
            (Some(text), None) => expanded(text)?,
            (None, Some(hex)) => expanded(hex)?,
            _ => return Err("has to have one of `text` and `hex`".into()),
        };
        let sweep = whole.iter().any(|(_, values)| !values.is_empty());
        let own = match (self.advisories.is_empty(), self.safe.clone()) {
            (true, None) => None,
            (false, None) => return Err("is tagged: say what is `safe` to answer".into()),
            (_, Some(_)) if sweep => return Err("is a sweep: tag its values, under `tagged`".into()),
            (_, Some(safe)) => Some(tag(self.advisories.clone(), safe)?),
        };
        if !sweep && !self.tagged.is_empty() {
            return Err("isn't a sweep: give it `advisories` and `safe` themselves".into());
        }
        let joined: Vec<String> = whole.iter().map(|(_, values)| values.join(" ")).collect();
        let mut tags = self.tags(&joined.iter().map(String::as_str).collect())?;
        let one = |((data, _), values): ((String, Vec<String>), &String)| {
            let sent = match self.text {
                Some(_) => Sent::new(Some(data), None),
                None => Sent::new(None, Some(&data)),
            };
            let tag = tags.remove(values).or_else(|| own.clone());
            let (advisories, safe) = tag.map_or((Vec::new(), None), |(ids, safe)| (ids, Some(safe)));
            let name = if values.is_empty() { self.name.clone() } else { format!("{} {values}", self.name) };
            Ok(Input { name, sent: sent?, advisories, safe, masks: self.mask.clone() })
        };
        let inputs = whole.into_iter().zip(&joined).map(one).collect::<std::result::Result<_, String>>()?;
        Ok((inputs, sweep))
    }
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// `config`: line, key, and what was probably meant; and those of the file.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(files::read_small(path)?).map_err(|e| e.at(path.display()))
    }

    /// Reads a recording's bytes.
    ///
    /// # Errors
    /// `config`, `malformed`.
    pub fn parse(bytes: Vec<u8>) -> Result<Self> {
        let wrong = |what: String| Error::new(Code::Config, what, "correct the recording");
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Error::new(Code::Malformed, "isn't text (UTF-8)", "check the file"))?;
        let file: File = toml::from_str(text).map_err(|e| explain(text, &e))?;
        if file.format != FORMAT {
            let what = format!("is a recording of format {}", file.format);
            return Err(Error::new(Code::Config, what, "this program reads format 1"));
        }
        let (mut sessions, mut swept, mut names) = (Vec::new(), 0, BTreeSet::new());
        for session in file.session {
            let mut inputs: Vec<Input> = Vec::new();
            for input in session.input {
                let place = format!("session `{}`, input `{}`", session.name, input.name);
                let (more, sweep) = input.inputs().map_err(|what| wrong(format!("{place}: {what}")))?;
                swept += if sweep { more.len() } else { 0 };
                inputs.extend(more);
            }
            if session.name.trim().is_empty() || inputs.is_empty() {
                return Err(wrong("a session has a name, and at least one input".into()));
            }
            if sessions.iter().any(|other: &Session| other.name == session.name) {
                return Err(wrong(format!("there are two sessions `{}`", session.name)));
            }
            let twice = inputs.iter().find(|input| !names.insert(input.name.clone()));
            if let Some(input) = twice.or(inputs.iter().find(|input| input.name.trim().is_empty())) {
                return Err(wrong(format!("two inputs are called `{}`, or one isn't named", input.name)));
            }
            if names.len() > MOST {
                return Err(wrong(format!("there are more than {MOST} inputs")));
            }
            sessions.push(Session { name: session.name, inputs });
        }
        let unswept = file.unswept.filter(|why| !why.trim().is_empty());
        match (sessions.is_empty(), swept, &unswept) {
            (true, _, _) => Err(wrong("has no session".into())),
            (_, 0, None) => Err(Error::new(
                Code::Config,
                "sweeps nothing: what nobody recorded, such as another function code, would never be met",
                "add an input with a range, such as hex = \"01{00..ff}0000\", or say why not: unswept = \"…\"",
            )),
            (_, 1.., Some(_)) => Err(wrong("says `unswept`, and has a sweep".into())),
            _ => Ok(Self { sessions, swept, unswept, bytes }),
        }
    }

    /// Every input with its session, in order.
    pub fn inputs(&self) -> impl Iterator<Item = (&Session, &Input)> {
        self.sessions.iter().flat_map(|session| session.inputs.iter().map(move |input| (session, input)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "format = 1\n[[session]]\nname = \"s\"\n";

    fn names(input: &str) -> Vec<String> {
        let recording = Recording::parse(format!("{HEAD}{input}").into_bytes()).unwrap();
        recording.inputs().map(|(_, input)| format!("{}={}", input.name, input.sent.line())).collect()
    }

    fn refuses(text: &str, what: &str) {
        let error = Recording::parse(text.as_bytes().to_vec()).expect_err(text);
        assert_eq!(error.code, Code::Config);
        assert!(error.what.contains(what), "{text}: {}", error.what);
    }

    #[test]
    fn sweeps_are_expanded_in_order() {
        assert_eq!(
            names("input = [{ name = \"n\", text = \":R{0..1}{0A..0B}x\" }]"),
            ["n 0 0A=text :R00Ax", "n 0 0B=text :R00Bx", "n 1 0A=text :R10Ax", "n 1 0B=text :R10Bx"]
        );
        let all = names(
            "input = [{ name = \"code\", hex = \"01{00..ff}0000\" }, { name = \"a\", text = \"{x}\" }]",
        );
        assert_eq!(
            (all.len(), all[255].as_str(), all[256].as_str()),
            (257, "code ff=hex 01ff0000", "a=text {x}")
        );
    }

    #[test]
    fn values_of_a_sweep_are_tagged() {
        let text = format!(
            "{HEAD}[[session.input]]\nname = \"n\"\ntext = \"{{0..3}}\"\n[[session.input.tagged]]\n\
             values = [\"{{1..2}}\"]\nadvisories = [\"B\", \"A\", \"A\"]\nsafe = {{ text = \"no\" }}\n"
        );
        let recording = Recording::parse(text.clone().into_bytes()).unwrap();
        let tagged: Vec<bool> = recording.inputs().map(|(_, input)| input.safe.is_some()).collect();
        assert_eq!((tagged, recording.swept), (vec![false, true, true, false], 4));
        assert_eq!(recording.sessions[0].inputs[1].advisories, ["A", "B"]);
        refuses(&text.replace("{1..2}", "{3..4}"), "`4` isn't in the sweep");
        refuses(&text.replace("[\"{1..2}\"]", "[\"1\", \"{0..1}\"]"), "`1` is there twice");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let with =
            |input: &str| format!("{HEAD}input = [{{ name = \"r\", text = \"{{0..1}}\" }}, {{ {input} }}]\n");
        for (input, what) in [
            ("name = \"x\"", "one of `text` and `hex`"),
            ("name = \"x\", text = \"a\", hex = \"00\"", "one of `text` and `hex`"),
            ("name = \"x\", hex = \"0g\"", "isn't bytes in hex"),
            ("name = \"x\", text = \" a\"", "isn't one line"),
            ("name = \"x\", text = \"{1..00}\"", "of one width"),
            ("name = \"x\", text = \"{1..0}\"", "of one width"),
            ("name = \"x\", text = \"{00000..fffff}\"", "more than 100000"),
            ("name = \"x\", text = \"a\", advisories = [\"A\"]", "say what is `safe`"),
            ("name = \"x\", text = \"a\", safe = { silence = true }", "belongs to `advisories`"),
            ("name = \"x\", text = \"a\", advisories = [\"A\"], safe = {}", "safe: has to have one of"),
            (
                "name = \"x\", text = \"a\", advisories = [\"A\"], safe = { text = \"b\", silence = true }",
                "neither",
            ),
            ("name = \"x\", text = \"{0..1}\", advisories = [\"A\"], safe = { text = \"b\" }", "is a sweep"),
            (
                "name = \"x\", text = \"a\", mask = [{ at = 0, length = 0, why = \"clock\" }]",
                "a mask has a length",
            ),
            ("name = \"x\", text = \"a\", mask = [{ at = 0, length = 1, why = \" \" }]", "says `why`"),
            ("name = \"r 0\", text = \"a\"", "called `r 0`"),
            ("name = \"x\", txt = \"a\"", "unknown key `txt`"),
        ] {
            refuses(&with(input), what);
        }
        refuses(&with("name = \"x\", text = \"a\"").replace("format = 1", "format = 2"), "format 2");
        refuses(&format!("{HEAD}input = [{{ name = \"x\", text = \"a\" }}]"), "sweeps nothing");
        refuses(&format!("unswept = \"w\"\n{}", with("name = \"x\", text = \"a\"")), "and has a sweep");
        refuses("format = 1\nsession = []\n", "has no session");
        refuses(&format!("{HEAD}input = []\n"), "at least one input");
    }
}
