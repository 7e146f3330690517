//! Checks of behaviour: the exploit, the replay, the budget, and that the patch installs.

use super::Answer::{Fail, Pass, Unknown};
use super::release::{broken, lacks};
use super::{Answer, Case};
use crate::bundle::{Linked, sha256};
use crate::commands::parse_bundle;
use crate::error::Result;
use crate::flash::Chip;
use crate::output::plural;
use crate::replay::{self, KIND, Played, Recording, Row, TEST_RESULT, judge};
use crate::scenario::{
    Cast, Expected, Feature, Lane, Release, Scenario, Security, Source, Start, Step, Sweep,
};
use patchlane_device::Layout;
use patchlane_protocol::Version;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The most power cuts that check 28 makes for each base and story.
const CUTS: u64 = 300;

/// So much flash is simulated for an archive, in bytes: whoever wrote that may mean harm.
pub(crate) const SIMULATED: u64 = 64 << 20;

/// So many bases are simulated for an archive.
pub(crate) const SIMULATED_BASES: usize = 64;

/// An in-toto statement (v1) of this kind, and the digests that it is about.
fn statement(document: &Value, kind: &str) -> Result<BTreeSet<String>> {
    if document["_type"].as_str() != Some("https://in-toto.io/Statement/v1") {
        return Err(broken("isn't an in-toto statement, version 1"));
    }
    if document["predicateType"].as_str() != Some(kind) {
        return Err(broken(format!("isn't a statement of the kind {kind}")));
    }
    let subjects = document["subject"].as_array().into_iter().flatten();
    Ok(subjects.filter_map(|s| s["digest"]["sha256"].as_str()).map(str::to_lowercase).collect())
}

fn digests(images: &[Linked]) -> BTreeSet<String> {
    images.iter().map(|image| sha256(&image.bytes).to_string()).collect()
}

/// What the base carries; deltas alone can't be compared.
fn base_digests(case: &Case<'_>) -> Result<BTreeSet<String>> {
    let manifest = case.base.manifest()?;
    let images = manifest.components.iter().flat_map(|component| component.images.iter());
    Ok(images.map(|image| image.digest.to_string()).collect())
}

