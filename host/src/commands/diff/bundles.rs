//! Two bundles: what the second changes.

use super::{closes, gained, indices};
use crate::bundle::{Bundle, Linked};
use crate::commands::{date, describe};
use crate::error::Result;
use crate::output::{Report, slug};
use patchlane_device::rules::transition::{Offer, Standing, Transition, classify};
use patchlane_device::verify::images;
use patchlane_protocol::{Kind, Manifest, Refusal};
use serde_json::{Value, json};

/// Bytes of a block that changes are counted in, unless patchlane.toml says how large a sector is.
const BLOCK: u32 = 4096;
/// Stretches of an image that are listed.
const LISTED: usize = 8;

/// A transition's name, for people.
pub(super) const fn named(transition: Transition) -> &'static str {
    match transition {
        Transition::Repair => "repair",
        Transition::Patch => "patch",
        Transition::FeatureUpdate => "feature update",
        Transition::Rollback => "rollback",
    }
}

/// What a manifest offers.
pub(super) fn offer(m: &Manifest<'_>) -> Offer {
    Offer { kind: m.kind, version: m.version, images: images(m) }
}

/// What B is to a device that runs A, undamaged.
fn step(a: &Manifest<'_>, b: &Manifest<'_>) -> std::result::Result<Transition, Refusal> {
    if a.product != b.product {
        return Err(Refusal::WrongProduct);
    }
    classify(&Standing { version: a.version, images: images(a), damaged: false }, &offer(b))
}

/// A stretch of changed blocks: first byte, one past its last, bytes that differ.
type Change = (usize, usize, usize);

fn changes(a: &[u8], b: &[u8], block: usize) -> Vec<Change> {
    let mut list: Vec<Change> = Vec::new();
    let length = a.len().max(b.len());
    for from in (0..length).step_by(block) {
        let to = (from + block).min(length);
        let differ = (from..to).filter(|at| a.get(*at) != b.get(*at)).count();
        match list.last_mut() {
            _ if differ == 0 => {}
            Some(last) if last.1 == from => *last = (last.0, to, last.2 + differ),
            _ => list.push((from, to, differ)),
        }
    }
    list
}

fn percent(part: usize, whole: usize) -> String {
    match part as f64 * 100.0 / whole.max(1) as f64 {
        share if part > 0 && share < 0.1 => "below 0.1 %".into(),
        share => format!("{share:.1} %"),
    }
}

fn with(mut data: Value, address: Option<u32>, change: &str) -> Value {
    data["address"] = json!(address);
    data["change"] = json!(change);
    data
}

/// One image, or two for the same slot.
fn image(a: Option<&Linked>, b: Option<&Linked>, block: usize) -> (Vec<String>, Value) {
    let sizes = [a, b].map(|image| image.map(|image| image.bytes.len()));
    let alone = |sign: &str, one: &Linked| {
        let line = format!("{}: {sign}, {} bytes", describe::place(one.address), one.bytes.len());
        let nothing = json!({ "bytes": sizes, "differ": null, "regions": [] });
        (vec![line], with(nothing, one.address, sign))
    };
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (Some(a), None) => return alone("gone", a),
        (None, Some(b)) => return alone("new", b),
        (None, None) => return (Vec::new(), Value::Null),
    };
    let place = describe::place(b.address);
    let list = changes(&a.bytes, &b.bytes, block);
    let whole = a.bytes.len().max(b.bytes.len());
    let differ = list.iter().map(|change| change.2).sum::<usize>();
    let size = match (a.bytes.len(), b.bytes.len()) {
        (x, y) if x == y => format!("{x} bytes"),
        (x, y) => format!("{x} -> {y} bytes"),
    };
    let mut lines = vec![match differ {
        0 => format!("{place}: the same, {size}"),
        n => format!("{place}: {size}, {n} differ ({})", percent(n, whole)),
    }];
    // One stretch that is all of it says nothing new.
    let listed =
        if list.len() == 1 && list.first().is_some_and(|one| one.1 - one.0 == whole) { 0 } else { LISTED };
    for (from, to, n) in list.iter().take(listed) {
        lines.push(format!(
            "  {from:#08x}..{to:#08x}  {n:>7} of {:>7} differ ({})",
            to - from,
            percent(*n, to - from)
        ));
    }
    if listed > 0 && list.len() > LISTED {
        lines.push(format!("  and {} stretches more", list.len() - LISTED));
    }
    let regions: Vec<_> =
        list.iter().map(|(from, to, n)| json!({ "from": from, "to": to, "differ": n })).collect();
    let data = json!({ "bytes": sizes, "differ": differ, "regions": regions });
    (lines, with(data, b.address, if differ == 0 { "none" } else { "changed" }))
}

