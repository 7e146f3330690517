//! What a manual holds: sections, and in them blocks by what is done with them.

/// A command as it is typed, and what the manual shows of its output.
pub(super) struct Typed {
    pub(super) command: String,
    /// Lines of the file, from 0: the first that is output, and one past the last.
    pub(super) shown: (usize, usize),
}

/// What is done with a block.
pub(super) enum Piece {
    /// Run at a terminal, before the reader comes in: `<!-- before`, script, `-->`.
    Before(String),
    /// A device is plugged in: `<!-- device: WORDS -->`.
    Device(String),
    /// A script; each command has to end well.
    Script(String),
    /// A terminal: commands after `$ `, and what they show.
    Console(Vec<Typed>),
    /// A table of patchlane.toml; it takes the place of the one of that name.
    Table(String),
    /// A recipe for continuous integration.
    Recipe(String),
    /// Not run.
    Text,
}

pub(super) struct Section {
    pub(super) title: String,
    /// With the line each begins at, from 1.
    pub(super) pieces: Vec<(usize, Piece)>,
}

/// Lines from `at` on until `end`, and the line after it.
fn until<'a>(lines: &[&'a str], at: usize, end: &str) -> (Vec<&'a str>, usize) {
    let rest = &lines[at..];
    let length =
        rest.iter().position(|line| *line == end).unwrap_or_else(|| panic!("line {at} has no {end}"));
    (rest[..length].to_vec(), at + length + 1)
}

fn typed(body: &[&str], first: usize) -> Vec<Typed> {
    let mut all: Vec<Typed> = Vec::new();
    let mut continued = false;
    for (number, line) in body.iter().enumerate() {
        let after = first + number + 1;
        match (line.strip_prefix("$ "), all.last_mut()) {
            (Some(command), _) => all.push(Typed { command: command.into(), shown: (after, after) }),
            (None, Some(last)) if continued => {
                last.command = format!("{}\n{line}", last.command);
                last.shown = (after, after);
            }
            (None, Some(last)) => last.shown.1 = after,
            (None, None) => panic!("line {after}: output without a command"),
        }
        let in_command = all.last().is_some_and(|last| last.shown.0 == after);
        continued = in_command && line.ends_with('\\');
    }
    all
}

/// Every fence says what is done with its block; one that nobody knows isn't run by anybody.
fn block(kind: &str, body: &[&str], first: usize) -> Piece {
    let text = body.iter().map(|line| format!("{line}\n")).collect();
    match kind {
        "sh" => Piece::Script(text),
        "console" => Piece::Console(typed(body, first)),
        "toml" => Piece::Table(text),
        "yaml" => Piece::Recipe(text),
        "text" | "rust" => Piece::Text,
        other => panic!("line {first}: nothing is done with ```{other}"),
    }
}

/// The sections of a text, by `## `.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let lines: Vec<&str> = text.lines().collect();
    let mut sections = vec![Section { title: String::new(), pieces: Vec::new() }];
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        let here = at;
        let piece = if let Some(title) = line.strip_prefix("## ") {
            sections.push(Section { title: title.into(), pieces: Vec::new() });
            continue;
        } else if let Some(kind) = line.strip_prefix("```") {
            let (body, after) = until(&lines, at, "```");
            at = after;
            block(kind, &body, here)
        } else if *line == "<!-- before" {
            let (body, after) = until(&lines, at, "-->");
            at = after;
            Piece::Before(body.join("\n"))
        } else if let Some(words) = line.strip_prefix("<!-- device: ") {
            Piece::Device(words.trim_end_matches(" -->").into())
        } else {
            continue;
        };
        sections.last_mut().unwrap().pieces.push((here, piece));
    }
    sections
}

/// What differs from one run to the next: digests, ids, keys and dates.
fn mask(line: &str) -> String {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '.');
    let (mut masked, mut word) = (String::new(), String::new());
    let end = |word: &mut String, masked: &mut String| {
        let (told, mark) = word.split_at(word.trim_end_matches(':').len());
        let hex = told.len() >= 16 && told.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let shape: String = told.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        let date = shape.starts_with("0000-00-00T00:00:00") && shape.ends_with('Z');
        masked.push_str(if hex {
            "HEX"
        } else if date {
            "DATE"
        } else {
            told
        });
        masked.push_str(mark);
        word.clear();
    };
    for c in line.trim_end().chars() {
        if part(c) {
            word.push(c);
        } else {
            end(&mut word, &mut masked);
            masked.push(c);
        }
    }
    end(&mut word, &mut masked);
    masked
}

/// A line as shown, in which `...` stands for any text.
fn line_fits(shown: &str, real: &str) -> bool {
    let (shown, real) = (mask(shown), mask(real));
    let Some((first, last)) = shown.split_once("...") else { return shown == real };
    let Some(mut rest) = real.strip_prefix(first) else { return false };
    let (middle, last) = last.rsplit_once("...").map_or((None, last), |(middle, last)| (Some(middle), last));
    for part in middle.into_iter().flat_map(|middle| middle.split("...")) {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Output as shown, in which a line `...` stands for any lines.
pub(super) fn fits(shown: &[&str], real: &[&str]) -> bool {
    match (shown.split_first(), real.split_first()) {
        (None, None) => true,
        (Some((&"...", later)), _) => (0..=real.len()).any(|skipped| fits(later, &real[skipped..])),
        (Some((first, later)), Some((line, rest))) => line_fits(first, line) && fits(later, rest),
        _ => false,
    }
}

#[test]
fn what_is_shown_is_compared() {
    let id = "cfbff0d193755685968c48ce8b15ae17";
    assert!(fits(&["id  0123456789abcdef: x"], &["id  fedcba9876543210: x"]));
    assert!(!fits(&["id  0123456789abcde"], &["id  fedcba987654321"]), "short numbers count");
    assert!(fits(&["at 2026-01-02T03:04:05Z"], &["at 2027-11-12T13:14:15Z "]));
    assert!(!fits(&["at 2026-01-02"], &["at 2027-11-12"]));
    assert!(fits(&["a", "...", "z"], &["a", "b", "c", "z"]) && fits(&["..."], &[]));
    assert!(!fits(&["a", "...", "z"], &["a", "b", "c"]) && !fits(&["a"], &["a", "b"]) && !fits(&["a"], &[]));
    assert!(fits(&["1 ... 3"], &["1 2 3"]) && !fits(&["1 ... 3"], &["1 2 4"]) && !fits(&["1 2"], &["1 2 3"]));
    assert!(fits(&[id], &["00000000000000000000000000000000"]));
}

#[test]
fn a_manual_is_taken_apart() {
    let text = "# T\n<!-- before\nx\n-->\n## A\n```sh\none \\\n  two\n```\n<!-- device: a.plb soak=2 -->\n\
                ```console\n$ a \\\n  b\nout\n$ c\n```\n## B\n```text\nno\n```\n";
    let all = sections(text);
    let titles: Vec<&str> = all.iter().map(|s| &s.title[..]).collect();
    assert_eq!(titles, ["", "A", "B"]);
    assert!(matches!(&all[0].pieces[..], [(2, Piece::Before(x))] if x == "x"));
    let [(6, Piece::Script(script)), (_, Piece::Device(device)), (_, Piece::Console(typed))] =
        &all[1].pieces[..]
    else {
        panic!("other pieces");
    };
    assert_eq!((&script[..], &device[..]), ("one \\\n  two\n", "a.plb soak=2"));
    let typed: Vec<_> = typed.iter().map(|t| (&t.command[..], t.shown)).collect();
    assert_eq!(typed, [("a \\\n  b", (13, 14)), ("c", (15, 15))]);
}