fn names(predicate: &Value, key: &str) -> BTreeSet<String> {
    predicate[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// True if a test's name holds an id, as a word: `CVE-2027-10` isn't `CVE-2027-1`.
fn is_about(test: &str, id: &str) -> bool {
    let (test, id) = (test.to_lowercase(), id.to_lowercase());
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    test.match_indices(&id)
        .any(|(at, _)| edge(test[..at].chars().next_back()) && edge(test[at + id.len()..].chars().next()))
}

/// Names of tests, by release and result.
#[derive(Default)]
struct Tests {
    failed_before: BTreeSet<String>,
    passed_before: BTreeSet<String>,
    passed_after: BTreeSet<String>,
    failed_after: BTreeSet<String>,
}

/// 24: the exploit works on the base and fails on the patch.
///
/// A test is named after the vulnerability; it passes where the exploit fails.
pub(super) fn exploit(case: &Case<'_>) -> Result<Answer> {
    let files = &case.change.proof.exploit;
    if files.is_empty() {
        return Ok(Unknown("the change record names no [proof] exploit".into()));
    }
    let (old, new) = (base_digests(case)?, digests(&case.images));
    let mut tests = Tests::default();
    for path in files {
        let document = case.json(path)?;
        let about = statement(&document, TEST_RESULT).map_err(|e| e.at(path.display()))?;
        let predicate = &document["predicate"];
        case.keep(
            &path.display().to_string(),
            json!({
                "of": if about.is_subset(&old) { "base" } else { "patch" },
                "result": predicate["result"],
                "passed": names(predicate, "passedTests"),
                "failed": names(predicate, "failedTests"),
                "configuration": predicate["configuration"],
                "url": predicate["url"],
            }),
        );
        match (about.is_subset(&old), about.is_subset(&new), about.is_empty()) {
            (true, false, false) => {
                tests.failed_before.extend(names(predicate, "failedTests"));
                tests.passed_before.extend(names(predicate, "passedTests"));
            }
            (false, true, false) => {
                tests.passed_after.extend(names(predicate, "passedTests"));
                tests.failed_after.extend(names(predicate, "failedTests"));
            }
            _ => {
                return Ok(Fail(format!(
                    "{} is about neither the base's image nor the patch's",
                    path.display()
                )));
            }
        }
    }
    Ok(shows(case, &tests))
}

/// Whether the tests show that the exploit of each vulnerability works on the base, and fails on the patch.
fn shows(case: &Case<'_>, tests: &Tests) -> Answer {
    if let Some(test) = tests.failed_after.iter().next() {
        return Fail(format!("`{test}` fails on the patch"));
    }
    for id in case.ids() {
        let about = |test: &&String| is_about(test, id);
        let before: Vec<&String> = tests.failed_before.iter().filter(about).collect();
        if before.is_empty() {
            return Fail(format!("no test named after {id} fails on the base: nothing shows the exploit"));
        }
        if let Some(test) = before.iter().find(|test| tests.passed_before.contains(**test)) {
            return Fail(format!("`{test}` both fails and passes on the base: that shows nothing"));
        }
        if let Some(test) = before.iter().find(|test| !tests.passed_after.contains(**test)) {
            return Fail(format!("`{test}` doesn't pass on the patch"));
        }
    }
    Pass(format!(
        "{} of the exploit: works on the base, fails on the patch",
        plural(tests.failed_before.len() as u64, "test")
    ))
}

/// What the statement says was played, if it is about these images, and about this recording as it stands.
fn played(
    case: &Case<'_>,
    document: &Value,
    recording: &Recording,
) -> Result<std::result::Result<Vec<Played>, Answer>> {
    let no = |what: &str| Ok(Err(Fail(what.to_owned())));
    let about = statement(document, KIND)?;
    let (predicate, played) = (&document["predicate"], replay::read(&document["predicate"])?);
    let linked = case.images.iter().map(|image| (image.address, sha256(&image.bytes).to_string()));
    let linked: BTreeSet<_> = linked.collect();
    let patches: BTreeSet<_> = played.iter().map(|one| (one.address, one.patch.clone())).collect();
    if about != digests(&case.images) || patches != linked {
        return no("the replay is of other images than the patch's");
    }
    let manifest = case.base.manifest()?;
    let images = manifest.components.iter().flat_map(|component| component.images.iter());
    let known: Vec<_> = images.map(|image| (image.address, image.digest.to_string())).collect();
    // One image is the only one there is, wherever a bundle says that it lies.
    let fits = |one: &Played, (address, digest): &(Option<u32>, String)| {
        *digest == one.base && (known.len() == 1 || *address == one.address)
    };
    if played.iter().any(|one| !known.iter().any(|image| fits(one, image))) {
        return no("the replay compares with another image than the base's");
    }
    let digest = sha256(&recording.bytes).to_string();
    if predicate["recording"]["sha256"].as_str() != Some(&digest) {
        return no("the replay is of another recording: it was changed since");
    }
    let inputs: Vec<Row> = recording.inputs().map(|(session, input)| Row::of(&session.name, input)).collect();
    let rows = |one: &Played| one.rows.iter().map(Row::unplayed).collect::<Vec<_>>();
    if played.iter().any(|one| rows(one) != inputs) {
        return no("the rows of the replay aren't the inputs of the recording");
    }
    if predicate["runs"].as_u64().is_none_or(|runs| runs < 2) {
        return no("each image was played once: that shows nothing of answers that vary");
    }
    // Whoever made the statement could have used any program that answers alike.
    let Some(adapter) = &case.config.replay else {
        let why = "patchlane.toml has no [replay]: nothing says by which adapter it has to be played";
        return Ok(Err(Unknown(why.into())));
    };
    if predicate["adapter"]["command"] != json!(adapter.command) {
        return no("it was played by another adapter than patchlane.toml names in [replay] command");
    }
    Ok(Ok(played))
}

/// 25: the same inputs give the same outputs, but for those of the vulnerability.
pub(super) fn replay(case: &Case<'_>) -> Result<Answer> {
    let proof = &case.change.proof;
    let Some(path) = &proof.replay else {
        return Ok(Unknown("the change record names no [proof] replay".into()));
    };
    let Some(source) = &proof.recording else {
        return Ok(Unknown("the change record names no [proof] recording".into()));
    };
    let document = case.json(path)?;
    let recording = Recording::parse(case.read(source)?).map_err(|e| e.at(source.display()))?;
    let played = match played(case, &document, &recording).map_err(|e| e.at(path.display()))? {
        Ok(played) => played,
        Err(answer) => return Ok(answer),
    };
    // What the statement concludes is nobody's word here: it is concluded again.
    let verdict = judge(&played, &case.ids());
    if let Some(problem) = verdict.problems.first() {
        let more = verdict.problems.len() - 1;
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        return Ok(Fail(format!("{}{more}", problem.what)));
    }
    let other = played.iter().flat_map(|one| &one.rows).filter(|row| !row.is_same()).count();
    let masked = recording.inputs().filter(|(_, input)| !input.masks.is_empty()).count();
    let masked = if masked > 0 { format!(", {masked} masked in part") } else { String::new() };
    let swept = match &recording.unswept {
        Some(why) => format!("nothing swept: {why}"),
        None => format!("{} of them swept", recording.swept),
    };
    let words = document["predicate"]["adapter"]["command"].as_array().into_iter().flatten();
    let given = words.filter_map(Value::as_str).any(|word| word.contains("{image}"));
    let host = if given { "" } else { "; not by the image, but by what the adapter takes for it" };
    let inputs = plural(recording.inputs().count() as u64, "input");
    case.keep("inputs", recording.inputs().count());
    case.keep("differences", replay::differences(&played));
    Ok(Pass(format!("{inputs}, {other} answered otherwise and explained{masked}; {swept}{host}")))
}

/// 26: flash, RAM, stack and time stay within budget.
pub(super) fn budget(case: &Case<'_>) -> Result<Answer> {
    let budget = match lacks(&case.change.budget, "budget") {
        Ok(budget) => budget,
        Err(answer) => return Ok(answer),
    };
    if budget.limits.is_empty() {
        return Ok(Unknown("[budget] limits names none".into()));
    }
    let flash = case.images.iter().map(|image| image.bytes.len() as u64).max();
    let (mut told, mut over) = (Vec::new(), Vec::new());
    for (name, limit) in &budget.limits {
        let counted = flash.filter(|_| name == "flash").or(budget.measured.get(name).copied());
        let Some(value) = counted else {
            return Ok(Unknown(format!("`{name}` has a limit, and wasn't measured")));
        };
        let line = format!("{name} {value} of {limit}");
        if value > *limit { over.push(line) } else { told.push(line) }
    }
    case.keep("within", told.clone());
    case.keep("over", over.clone());
    if over.is_empty() { Ok(Pass(told.join(", "))) } else { Ok(Fail(over.join(", "))) }
}

/// A device with `old` that is sent `new`; false for a patch that hangs, and is taken back.
fn story(old: Version, new: Version, works: bool) -> Scenario {
    let described = |version, firmware: &str| Source::Described {
        lane: Lane::Security,
        version,
        firmware: firmware.to_owned(),
        payload: true,
    };
    story_of((old, described(old, "base")), (new, described(new, "patch")), Feature::Never, works)
}

/// The same, whatever the releases are made of.
pub(crate) fn story_of(
    old: (Version, Source),
    new: (Version, Source),
    feature: Feature,
    works: bool,
) -> Scenario {
    let ((old, base), (new, patch)) = (old, new);
    let release = |source, works| Release { source, works, damage: None };
    let (old_name, new_name) = (old.to_string(), new.to_string());
    let runs = if works { &new_name } else { &old_name };
    let expected =
        Expected { installed: Some(runs.clone()), activity: Some("Idle".into()), ..Expected::default() };
    let step = vec![
        Step::Send { release: "patch".into(), cut: false, answer: "ready".into() },
        Step::Restart { cut: None },
        Step::Status(expected),
    ];
    Scenario {
        title: format!("{old_name} to {new_name}"),
        device: Start {
            first: "base".into(),
            security: Security::ApplyInWindow,
            feature,
            owner: false,
            root: None,
        },
        flash: None,
        release: [("base".to_owned(), release(base, true)), ("patch".to_owned(), release(patch, works))]
            .into(),
        lines: (1..=step.len()).collect(),
        step,
        folder: PathBuf::new(),
    }
}

/// Plays both stories over one base. The number of power cuts survived, or what went otherwise.
fn installs_over(case: &Case<'_>, old: Version, base: &[Linked]) -> Result<std::result::Result<u64, String>> {
    let layout = case.config.layout()?;
    let slots = case.config.direct_addresses().map_or(Vec::new(), |both| both.to_vec());
    let images = |name: &str| -> Result<Vec<u8>> {
        let (which, address) = name.split_once('@').map_or((name, None), |(which, address)| {
            (which, u32::from_str_radix(address.trim_start_matches("0x"), 16).ok())
        });
        let images = if which == "base" { base } else { &case.images };
        let fits = images.iter().find(|image| address.is_none() || image.address == address);
        fits.map(|image| image.bytes.clone())
            .ok_or_else(|| broken(format!("{which} has no image for its slot")))
    };
    let mut cuts = 0;
    for works in [true, false] {
        let scenario = story(old, case.version, works);
        let cast = Cast::of(&scenario, None, &slots, &images)?;
        match survives(&scenario, &cast, layout)? {
            Ok(survived) => cuts += survived,
            Err(what) => return Ok(Err(what)),
        }
    }
    Ok(Ok(cuts))
}

/// Plays a story, and once more with power cut at each of its points. The number of power cuts survived, or what went
/// otherwise.
pub(crate) fn survives(
    scenario: &Scenario,
    cast: &Cast,
    layout: Layout,
) -> Result<std::result::Result<u64, String>> {
    let (sweep, failure) = Sweep::new(scenario, cast, Chip::new(layout))?;
    if let Some(failure) = failure {
        return Ok(Err(failure.what));
    }
    let points = sweep.points(CUTS);
    let tally = sweep.play(&points, &mut |_| ());
    Ok(match tally.failures.first() {
        Some((point, failure)) => Err(format!("with power cut at {point}: {}", failure.what)),
        None => Ok(tally.points),
    })
}

/// 28: it installs over every base named, survives power cuts, and goes back when its trial fails.
///
/// On the device crate, with the flash of patchlane.toml and throw-away keys.
pub(super) fn installs(case: &Case<'_>) -> Result<Answer> {
    if case.config.flash.is_none() {
        return Ok(Unknown("patchlane.toml has no [flash]".into()));
    }
    if case.images.is_empty() {
        return Ok(Unknown("the change record names no image".into()));
    }
    let flash = case.config.flash.iter().flat_map(|flash| flash.stretches()).map(|(_, s)| u64::from(s.size));
    if case.archived.is_some() && flash.sum::<u64>() > SIMULATED {
        case.lacks("its flash is too large to be simulated for an archive");
        return Ok(Unknown("not simulated".into()));
    }
    let mut bases = vec![&case.change.base];
    for path in &case.change.proof.bases {
        if !bases.contains(&path) {
            bases.push(path);
        }
        if case.archived.is_some() && bases.len() > SIMULATED_BASES {
            case.lacks("it names too many bases to be simulated for an archive");
            return Ok(Unknown("not simulated".into()));
        }
    }
    let (mut seen, mut cuts): (BTreeMap<String, ()>, u64) = (BTreeMap::new(), 0);
    for path in bases {
        let bundle = parse_bundle(case.read(path)?, path)?;
        let version = bundle.manifest()?.version;
        if version.feature != case.version.feature {
            return Ok(Fail(format!("{} is of another baseline", path.display())));
        }
        let images = bundle.images()?;
        if images.is_empty() {
            return Ok(Unknown(format!("{} carries no full image to start from", path.display())));
        }
        match installs_over(case, version, &images)? {
            Ok(survived) => cuts += survived,
            Err(what) => return Ok(Fail(format!("over {version}: {what}"))),
        }
        seen.insert(version.to_string(), ());
    }
    let over: Vec<String> = seen.into_keys().collect();
    case.keep("over", over.clone());
    case.keep("cuts", cuts);
    Ok(Pass(format!("over {}; {cuts} power cuts survived, a failed trial taken back", over.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::is_about;

    #[test]
    fn a_test_is_named_after_one_vulnerability_and_no_longer_one() {
        for (test, id, named) in [
            ("CVE-2027-41 over-read", "CVE-2027-41", true),
            ("test_cve-2027-41", "CVE-2027-41", true),
            ("(CVE-2027-41)", "CVE-2027-41", true),
            ("CVE-2027-4108", "CVE-2027-41", false),
            ("XCVE-2027-41", "CVE-2027-41", false),
            ("CVE-2027-4108 and CVE-2027-41", "CVE-2027-41", true),
        ] {
            assert_eq!(is_about(test, id), named, "{test} {id}");
        }
    }
}
