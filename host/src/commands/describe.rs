//! A bundle in words.

use super::date;
use crate::bundle::Bundle;
use crate::error::Result;
use crate::output::Report;
use patchlane_protocol::{Encoding, Kind, Manifest};
use serde_json::{Value, json};

/// The lane's name.
pub(crate) const fn lane(kind: Kind) -> &'static str {
    match kind {
        Kind::SecurityPatch => "security patch",
        Kind::FeatureUpdate => "feature update",
    }
}

/// Everything a bundle says about itself.
pub(crate) fn bundle(bundle: &Bundle, summary: &str) -> Result<Report> {
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
        let exploited = if advisory.exploited { ", exploited" } else { "" };
        let text = format!("{}: {}, {:?}{exploited}", advisory.index, advisory.id, advisory.severity);
        report = report.line("closes", text);
    }
    if let Some(combined) = m.combined {
        report = report.line("combined", format!("{:?}: {}", combined.reason, combined.because));
    }
    for component in &components {
        for image in component.images.iter() {
            let at = image.address.map_or(String::new(), |a| format!(" at {a:#010x}"));
            let text =
                format!("component {}, {} bytes{at}, SHA-256 {}", component.id.0, image.size, image.digest);
            report = report.line("image", text);
        }
        if component.alternatives.is_empty() {
            report = report.line("payload", "none: the image has to be installed already");
        }
        for alternative in component.alternatives.iter() {
            // Ten bits on the line for each byte, and frames cost some 2 %.
            let seconds = alternative.stored().div_ceil(11_300);
            let text = format!(
                "{:?}, {} bytes, about {seconds} s at 115200 baud",
                alternative.encoding,
                alternative.stored()
            );
            report = report.line("payload", text);
        }
    }
    for signature in bundle.signatures() {
        report = report.line("signature", format!("by key {}", signature.key));
    }
    report = report
        .line("manifest", format!("SHA-256 {}", bundle.digest()))
        .line("bytes", format!("{total}, of which {overhead} aren't payload"));
    report.data = data(bundle, &m, total, overhead);
    Ok(report)
}

/// The same for programs.
fn data(bundle: &Bundle, m: &Manifest<'_>, total: usize, overhead: usize) -> Value {
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
            "index": a.index, "id": a.id, "severity": format!("{:?}", a.severity), "exploited": a.exploited,
        })).collect::<Vec<_>>(),
        "components": m.components.iter().map(|c| json!({
            "id": c.id.0,
            "images": c.images.iter().map(|i| json!({
                "address": i.address, "size": i.size, "sha256": i.digest.to_string(),
            })).collect::<Vec<_>>(),
            "alternatives": c.alternatives.iter().map(|a| json!({
                "encoding": match a.encoding {
                    Encoding::Raw => "raw", Encoding::Compressed => "compressed", Encoding::Delta => "delta",
                },
                "bytes": a.stored(), "chunk": a.chunk,
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "signatures": bundle.signatures().iter().map(|s| s.key.to_string()).collect::<Vec<_>>(),
        "manifest_sha256": bundle.digest().to_string(),
        "bytes": total,
        "overhead_bytes": overhead,
    })
}

fn join(numbers: impl Iterator<Item = u16>) -> String {
    numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
}
