//! Checks of the binary: functions, symbols, growth.

use super::Answer::{Fail, Pass, Unknown};
use super::lock;
use super::release::lacks;
use super::source::range;
use super::{Answer, Case};
use crate::binary::{self, Changes, Comparison, Method};
use crate::bundle::sha256;
use crate::error::Result;
use crate::image;
use patchlane_protocol::Digest;
use serde_json::json;

/// Both programs, if they are the ones that base and patch are made of.
fn both(case: &Case<'_>) -> Result<std::result::Result<[Vec<u8>; 2], Answer>> {
    let elf = match lacks(&case.change.elf, "elf") {
        Ok(elf) => elf,
        Err(answer) => return Ok(Err(answer)),
    };
    let [old, new] = [case.read(&elf.base)?, case.read(&elf.patch)?];
    // A comparison of other programs would show nothing about these releases.
    let digest =
        |path, bytes: &[u8]| -> Result<Digest> { Ok(sha256(&image::parse(path, bytes.to_vec())?.bytes)) };
    let manifest = case.base.manifest()?;
    let before = digest(&elf.base, &old)?;
    if !manifest.components.iter().flat_map(|c| c.images.iter()).any(|image| image.digest == before) {
        return Ok(Err(Fail(format!("{} isn't what the base was made of", elf.base.display()))));
    }
    let after = digest(&elf.patch, &new)?;
    if !case.images.iter().any(|image| sha256(&image.bytes) == after) {
        return Ok(Err(Fail(format!("{} isn't what the patch is made of", elf.patch.display()))));
    }
    Ok(Ok([old, new]))
}

fn compared(
    case: &Case<'_>,
    changes: Option<&Changes<'_>>,
) -> Result<std::result::Result<Comparison, Answer>> {
    Ok(match both(case)? {
        Ok([old, new]) => Ok(binary::compare_by(&old, &new, Method::Relocations, changes)?),
        Err(answer) => Err(answer),
    })
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 3 { format!("{shown} and {} more", names.len() - 3) } else { shown }
}

/// 18: every function that changed is reached from a changed line.
pub(super) fn functions(case: &Case<'_>) -> Result<Answer> {
    if let Err(answer) = lacks(&case.change.elf, "elf") {
        return Ok(answer);
    }
    let range = match range(case)? {
        Ok(range) => range,
        Err(Unknown(why)) => return Ok(Unknown(format!("nothing to compare the functions with: {why}"))),
        Err(answer) => return Ok(answer),
    };
    let hunks = binary::hunks::parse(&range.repository.diff(&range.base, &range.head)?)?;
    let files = [range.repository.files(&range.base)?, range.repository.files(&range.head)?];
    let locked = lock::moved(case, &range, &hunks)?;
    let changes = Changes { hunks: &hunks, files: Some(&files), dependencies: &locked.named };
    let comparison = match compared(case, Some(&changes))? {
        Ok(comparison) => comparison,
        Err(answer) => return Ok(answer),
    };
    case.keep("comparison", binary::json(&comparison));
    case.keep("hunk_commits", range.commits_of(&hunks)?);
    let Some(table) = &comparison.table else {
        return Ok(Unknown("the source diff wasn't joined with the functions".into()));
    };
    let orphans: Vec<String> = table.orphans().map(|row| row.name.clone()).collect();
    if !orphans.is_empty() {
        let mut told = vec![format!("changed, and no changed line leads there: {}", some(&orphans))];
        told.extend(comparison.unseen.iter().cloned());
        told.extend(locked.unnamed.iter().map(|moved| format!("no advisory or VEX names {moved}")));
        return Ok(Fail(told.join("; ")));
    }
    let changed: Vec<String> = comparison.changed.iter().map(|changed| changed.new.name.clone()).collect();
    let weaker =
        if comparison.method == Method::Heuristic { "; without --emit-relocs, which is weaker" } else { "" };
    let told = if changed.is_empty() { "none".to_owned() } else { some(&changed) };
    let all = comparison.functions.1;
    Ok(Pass(format!("{} of {all} functions changed: {told}{weaker}", changed.len())))
}

/// 19: no symbol, export or interrupt vector was added or removed.
pub(super) fn symbols(case: &Case<'_>) -> Result<Answer> {
    let comparison = match compared(case, None)? {
        Ok(comparison) => comparison,
        Err(answer) => return Ok(answer),
    };
    case.keep("functions", json!({ "base": comparison.functions.0, "patch": comparison.functions.1 }));
    let mut told = Vec::new();
    let mut side = |what: &str, names: Vec<String>| {
        told.extend((!names.is_empty()).then(|| format!("{what} {}", some(&names))));
    };
    let of = |items: &[binary::Item]| items.iter().map(|item| item.name.clone()).collect::<Vec<_>>();
    side("added:", of(&comparison.alone.added));
    side("removed:", of(&comparison.alone.removed));
    side("data added:", of(&comparison.data_alone.added));
    side("data removed:", of(&comparison.data_alone.removed));
    side("exported now:", comparison.exports.added.clone());
    side("no longer exported:", comparison.exports.removed.clone());
    let vectors = comparison.vectors.iter().map(|vector| format!("{} {}", vector.table, vector.index));
    side("vectors:", vectors.collect());
    side("no longer weak:", comparison.filled.clone());
    side("set otherwise by the linker:", comparison.set.clone());
    let nameless = comparison.unnamed.added.iter().filter(|part| part.code);
    side("code without a name:", nameless.map(|p| format!("{} bytes in {}", p.size, p.section)).collect());
    if told.is_empty() {
        return Ok(Pass(format!("the same {} functions", comparison.functions.1)));
    }
    Ok(Fail(told.join("; ")))
}

/// 20: sections and texts grew within limits.
pub(super) fn growth(case: &Case<'_>) -> Result<Answer> {
    let elf = match lacks(&case.change.elf, "elf") {
        Ok(elf) => elf,
        Err(answer) => return Ok(answer),
    };
    let comparison = match compared(case, None)? {
        Ok(comparison) => comparison,
        Err(answer) => return Ok(answer),
    };
    let sizes = comparison.sections.iter().map(|section| {
        let bytes = |side: Option<(u32, u32)>| side.map_or(0, |(_, size)| u64::from(size));
        bytes(section.is).saturating_sub(bytes(section.was))
    });
    let (grown, texts) = (sizes.sum::<u64>(), &comparison.strings.added);
    case.keep("grown", grown);
    case.keep("most", elf.growth);
    case.keep("texts", texts.clone());
    let told = format!("{grown} bytes, {} are the most", elf.growth);
    if grown > elf.growth {
        return Ok(Fail(told));
    }
    if texts.len() > elf.strings {
        let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
        return Ok(Fail(format!("texts added: {}", some(&texts))));
    }
    Ok(Pass(told))
}
