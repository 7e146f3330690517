//! Names that stay the same from build to build.

use super::elf::Content;
use std::fmt::Write;

/// Longer names than this are cut, in bytes: a name of a few bytes can stand for millions.
pub(super) const LONGEST: usize = 2048;

/// Text that stops growing.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len() + text.len() > LONGEST {
            return Err(std::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// What a mapping symbol says that follows it (AAELF32 §5.5.5, RISC-V psABI).
pub(super) fn content(raw: &str) -> Option<Content> {
    let is = |mark: &str| raw == mark || raw.strip_prefix(mark).is_some_and(|rest| rest.starts_with('.'));
    match raw {
        _ if is("$t") => Some(Content::Thumb),
        _ if is("$a") => Some(Content::A32),
        _ if is("$d") => Some(Content::Data),
        _ if raw.starts_with("$x") => Some(Content::RiscV),
        _ => None,
    }
}

/// True for names that compilers and linkers count up or make from contents: they say nothing about what is named.
fn passing(raw: &str) -> bool {
    let numbered = [
        "anon.",
        "str.",
        "vtable.",
        "__unnamed_",
        "CSWTCH.",
        "C.",
        "GCC_except_table",
        "L0\u{1}",
        ".str",
        "alloc_",
    ];
    let hex = |text: &str| text.len() >= 32 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'.');
    raw.starts_with('$')
        || raw.starts_with('.')
        || numbered.iter().any(|start| {
            raw.strip_prefix(start).is_some_and(|rest| {
                let digits = rest.bytes().all(|b| b.is_ascii_digit() || b == b'.');
                digits || hex(rest) || matches!(*start, "anon." | "L0\u{1}")
            })
        })
}

/// The name without hashes and counts; empty where nothing is left that lasts.
pub(super) fn steady(raw: &str) -> String {
    if raw.len() > LONGEST || passing(raw) {
        return if passing(raw) { String::new() } else { raw.chars().take(LONGEST / 4).collect() };
    }
    if let Ok(name) = rustc_demangle::try_demangle(raw) {
        let mut text = Bounded(String::new());
        // Cut short it is still a name, and the same each time.
        let _ = write!(text, "{name:#}");
        return text.0;
    }
    let (name, suffixes) = match raw.find('.') {
        Some(dot) if dot > 0 => raw.split_at(dot),
        _ => return raw.to_owned(),
    };
    let mut steady = name.to_owned();
    let mut parts = suffixes.split('.').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        if part == "llvm" && parts.peek().is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit())) {
            parts.next();
        } else if !part.bytes().all(|b| b.is_ascii_digit()) {
            steady.push('.');
            steady.push_str(part);
        }
    }
    steady
}

/// True for code that a linker made to reach far; it comes and goes with distances.
pub(super) fn is_veneer(name: &str, size: u32) -> bool {
    let name = ["_veneer", "_from_thumb", "_from_arm"].iter().any(|end| name.ends_with(end))
        || name.contains("Thunk_");
    name && size <= 16
}

/// The name of what such code reaches, by its own.
pub(super) fn reached(name: &str) -> Option<&str> {
    if let Some((_, reached)) = name.split_once("Thunk_") {
        return Some(reached);
    }
    let name = name.strip_prefix("__")?;
    ["_veneer", "_from_thumb", "_from_arm"].iter().find_map(|end| name.strip_suffix(end))
}

/// The name of the function that a compiler made this one from.
pub(super) fn base(steady: &str) -> &str {
    let mut name = steady;
    while let Some((rest, last)) = name.rsplit_once('.') {
        if !matches!(last, "isra" | "constprop" | "part" | "cold" | "lto_priv" | "localalias") {
            break;
        }
        name = rest;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_counts_go_what_is_named_stays() {
        for (raw, name) in [
            ("main", "main"),
            ("_ZN2fw6modbus17h0123456789abcdefE", "fw::modbus"),
            ("_ZN2fw6modbus17h0123456789abcdefE.llvm.1234567890123", "fw::modbus"),
            ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
            ("counter.7", "counter"),
            ("parse.constprop.0", "parse.constprop"),
            ("parse.isra.0.cold", "parse.isra.cold"),
            ("switch.table.parse", "switch.table.parse"),
            ("helper.llvm.99", "helper"),
            ("$t", ""),
            ("$d.12", ""),
            (".LC0", ""),
            (".L12", ""),
            ("anon.0123456789abcdef0123456789abcdef.3", ""),
            ("alloc_0123456789abcdef0123456789abcdef", ""),
            ("alloc_error_handler", "alloc_error_handler"),
            ("C.4.1234", ""),
            ("", ""),
        ] {
            assert_eq!(steady(raw), name, "{raw}");
        }
        assert_eq!(["parse", "a.b"], [base("parse.isra.cold"), base("a.b")]);
    }

    /// The v0 mangling lets a name repeat itself: seventy bytes would be gigabytes.
    #[test]
    fn names_that_grow_are_cut() {
        let mut raw = String::from("_RMC0");
        for _ in 0..30 {
            raw.push_str("TB4_B4_");
        }
        raw.push('u');
        assert!(steady(&raw).len() <= LONGEST);
        assert!(steady(&"x".repeat(1 << 20)).len() <= LONGEST);
    }
}
