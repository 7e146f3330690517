//! What is wrong with a TOML file, in words: which line, which key, what was probably meant.

use crate::error::{Code, Error};

/// The error for what the parser says about `text`.
pub(crate) fn explain(text: &str, error: &toml::de::Error) -> Error {
    let span = error.span().unwrap_or(0..0);
    let before = text.get(..span.start).unwrap_or("");
    let at = text.get(span).unwrap_or("").lines().next().unwrap_or("").trim();
    let (what, next) = words(error.message(), before, at);
    let line = before.matches('\n').count() + 1;
    Error::new(Code::Config, format!("line {line}: {what}"), next)
}

fn words(message: &str, before: &str, at: &str) -> (String, String) {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let key = key_of(before);
    match (message, names.split_first()) {
        (m, Some((wrong, known))) if m.starts_with("unknown field") => {
            (format!("unknown key `{wrong}`"), meant(wrong, known))
        }
        (m, Some((missing, _))) if m.starts_with("missing field") => {
            let whose = match at.strip_prefix('[') {
                Some(_) => format!("{at} "),
                None if at.is_empty() => String::new(),
                None => format!("{key} "),
            };
            (format!("{whose}`{missing}` is missing"), "add it; the schema tells what it means".to_owned())
        }
        ("duplicate key", _) => (format!("`{at}` is there twice"), "keep one of them".to_owned()),
        (m, _) if m.starts_with("invalid type") || m.starts_with("invalid value") => {
            let expected = m.rsplit_once("expected ").map_or("something else", |(_, expected)| expected);
            wrong_value(key, at, expected)
        }
        _ => (message.lines().next().unwrap_or(message).to_owned(), "correct the line".to_owned()),
    }
}

fn wrong_value(key: &str, at: &str, expected: &str) -> (String, String) {
    if at.starts_with("[[") {
        let what = format!("`{at}` is a list of tables, where one is wanted");
        return (what, format!("write `{}`", &at[1..at.len().saturating_sub(1)]));
    }
    let wanted = match expected {
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "a sequence" => "a list, such as [1]".to_owned(),
        e if e.contains("string") => "text in quotes".to_owned(),
        "a table" => "a table: [section], or { key = value } on one line".to_owned(),
        other => other.to_owned(),
    };
    (format!("`{key}` is {at}"), format!("it has to be {wanted}"))
}

/// The key whose value begins after `before`.
fn key_of(before: &str) -> &str {
    let name = before.rsplit_once('=').map_or("", |(name, _)| name).trim_end();
    let start = name.rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"')));
    name.get(start.map_or(0, |i| i + 1)..).unwrap_or(name)
}

/// `did you mean …?`, if one is near, and all there are.
pub(crate) fn meant(wrong: &str, known: &[&str]) -> String {
    let near = known.iter().map(|name| (distance(wrong, name), name)).min();
    let near = near.filter(|(distance, name)| *distance <= 2.max(name.len() / 3));
    let all = known.join(", ");
    match near {
        Some((_, name)) => format!("did you mean `{name}`? There are: {all}"),
        None => format!("there are: {all}"),
    }
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let next = (corner + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_named_only_if_one_is_near() {
        assert_eq!(meant("sise", &["offset", "size"]), "did you mean `size`? There are: offset, size");
        assert_eq!(meant("erase-size", &["erase_size"]), "did you mean `erase_size`? There are: erase_size");
        assert_eq!(meant("frobnicate", &["offset", "size"]), "there are: offset, size");
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn a_value_belongs_to_the_key_before_it() {
        assert_eq!(key_of("a = 1\nstate = { offset = 0, size = "), "size");
        assert_eq!(key_of("addresses = [1,\n 2,\n "), "addresses");
        assert_eq!(key_of("flash.state.size="), "flash.state.size");
        assert_eq!(key_of(""), "");
    }
}