fn all_images(a: &Bundle, b: &Bundle, block: Option<u32>) -> Result<(Vec<String>, Value)> {
    let (a, b) = (a.images()?, b.images()?);
    let block = block.unwrap_or(BLOCK).max(1) as usize;
    let mut places: Vec<Option<u32>> = a.iter().chain(&b).map(|image| image.address).collect();
    places.sort_unstable();
    places.dedup();
    let at = |images: &[Linked], place| images.iter().position(|image| image.address == place);
    let (mut lines, mut data) = (Vec::new(), Vec::new());
    for place in places {
        let (one, two) = (at(&a, place), at(&b, place));
        let (said, value) = image(one.map(|i| &a[i]), two.map(|i| &b[i]), block);
        lines.extend(said);
        data.push(value);
    }
    for (images, name) in [(&a, "A"), (&b, "B")] {
        if images.is_empty() {
            lines.push(format!("{name} carries none"));
        }
    }
    Ok((lines, json!(data)))
}

fn signers(bundle: &Bundle) -> String {
    let keys: Vec<_> = bundle.signatures().iter().map(|s| s.key.to_string()).collect();
    if keys.is_empty() { "nobody".into() } else { keys.join(", ") }
}

fn total(bundle: &Bundle) -> Result<String> {
    let total = bundle.size()?;
    Ok(format!("{total} ({} of them payload)", bundle.payload().len()))
}

/// Everything that a bundle says in one line, by name.
fn fields(bundle: &Bundle, m: &Manifest<'_>) -> Result<Vec<(&'static str, String)>> {
    let end = if m.support_end == 0 { "not said".into() } else { date(m.support_end) };
    let evidence = m.evidence.map_or("none".into(), |digest| digest.to_string());
    let combined = m.combined.map_or("no".into(), |c| format!("{:?}: {}", c.reason, c.because));
    let links = bundle.links().len();
    Ok(vec![
        ("vendor id", m.product.vendor.to_string()),
        ("class id", m.product.class.to_string()),
        ("release", m.version.to_string()),
        ("lane", describe::lane(m.kind).into()),
        ("text", m.text.into()),
        ("hardware", describe::join(m.hardware.iter())),
        ("under root", m.root_version.to_string()),
        ("root links", links.to_string()),
        ("combined", combined),
        ("issued", date(m.issued_at)),
        ("supported until", end),
        ("evidence", evidence),
        ("signed by", signers(bundle)),
        ("bytes", total(bundle)?),
    ])
}

pub(super) fn compare(a: &Bundle, b: &Bundle, block: Option<u32>) -> Result<Report> {
    let (from, to) = (a.manifest()?, b.manifest()?);
    let step = step(&from, &to);
    let words = match step {
        Ok(transition) => format!("{}: on a device that runs {}", named(transition), from.version),
        Err(refusal) => format!("none: on a device that runs {} it {refusal}", from.version),
    };
    let mut report = Report::default().line("transition", words);
    let (gained, lost) = (
        gained(&to.version.security, &from.version.security),
        gained(&from.version.security, &to.version.security),
    );
    for line in closes(&gained, to.advisories.iter()) {
        report = report.line("closes", line);
    }
    if !lost.is_empty() {
        report = report.line("opens", format!("{}: handled in A, not in B", indices(&lost)));
    }
    let mut fields_data = serde_json::Map::new();
    for ((name, was), (_, is)) in fields(a, &from)?.into_iter().zip(fields(b, &to)?) {
        if was != is {
            let or = |text: String| if text.is_empty() { "\"\"".to_owned() } else { text };
            fields_data.insert(name.replace(' ', "_"), json!([was, is]));
            report = report.line(name, format!("{} -> {}", or(was), or(is)));
        }
    }
    let (lines, images) = all_images(a, b, block)?;
    report.lines.extend(lines.into_iter().map(|line| ("image".to_owned(), line)));
    let same = a.to_bytes()? == b.to_bytes()?;
    report.summary = if same { "The same file.".into() } else { String::new() };
    report.data = json!({
        "same": same,
        "transition": step.ok().map(|transition| slug(&transition)),
        "refusal": step.err().map(Refusal::code),
        "kinds": [kind(from.kind), kind(to.kind)],
        "closes": gained, "opens": lost,
        "changed": fields_data, "images": images,
    });
    Ok(report)
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::SecurityPatch => "security",
        Kind::FeatureUpdate => "feature",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_small_is_not_nothing() {
        assert_eq!(
            ["0.0 %", "below 0.1 %", "0.1 %", "100.0 %"],
            [(0, 5), (1, 5000), (1, 1000), (5, 5)].map(|(a, b)| percent(a, b))
        );
    }

    #[test]
    fn changed_blocks_that_touch_are_one_stretch() {
        let a = vec![0; 100];
        let mut b = a.clone();
        (b[5], b[12], b[50]) = (1, 1, 1);
        assert_eq!(changes(&a, &b, 10), [(0, 20, 2), (50, 60, 1)]);
        b.push(0);
        assert_eq!(changes(&a, &b, 10).last(), Some(&(100, 101, 1)));
        assert!(changes(&a, &a, 10).is_empty());
        assert!(changes(&[], &[], 10).is_empty());
    }
}
