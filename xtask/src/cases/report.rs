//! What was found: for the terminal, and for docs/CASES.md.

use super::list::Case;
use crate::toolchain::root;
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// One case.
pub(super) struct Row {
    pub(super) case: &'static Case,
    /// Bytes that differ in place, of how many.
    pub(super) bytes: (u64, u64),
    pub(super) programs: Vec<Program>,
    pub(super) lint: Judged,
    /// With something else in it; how that was declared.
    pub(super) smuggled: Vec<(&'static str, Judged)>,
}

/// Two programs, function by function.
pub(super) struct Program {
    target: &'static str,
    elf: u64,
    functions: u64,
    /// Functions whose bytes differ, and those that changed.
    raw: u64,
    changed: Vec<String>,
    others: usize,
    rows: usize,
    orphans: Vec<String>,
    hunks: usize,
    symbols: (usize, usize),
    took: Duration,
}

fn length(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}

fn texts(value: &Value, key: Option<&str>) -> Vec<String> {
    let one = |item: &Value| key.map_or(item, |key| &item[key]).as_str().map(str::to_owned);
    value.as_array().into_iter().flatten().filter_map(one).collect()
}

impl Program {
    pub(super) fn new(target: &'static str, elf: u64, found: &Value, took: Duration) -> Self {
        let functions = &found["functions"];
        let number = |key: &str| functions[key].as_u64().unwrap_or(0);
        let names = found["changed"].as_array().into_iter().flatten();
        let alone = |side: &str| length(&found["alone"][side]) + length(&found["data_alone"][side]);
        Self {
            target,
            elf,
            functions: number("new"),
            raw: number("changed") + number("moved"),
            changed: names.filter_map(|one| one["new"]["name"].as_str().map(str::to_owned)).collect(),
            others: length(&found["renamed"]) + length(&found["data"]) + length(&found["vectors"]),
            rows: length(&found["table"]["rows"]),
            orphans: texts(&found["table"]["orphans"], None),
            hunks: length(&found["table"]["hunks"]),
            symbols: (alone("added"), alone("removed")),
            took,
        }
    }

    fn joined(&self) -> String {
        format!("{} of {}", self.rows - self.orphans.len(), self.rows)
    }
}

/// What the checks said.
pub(super) struct Judged {
    passed: usize,
    failed: Vec<(u64, String)>,
    unknown: Vec<u64>,
    took: Option<Duration>,
}

impl Judged {
    pub(super) fn new(rows: &[Value], took: Option<Duration>) -> Self {
        let of = |result: &'static str| rows.iter().filter(move |row| row["result"] == result);
        let number = |row: &Value| row["check"].as_u64().unwrap_or(0);
        let detail = |row: &Value| row["detail"].as_str().unwrap_or_default().to_owned();
        Self {
            passed: of("pass").count(),
            failed: of("fail").map(|row| (number(row), detail(row))).collect(),
            unknown: of("not-evaluated").map(number).collect(),
            took,
        }
    }

    fn details(&self) -> String {
        let mut text = String::new();
        for (number, detail) in &self.failed {
            text.push_str(&format!("- {number}: {detail}\n"));
        }
        text
    }

