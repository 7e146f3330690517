//! Entries as text: one way to write each, so that a difference between two files is one of meaning.

use super::entry::{Advisory, Head, Line, Release, Seal, Settlement, Statement};
use crate::output::slug;
use std::fmt::Display;

/// A TOML file, line by line.
struct Toml(String);

/// A JSON string is a TOML basic string, but for one character.
pub(crate) fn quoted(text: &impl Display) -> String {
    serde_json::Value::from(text.to_string()).to_string().replace('\u{7f}', "\\u007F")
}

fn list<T: Display>(values: &[T], each: impl Fn(&T) -> String) -> String {
    format!("[{}]", values.iter().map(each).collect::<Vec<_>>().join(", "))
}

impl Toml {
    fn new(remarks: &[String]) -> Self {
        let mut toml = Self(remarks.iter().map(|remark| format!("{remark}\n")).collect());
        toml.value("format", super::entry::FORMAT);
        toml
    }

    fn value(&mut self, key: &str, value: impl Display) {
        self.0.push_str(&format!("{key} = {value}\n"));
    }

    fn text(&mut self, key: &str, text: &impl Display) {
        self.value(key, quoted(text));
    }

    /// A value that may not be there.
    fn maybe<T>(&mut self, key: &str, value: Option<T>, write: impl Fn(&T) -> String) {
        if let Some(value) = value {
            self.value(key, write(&value));
        }
    }

    /// A list that may be empty.
    fn texts<T: Display>(&mut self, key: &str, texts: &[T]) {
        if !texts.is_empty() {
            self.value(key, list(texts, |text| quoted(text)));
        }
    }

    fn table(&mut self, header: &str) {
        self.0.push_str(&format!("\n{header}\n"));
    }
}

/// `ledger.toml`.
pub fn head(head: &Head) -> String {
    let remark =
        "# patchlane: advisories, baselines and releases of one product; see the manual, \"The ledger\".";
    let mut toml = Toml::new(&[remark.to_owned()]);
    toml.text("vendor", &head.vendor);
    toml.text("class", &head.class);
    if head.before > 0 {
        toml.value("before", head.before);
    }
    toml.0
}

/// An advisory's file.
pub fn advisory(entry: &Advisory) -> String {
    let mut toml = Toml::new(&entry.remarks);
    toml.text("id", &entry.id);
    toml.texts("aliases", &entry.aliases);
    toml.text("title", &entry.title);
    toml.text("severity", &slug(&entry.severity));
    toml.maybe("cvss", entry.cvss.as_ref(), quoted);
    if entry.exploited {
        toml.value("exploited", true);
    }
    toml.maybe("index", entry.index, u32::to_string);
    toml.maybe("closed", entry.closed, ToString::to_string);
    toml.texts("csaf", &entry.csaf);
    toml.texts("vex", &entry.vex);
    toml.texts("upstream", &entry.upstream);
    let dates = entry.dates;
    let named = [
        ("aware", dates.aware),
        ("early_warning", dates.early_warning),
        ("notification", dates.notification),
        ("measure", dates.measure),
        ("final_report", dates.final_report),
    ];
    if named.iter().any(|(_, date)| date.is_some()) {
        toml.table("[dates]");
        named.iter().for_each(|(key, date)| toml.maybe(key, *date, ToString::to_string));
    }
    for (baseline, statement) in &entry.affects {
        toml.table(&format!("[affects.{}]", quoted(&baseline.0)));
        toml.text("status", &statement.status().name());
        if let Statement::NotAffected(why, because) = statement {
            toml.text("justification", &why.name());
            toml.maybe("because", because.as_ref(), quoted);
        }
    }
    toml.0
}

/// A baseline's file.
pub fn line(entry: &Line) -> String {
    let mut toml = Toml::new(&entry.remarks);
    toml.text("baseline", &entry.baseline.0);
    toml.text("name", &entry.name);
    toml.value("support_end", entry.support_end);
    if let Some(inventory) = &entry.inventory {
        toml.table("[inventory]");
        toml.text("file", &inventory.file);
        toml.text("sha256", &inventory.sha256);
    }
    if let Some(retired) = &entry.retired {
        toml.table("[retired]");
        toml.value("on", retired.on);
        toml.text("because", &retired.because);
    }
    toml.0
}

/// A release's file.
pub fn release(entry: &Release) -> String {
    let mut toml = Toml::new(&[]);
    toml.text("baseline", &entry.baseline.0);
    toml.value("level", entry.level);
    if !entry.open.is_empty() {
        toml.value("open", list(&entry.open, u32::to_string));
    }
    toml.text("lane", &entry.lane.name());
    toml.text("bundle", &entry.bundle);
    toml.text("bundle_sha256", &entry.bundle_sha256);
    toml.text("manifest_sha256", &entry.manifest_sha256);
    toml.value("full", entry.full);
    toml.value("hardware", list(&entry.hardware, u16::to_string));
    toml.value("issued", entry.issued);
    toml.value("root", entry.root);
    if entry.development {
        toml.value("development", true);
    }
    toml.maybe("evidence_before", entry.evidence_before.as_ref(), quoted);
    toml.texts("evidence_after", &entry.evidence_after);
    toml.texts("closes", &entry.closes);
    if let Some(combined) = &entry.combined {
        toml.table("[combined]");
        toml.text("reason", &slug(&combined.reason));
        toml.text("because", &combined.because);
    }
    for image in &entry.image {
        toml.table("[[image]]");
        if image.component > 0 {
            toml.value("component", image.component);
        }
        toml.maybe("address", image.address, |address| format!("{address:#010x}"));
        toml.value("bytes", image.bytes);
        toml.text("sha256", &image.sha256);
    }
    for waiver in &entry.waiver {
        toml.table("[[waiver]]");
        toml.text("check", &waiver.check);
        toml.text("because", &waiver.because);
        toml.text("approver", &waiver.approver);
        toml.value("until", waiver.until);
    }
    for owed in &entry.owed {
        toml.table("[[owed]]");
        toml.value("check", owed.check);
        toml.text("because", &owed.because);
        toml.value("due", owed.due);
    }
    toml.0
}

/// A settlement's file.
pub fn settlement(entry: &Settlement) -> String {
    let mut toml = Toml::new(&[]);
    toml.text("release", &entry.release);
    toml.text("evidence", &entry.evidence);
    toml.value("on", entry.on);
    toml.value("checks", list(&entry.checks, u8::to_string));
    toml.0
}

/// A seal's file: a line for each entry, so that two seals compare line by line.
pub fn seal(entry: &Seal) -> String {
    let mut toml = Toml::new(&[]);
    toml.value("number", entry.number);
    toml.maybe("previous", entry.previous.as_ref(), quoted);
    toml.text("release", &entry.release);
    toml.table("[entries]");
    for (file, sealed) in &entry.entries {
        let facts: Vec<String> =
            sealed.facts.iter().map(|(key, value)| format!("{key} = {}", quoted(value))).collect();
        let facts =
            if facts.is_empty() { String::new() } else { format!(", facts = {{ {} }}", facts.join(", ")) };
        toml.value(&quoted(file), format!("{{ sha256 = {}{facts} }}", quoted(&sealed.sha256)));
    }
    toml.0
}
