//! A bundle in words.

use super::date;
use super::device::BAUD;
use crate::bundle::Bundle;
use crate::error::Result;
use crate::link::seconds;
use crate::output::{Report, slug};
use patchlane_protocol::{Advisory, Component, Encoding, Kind, Manifest};
use serde_json::{Value, json};

/// The lane's name.
pub(crate) const fn lane(kind: Kind) -> &'static str {
    match kind {
        Kind::SecurityPatch => "security patch",
        Kind::FeatureUpdate => "feature update",
    }
}

/// An advisory in a line.
pub(crate) fn advisory(a: &Advisory<'_>) -> String {
    let exploited = if a.exploited { ", exploited" } else { "" };
    format!("{}: {}, {:?}{exploited}", a.index, a.id, a.severity)
}

/// An encoding's name.
pub(crate) const fn encoding(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Raw => "raw",
        Encoding::Compressed => "compressed",
        Encoding::Delta => "delta",
    }
}

/// Where an image belongs.
pub(crate) fn place(address: Option<u32>) -> String {
    address.map_or("any slot".into(), |address| format!("{address:#010x}"))
}

/// Seconds, as people say them.
fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// Everything a bundle says about itself.
pub(crate) fn bundle(bundle: &Bundle, summary: &str) -> Result<Report> {
    bundle_at(bundle, summary, BAUD)
}

/// The same, with times at another baud rate.
pub(crate) fn bundle_at(bundle: &Bundle, summary: &str, baud: u32) -> Result<Report> {
    let m = bundle.manifest()?;
    let total = bundle.size()?;
    let overhead = total - bundle.payload().len();
    let components: Vec<_> = m.components.iter().collect();
    let mut report = Report::new(summary, json!(null))
        .line("release", format!("{} ({})", m.version, lane(m.kind)))
        .line("vendor id", m.product.vendor.to_string())
        .line("class id", m.product.class.to_string())
        .line("hardware", join(m.hardware.iter()))
        .line("under root", m.root_version.to_string())
        .line("issued", date(m.issued_at));
    if !m.text.is_empty() {
        report.lines.insert(1, ("text".into(), m.text.into()));
    }
    if m.support_end > 0 {
        report = report.line("supported until", date(m.support_end));
    }
    for advisory in m.advisories.iter() {
        report = report.line("closes", self::advisory(&advisory));
    }
    if let Some(combined) = m.combined {
        report = report.line("combined", format!("{:?}: {}", combined.reason, combined.because));
    }
    for component in &components {
        for row in images(component).into_iter().chain(payloads(component, overhead as u64, baud)) {
            report.lines.push(row);
        }
    }
    for signature in bundle.signatures() {
        report = report.line("signature", format!("by key {}", signature.key));
    }
    report = report
        .line("manifest", format!("SHA-256 {}", bundle.digest()))
        .line("bytes", format!("{total}, of which {overhead} aren't payload"));
    report.data = data(bundle, &m, total, overhead, baud);
    Ok(report)
}

/// A component's images, in columns.
fn images(component: &Component<'_>) -> Vec<(String, String)> {
    let list: Vec<_> = component.images.iter().collect();
    let width = list.iter().map(|image| image.size.get().to_string().len()).max().unwrap_or(0);
    let row = |image: &patchlane_protocol::Image| {
        let id = component.id.0;
        let component = if id == 0 { String::new() } else { format!("component {id}, ") };
        format!(
            "{component}{:10}  {:>width$} bytes, SHA-256 {}",
            place(image.address),
            image.size.get(),
            image.digest
        )
    };
    list.iter().map(|image| ("image".to_owned(), row(image))).collect()
}

/// The ways to deliver them, in columns: a device takes one that fits.
fn payloads(component: &Component<'_>, head: u64, baud: u32) -> Vec<(String, String)> {
    let list: Vec<_> = component.alternatives.iter().collect();
    if list.is_empty() {
        return vec![("payload".into(), "none: the image has to be installed already".into())];
    }
    let width = list.iter().map(|payload| payload.stored().to_string().len()).max().unwrap_or(0);
    let encodings = list.iter().map(|payload| encoding(payload.encoding).len() + 1).max().unwrap_or(0);
    let row = |payload: &patchlane_protocol::Alternative| {
        let address = component.images.at(usize::from(payload.image)).and_then(|image| image.address);
        let base = payload.base.map_or(String::new(), |base| format!(", from the image {base}"));
        let time = span(seconds(head.saturating_add(payload.stored()), baud));
        let encoding = format!("{},", encoding(payload.encoding));
        let (place, bytes) = (place(address), payload.stored());
        format!("{place:10}  {bytes:>width$} bytes, {encoding:encodings$} {time} at {baud} baud{base}")
    };
    list.iter().map(|payload| ("payload".to_owned(), row(payload))).collect()
}

/// The same for programs.
fn data(bundle: &Bundle, m: &Manifest<'_>, total: usize, overhead: usize, baud: u32) -> Value {
    json!({
        "version": m.version.to_string(),
        "kind": if m.kind == Kind::SecurityPatch { "security" } else { "feature" },
        "baseline": m.version.feature.to_string(),
        "level": m.version.security.level(),
        "open": m.version.security.open().iter().collect::<Vec<_>>(),
        "text": m.text,
        "vendor_id": m.product.vendor.to_string(),
        "class_id": m.product.class.to_string(),
        "hardware": m.hardware.iter().collect::<Vec<_>>(),
        "root_version": m.root_version,
        "issued_at": m.issued_at,
        "support_end": m.support_end,
        "advisories": m.advisories.iter().map(|a| json!({
            "index": a.index, "id": a.id, "severity": slug(&a.severity), "exploited": a.exploited,
        })).collect::<Vec<_>>(),
        "components": m.components.iter().map(|c| json!({
            "id": c.id.0,
            "images": c.images.iter().map(|i| json!({
                "address": i.address, "bytes": i.size.get(), "sha256": i.digest.to_string(),
            })).collect::<Vec<_>>(),
            "alternatives": c.alternatives.iter().map(|a| json!({
                "address": c.images.at(usize::from(a.image)).and_then(|image| image.address),
                "encoding": encoding(a.encoding),
                "base_sha256": a.base.map(|base| base.to_string()),
                "bytes": a.stored(), "chunk": a.chunk.get(),
                "seconds": seconds((overhead as u64).saturating_add(a.stored()), baud),
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "signatures": bundle.signatures().iter().map(|s| s.key.to_string()).collect::<Vec<_>>(),
        "manifest_sha256": bundle.digest().to_string(),
        "bytes": total,
        "overhead_bytes": overhead,
        "baud": baud,
    })
}

pub(super) fn join(numbers: impl Iterator<Item = u16>) -> String {
    numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
}