    fn numbers(&self) -> String {
        list(&self.failed.iter().map(|(number, _)| *number).collect::<Vec<_>>())
    }
}

fn list(numbers: &[u64]) -> String {
    match numbers {
        [] => "none".into(),
        all => all.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn percent((part, whole): (u64, u64)) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole.max(1) as f64)
}

fn seconds(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}

impl Row {
    pub(super) fn text(&self) -> String {
        let (differ, whole) = self.bytes;
        let mut lines = vec![format!("{differ} of {whole} bytes differ in place ({})", percent(self.bytes))];
        for p in &self.programs {
            lines.push(format!(
                "{}: {} of {} functions differ, {} changed: {}; {} of other kinds; {} of what was found joined to {} \
                 hunks; orphans: {}; symbols +{} -{}; diff took {}, ELF {} KiB",
                p.target,
                p.raw,
                p.functions,
                p.changed.len(),
                p.changed.join(", "),
                p.others,
                p.joined(),
                p.hunks,
                if p.orphans.is_empty() { "none".into() } else { p.orphans.join(", ") },
                p.symbols.0,
                p.symbols.1,
                seconds(p.took),
                p.elf / 1024,
            ));
        }
        let mut tell = |name: &str, judged: &Judged| {
            lines.push(format!("{name}: {} pass, not evaluated: {}", judged.passed, list(&judged.unknown)));
            lines.extend(
                judged.failed.iter().map(|(number, detail)| format!("  check {number} fails: {detail}")),
            );
        };
        tell("lint of the fix", &self.lint);
        for (how, judged) in &self.smuggled {
            tell(&format!("lint of the fix and a feature, {how}"), judged);
        }
        lines.extend(self.lint.took.map(|took| format!("lint took {}", seconds(took))));
        lines.join("\n")
    }

    fn table(&self) -> String {
        let case = self.case;
        let ids: Vec<&str> = case.closes.iter().map(|(id, _)| *id).collect();
        let mut text = format!(
            "### {}: {} {}\n\nIn {}. Fixes {}.\n\n| | {} |\n|---|{}\n",
            case.name,
            case.component,
            case.versions.join(" → "),
            case.firmware,
            ids.join(", "),
            self.programs.iter().map(|p| p.target).collect::<Vec<_>>().join(" | "),
            "---|".repeat(self.programs.len()),
        );
        let mut line = |name: &str, of: &dyn Fn(&Program) -> String| {
            let cells: Vec<String> = self.programs.iter().map(of).collect();
            text.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
        };
        line("functions whose bytes differ", &|p| format!("{} of {}", p.raw, p.functions));
        line("functions that changed", &|p| {
            let names: Vec<String> = p.changed.iter().map(|name| format!("`{name}`")).collect();
            format!("{}: {}", p.changed.len(), names.join(", "))
        });
        line("findings that a hunk explains", &Program::joined);
        line("orphan rows", &|p| match p.orphans.is_empty() {
            true => "none".into(),
            false => format!("`{}`", p.orphans.join("`, `")),
        });
        line("hunks in the source diff", &|p| p.hunks.to_string());
        line("symbols added, removed", &|p| format!("{}, {}", p.symbols.0, p.symbols.1));
        line("ELF with debug information", &|p| format!("{} KiB", p.elf / 1024));
        line("`patchlane diff`", &|p| seconds(p.took));
        text.push_str(&format!(
            "\nBytes of the image that differ in place: {} of {}.\n",
            percent(self.bytes),
            self.bytes.1
        ));
        text.push_str(&self.verdicts());
        text
    }

    /// What the checks said, of the fix alone and with something else in it.
    fn verdicts(&self) -> String {
        let mut text = format!(
            "\n`patchlane lint` ({}): {} pass, fail: {}, not evaluated: {}.\n",
            self.lint.took.map(seconds).unwrap_or_default(),
            self.lint.passed,
            self.lint.numbers(),
            list(&self.lint.unknown)
        );
        text.push_str(&self.lint.details());
        for (how, judged) in &self.smuggled {
            text.push_str(&format!("\nThe fix and a feature, {how}: fail: {}.\n", judged.numbers()));
            text.push_str(&judged.details());
        }
        text
    }
}

const END: &str = "<!-- end -->";

/// Puts what was found into docs/CASES.md: each case in its place.
pub(super) fn write(rows: &[Row]) -> Result<(), String> {
    let path = root().join("docs/CASES.md");
    let mut text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    for row in rows {
        let begin = format!("<!-- generated: cargo xtask cases {} --write -->\n", row.case.name);
        let lost = || format!("docs/CASES.md has no place for what is generated: {begin}");
        let (before, rest) = text.split_once(&begin).ok_or_else(lost)?;
        let (_, after) = rest.split_once(END).ok_or_else(lost)?;
        text = format!("{before}{begin}{}{END}{after}", row.table());
    }
    fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
}
