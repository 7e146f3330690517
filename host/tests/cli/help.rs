//! `--help`: every verb's stands on its own, and its examples can be typed.

use super::desk::Desk;
use patchlane::protocol::limits;

fn help(desk: &Desk, verb: &str) -> String {
    let out = desk.run(&format!("{verb} --help"));
    assert!(out.status.success() && out.stderr.is_empty(), "{verb}");
    String::from_utf8(out.stdout).unwrap()
}

/// The verbs below one, by its help.
fn below(text: &str) -> Vec<String> {
    let list = text.split("\nCommands:\n").nth(1).unwrap_or_default();
    let list = list.split("\n\n").next().unwrap_or_default();
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|n| *n != "help")
        .map(str::to_owned)
        .collect()
}

/// Every verb that does something, as it is typed.
fn verbs(desk: &Desk) -> Vec<String> {
    let (mut found, mut waiting) = (Vec::new(), below(&help(desk, "")));
    while let Some(verb) = waiting.pop() {
        let inner = below(&help(desk, &verb));
        waiting.extend(inner.iter().map(|name| format!("{verb} {name}")));
        if inner.is_empty() {
            found.push(verb);
        }
    }
    found
}

/// Lines of examples: indented by two, with the command first; `\\` goes on, and comments come after two spaces.
fn examples(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", "");
    let lines = text.lines().filter_map(|line| line.strip_prefix("  patchlane "));
    let command = |line: &str| {
        let line = line.replace("       ", " ");
        let line = line.split("  ").next().unwrap_or_default();
        format!("patchlane {}", line.split(['>', '|']).next().unwrap_or_default().trim())
    };
    lines.map(command).collect()
}

/// Words as a shell makes them of a line with double quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// What clap doesn't understand ends with 2; what is understood finds no file here, no terminal or no device.
#[test]
fn every_verb_ends_its_help_with_examples_that_can_be_typed() {
    let desk = Desk::new("help");
    let verbs = verbs(&desk);
    assert!(verbs.len() >= 25, "{verbs:?}");
    for verb in &verbs {
        let text = help(&desk, verb);
        let own = format!("patchlane {verb} ");
        let examples: Vec<String> =
            examples(&text).into_iter().filter(|line| format!("{line} ").starts_with(&own)).collect();
        assert!(!examples.is_empty(), "{verb} has no example\n{text}");
        for line in examples {
            let mut command = desk.command();
            command.args(&words(&line)[1..]).args(["--no-input", "--quiet"]);
            let out = command.stdin(std::process::Stdio::null()).output().unwrap();
            let told = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(matches!(out.status.code(), Some(0 | 1 | 3 | 4)), "{line}: {}: {told}", out.status);
            std::fs::remove_dir_all(&desk.0).unwrap();
            std::fs::create_dir_all(&desk.0).unwrap();
        }
    }
}

/// An option that takes something says what, and says it once: `<VALUE>` isn't its own name again.
#[test]
fn options_say_what_they_take() {
    let desk = Desk::new("help-options");
    for verb in verbs(&desk) {
        for line in help(&desk, &verb).lines() {
            let Some((option, value)) = line.trim().split_once(" <").filter(|(o, _)| o.contains("--")) else {
                continue;
            };
            let name = option.rsplit("--").next().unwrap_or_default().replace('-', "_").to_uppercase();
            let value = value.split('>').next().unwrap_or_default();
            let plain = ["BAUD", "FORMAT", "ADDRESS", "PORT"];
            assert!(value != name || plain.contains(&value), "{verb}: {line}");
        }
    }
}

/// Numbers in help texts are those of the format.
#[test]
fn limits_in_help_are_the_formats() {
    let text = help(&Desk::new("help-limits"), "build").split_whitespace().collect::<Vec<_>>().join(" ");
    for limit in [
        format!("5 or 5,7; at most {}", limits::OPEN),
        format!("What an operator reads; at most {} bytes", limits::TEXT),
        format!("owners and assessors read it; at most {} bytes", limits::BECAUSE),
        format!("repeat it for each, at most {} times", limits::ADVISORIES),
    ] {
        assert!(text.contains(&limit), "{limit}");
    }
}

#[test]
fn words_are_a_shells() {
    assert_eq!(words("a --b \"c d\"  e"), ["a", "--b", "c d", "e"]);
    assert_eq!(
        examples("x\n  patchlane sign a.plb   two keys\n  patchlane man > m\n"),
        ["patchlane sign a.plb", "patchlane man"]
    );
}
