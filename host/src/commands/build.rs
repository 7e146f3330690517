//! `build`: a linked image becomes a bundle.

mod wanted;

use super::{anchor, baseline, describe, now, sign};
use crate::boards::Machine;
use crate::bundle::{Bundle, Closes, Draft, LARGEST_DELTA, Linked, sha256};
use crate::cli::{Global, Lane};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::files::{self, New, Over, Secrecy};
use crate::image::{self, Source, source};
use crate::ledger::Ledger;
use crate::ledger::time::Day;
use crate::lint::change::Change;
use crate::map;
use crate::output::Report;
use crate::root::{Root, links};
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use patchlane_device::delta::Isa;
use patchlane_protocol::{Baseline, Kind, Manifest, Reason, Refusal, RootDocument, Severity, Version};
use serde_json::json;
use std::borrow::Cow;
use std::path::PathBuf;
use wanted::{Wanted, wanted};

const EXAMPLES: &str = "\
Examples:
  patchlane build security --baseline 4.1 --level 9 --image app.elf \\
      --closes 9:CVE-2027-4108:high:exploited -m \"Bounds check of register requests\"
  patchlane build feature --baseline 5.0 --level 9 --image app5.elf -m \"Dosing profiles\"
  patchlane build security --baseline 4.1 --level 9 --image app.elf --base pump_4.1-s8.plb
  patchlane build security --baseline 5.0 --level 9 --image app5.elf --no-payload    not affected
With a ledger, it gives level, indices and what stays open:
  patchlane build security --baseline 4.1 --fixes CVE-2027-4108 --image app.elf
  patchlane build security --baseline 5.0 --not-affected";

#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The lane: what it may change, and who signs
    lane: Lane,
    /// A change record, as `lint` judges it: it says baseline, level, images, advisories and the rest
    #[arg(long, value_name = "FILE", conflicts_with_all = ["baseline", "level", "open", "image", "closes", "fixes", "contains", "not_affected", "message", "support_end"])]
    change: Option<PathBuf>,
    /// The feature set, such as 4.12
    #[arg(long, value_parser = baseline, value_name = "LINE.STEP", required_unless_present = "change")]
    baseline: Option<Baseline>,
    /// The security level: this release handles the advisories 1 to NUMBER, except those of --open (default: the ledger's)
    #[arg(long, value_name = "NUMBER")]
    level: Option<u32>,
    /// Advisories below the level that this release still has open: 5 or 5,7; at most 16
    #[arg(long, value_delimiter = ',', value_name = "INDEX")]
    open: Vec<u32>,
    /// What the linker made: ELF, Intel HEX, or raw binary (FILE@0xADDRESS); repeat it for code that runs in either slot
    #[arg(long, required_unless_present_any = ["not_affected", "change"], value_name = "FILE[@ADDRESS]", value_parser = PathBufValueParser::new().try_map(source))]
    image: Vec<Source>,
    /// What devices in the field run: a bundle, or an image; they get a delta from it instead of the image in full; repeat it for each
    #[arg(long, value_name = "FILE[@ADDRESS]", conflicts_with = "no_payload", value_parser = PathBufValueParser::new().try_map(source))]
    base: Vec<Source>,
    /// An advisory that this release closes: INDEX:ID:SEVERITY[:exploited], with severity none, low, medium, high or critical; repeat it for each, at most 16 times
    #[arg(long, value_parser = closes, value_name = "ADVISORY")]
    closes: Vec<Closes>,
    /// An advisory of the ledger that this release fixes, by its id; repeat it for each
    #[arg(long, value_name = "ID", conflicts_with = "closes")]
    fixes: Vec<String>,
    /// Of a new baseline: its code was branched from this one's newest release, and has its fixes
    #[arg(long, value_parser = baseline, value_name = "LINE.STEP")]
    contains: Option<Baseline>,
    /// A patch without payload, of what the ledger knows: the baseline's newest image isn't affected by what it lacks
    #[arg(long, conflicts_with_all = ["image", "base", "closes", "fixes", "contains", "level", "open", "no_payload", "combined"])]
    not_affected: bool,
    /// What an operator reads; at most 256 bytes
    #[arg(long, short, default_value = "", hide_default_value = true, value_name = "TEXT")]
    message: String,
    /// A patch without payload: the installed image, given by --image, isn't affected (its level rises, nothing restarts)
    #[arg(long)]
    no_payload: bool,
    /// The fixes come only together with features; why
    #[arg(long, value_enum, value_name = "REASON", requires = "because")]
    combined: Option<Why>,
    /// The reason in words; owners and assessors read it; at most 160 bytes
    #[arg(long, requires = "combined", value_name = "TEXT")]
    because: Option<String>,
    /// When it was issued, in seconds since 1970 (default: SOURCE_DATE_EPOCH, else now)
    #[arg(long, value_name = "SECONDS")]
    issued_at: Option<u64>,
    /// The last day of this baseline's support, such as 2032-12-31 (default: the ledger's, else not stated)
    #[arg(long, value_name = "DAY", value_parser = Day::parse)]
    support_end: Option<Day>,
    /// SHA-256 of this file goes into the manifest as the evidence made before signing
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// A root file to carry along, for devices that trust an older root; repeat it, oldest first
    #[arg(long, value_name = "FILE")]
    link: Vec<PathBuf>,
    /// The bundle (default: CLASS_VERSION_LANE.plb in this folder)
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing bundle
    #[arg(long)]
    force: bool,
}

/// Why fixes can't be separated.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Why {
    /// The fix needs the functional change
    FixForcesChange,
    /// The functional change is the fix
    ChangeIsFix,
    /// Separating them isn't technically feasible
    NotFeasible,
}

/// A severity as it is typed.
pub(crate) fn severity(text: &str) -> std::result::Result<Severity, String> {
    match text.to_ascii_lowercase().as_str() {
        "none" => Ok(Severity::None),
        "low" => Ok(Severity::Low),
        "medium" => Ok(Severity::Medium),
        "high" => Ok(Severity::High),
        "critical" => Ok(Severity::Critical),
        other => Err(format!("`{other}` isn't none, low, medium, high or critical")),
    }
}

fn closes(text: &str) -> std::result::Result<Closes, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (index, id, severity, exploited) = match parts[..] {
        [index, id, severity] => (index, id, severity, false),
        [index, id, severity, "exploited"] => (index, id, severity, true),
        _ => return Err("an advisory is INDEX:ID:SEVERITY or INDEX:ID:SEVERITY:exploited".into()),
    };
    let severity = self::severity(severity)?;
    let index = index.parse().map_err(|_| format!("`{index}` isn't an advisory index"))?;
    Ok(Closes { index, id: id.to_owned(), severity, exploited })
}

/// The images of a release, and what their files tell of them.
#[derive(Default)]
struct Given {
    images: Vec<Linked>,
    /// Where the first is linked for.
    address: Option<u32>,
    /// What they run on.
    machine: Option<Machine>,
}

/// Reads every image and checks it against the flash map.
fn images(options: &Options, config: &Config) -> Result<Given> {
    let (addresses, direct) = (config.addresses(), config.direct_addresses());
    let several = options.image.len() > 1 || direct.is_some();
    let mut given = Given::default();
    for source in &options.image {
        let loaded = image::load(source)?;
        let wrong = |what: String, next: &str| Error::new(Code::Image, what, next).at(source.path.display());
        if let Some(flash) = &config.flash {
            config.layout()?;
            let findings = map::check_image(&loaded, &addresses, flash, &config.ram());
            if let Some(error) = map::error(Code::Image, source.path.display(), findings) {
                return Err(error);
            }
        }
        // One image goes wherever the device's slot is; of several each one has to say where.
        let address = loaded.address.filter(|_| several);
        if several && address.is_none() {
            let what = "is one of several images, and doesn't say where it is linked for".to_owned();
            return Err(wrong(what, "say it: FILE@0xADDRESS"));
        }
        if given.images.iter().any(|other| other.address == address) {
            return Err(wrong(
                "is linked for the same address as another".to_owned(),
                "give one image for each slot",
            ));
        }
        given.machine = given.machine.or(loaded.machine);
        given.address = given.address.or(loaded.address).or(addresses.first().copied());
        given.images.push(Linked { address, bytes: loaded.bytes });
    }
    let lacks = |address: &u32| given.images.iter().all(|image| image.address != Some(*address));
    if let Some(missing) = direct.into_iter().flatten().find(lacks) {
        // Half of the devices would have no use for it.
        let what = format!("code runs from both slots, and there is no image for the one at {missing:#010x}");
        return Err(Error::new(Code::Image, what, "give one for each slot: --image FILE, and again"));
    }
    Ok(given)
}

/// What devices run now, in the order given.
struct Base<'a> {
    source: &'a Source,
    images: Vec<Linked>,
}

/// Reads the bases: images as linkers make them, or those of earlier bundles.
fn bases<'a>(options: &'a Options, config: &Config) -> Result<Vec<Base<'a>>> {
    let read = |source: &'a Source| {
        let images = super::base_images(source)?;
        if let Some(both) = config.direct_addresses()
            && images.iter().any(|image| image.address.is_none_or(|address| !both.contains(&address)))
        {
            let what = "is a base of code that runs from both slots, and isn't linked for one of them";
            return Err(Error::new(Code::Image, what, "say it: FILE@0xADDRESS").at(source.path.display()));
        }
        // A bundle with one image doesn't say where it is linked for: where the slot is.
        let only = config.addresses().first().copied().filter(|_| images.len() == 1);
        let placed = |image: Linked| Linked { address: image.address.or(only), ..image };
        Ok(Base { source, images: images.into_iter().map(placed).collect() })
    };
    options.base.iter().map(read).collect()
}

/// What became of each base: the bytes that devices with it need.
fn deltas(bundle: &Bundle, bases: &[Base<'_>], report: &mut Report) -> Result<()> {
    let manifest = bundle.manifest()?;
    let ways: Vec<_> =
        manifest.components.iter().flat_map(|component| component.alternatives.iter()).collect();
    for base in bases {
        let file = base.source.path.display();
        let digests: Vec<_> = base.images.iter().map(|image| Some(sha256(&image.bytes))).collect();
        if !ways.iter().any(|way| digests.contains(&way.base)) {
            let same = manifest.components.iter().flat_map(|component| component.images.iter());
            let same = same.map(|image| Some(image.digest)).any(|digest| digests.contains(&digest));
            let large = |bytes: usize| bytes > LARGEST_DELTA;
            let images = manifest.components.iter().flat_map(|component| component.images.iter());
            let huge = base.images.iter().any(|image| large(image.bytes.len()))
                || images.map(|image| image.size.get() as usize).any(large);
            let why = match (same, huge) {
                (true, _) => "it is the image itself",
                (_, true) => "deltas are made of images up to 16 MiB",
                _ => "it saves nothing here",
            };
            report.notes.push(format!("no delta from {file}: {why}"));
        }
    }
    Ok(())
}

fn draft(
    options: &Options,
    config: &Config,
    root: &Root,
    bases: &[Base<'_>],
    wanted: Wanted,
) -> Result<Draft> {
    let kind = match options.lane {
        Lane::Security => Kind::SecurityPatch,
        Lane::Feature => Kind::FeatureUpdate,
    };
    let version = Version { feature: options.feature()?, security: wanted.security };
    let mut draft = Draft::new(kind, config.product(), version, Vec::new());
    let given = images(options, config)?;
    (draft.images, draft.installed, draft.address) = (given.images, wanted.installed, given.address);
    draft.bases = bases.iter().flat_map(|base| base.images.iter().cloned()).collect();
    draft.direct = config.direct_addresses().is_some();
    draft.isa = given.machine.map(|machine| match machine {
        Machine::CortexM => Isa::Thumb,
        Machine::RiscV => Isa::Riscv,
    });
    draft.hardware.clone_from(&config.product.hardware);
    draft.root_version = root.document()?.version;
    draft.payload = !options.no_payload && !options.not_affected;
    draft.chunk = config.build.chunk;
    draft.closes = wanted.closes;
    draft.issued_at = options.issued_at.map_or_else(now, Ok)?;
    draft.support_end = options.support_end.map_or(wanted.support_end, Day::ends);
    draft.evidence = options.evidence.as_ref().map(|p| files::read(p).map(|b| sha256(&b))).transpose()?;
    draft.text = if options.message.is_empty() { wanted.text } else { options.message.clone() };
    draft.combined = options.combined.map(|why| {
        let reason = match why {
            Why::FixForcesChange => Reason::FixForcesChange,
            Why::ChangeIsFix => Reason::ChangeIsFix,
            Why::NotFeasible => Reason::NotFeasible,
        };
        (reason, options.because.clone().unwrap_or_default())
    });
    draft.links = links(&options.link, root)?;
    Ok(draft)
}

impl Options {
    /// The feature set: clap asks for it, or for a change record that has it.
    fn feature(&self) -> Result<Baseline> {
        self.baseline.ok_or_else(|| Error::internal("neither a baseline nor a change record"))
    }
}

/// What the change record says, as if it had been typed.
fn said(options: &Options) -> Result<Cow<'_, Options>> {
    let Some(path) = &options.change else { return Ok(Cow::Borrowed(options)) };
    let change = Change::read(path)?;
    let base = super::read_bundle(&change.path(&change.base))?;
    let closes = change.closes.iter().map(|closing| Closes {
        index: closing.index,
        id: closing.id.clone(),
        severity: closing.severity,
        exploited: closing.exploited,
    });
    let images = change.images.iter();
    Ok(Cow::Owned(Options {
        baseline: Some(change.baseline.unwrap_or(base.manifest()?.version.feature)),
        level: Some(change.level),
        open: change.open.clone(),
        image: images.map(|s| Source { path: change.path(&s.path), ..s.clone() }).collect(),
        closes: closes.collect(),
        message: change.message.clone(),
        support_end: change.support_end,
        ..options.clone()
    }))
}

/// What `sign` will say of it, or a device: better now than when the keys' keepers have come together.
fn foreseen(
    manifest: &Manifest<'_>,
    config: &Config,
    ledger: Option<&Ledger>,
    root: &RootDocument<'_>,
) -> Option<String> {
    let baseline = manifest.version.feature;
    if manifest.kind != Kind::SecurityPatch || manifest.is_payload_free() {
        return None;
    }
    let first = "a baseline's first release is a feature update: patchlane build feature";
    if manifest.version.security.level() == 0 {
        return Some(format!("level 0 handles nothing, so this patches nothing; {first}"));
    }
    if ledger.is_some_and(|ledger| ledger.newest(baseline).is_none()) {
        return Some(format!("the ledger has no release of {baseline} that this could patch; {first}"));
    }
    let unnamed = sign::asks(manifest, Some(config), root).filter(|_| manifest.evidence.is_none());
    unnamed.map(|_| {
        format!(
            "`sign` will ask for evidence that this is a security patch, and its manifest names none: run \
             `patchlane lint -o FILE`, then `build --change … --evidence FILE`; {first}"
        )
    })
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let options = &*said(options)?;
    let config = Config::find(global.config.as_deref())?;
    let root = anchor(global, None)?;
    let document = root.document()?;
    if document.product != config.product() {
        let next = "the root was made for another vendor or class; correct [product] or make a new root";
        return Err(Error::new(Code::Config, "[product] isn't the root's product", next));
    }
    let ledger = Ledger::of(&config)?;
    let wanted = wanted(options, ledger.as_ref())?;
    let bases = bases(options, &config)?;
    let draft = draft(options, &config, &root, &bases, wanted)?;
    if !document.ceilings.admit(&draft.version) {
        return Err(Error::refused(Refusal::AboveCeiling).at(format!("release {}", draft.version)));
    }
    let lane = if options.lane == Lane::Security { "security" } else { "feature" };
    let path = options.output.clone().unwrap_or_else(|| {
        let version = draft.version.to_string().replace([' ', ','], "-");
        PathBuf::from(format!("{}_{version}_{lane}.plb", config.file_stem()))
    });
    let bundle = draft.build().map_err(|e| match e.code {
        // Nothing is damaged: what was asked for can't be said in a bundle.
        Code::Malformed => {
            let next = "correct the options: a bundle like that is refused by every device";
            Error { next: next.into(), ..e }.at(path.display())
        }
        _ => e,
    })?;
    if let Some(ledger) = &ledger {
        ledger.agree(&bundle.manifest()?).map_err(|e| match e.place {
            None => e.at(path.display()),
            Some(_) => e,
        })?;
    }
    let over = if options.force { Over::Existing } else { Over::Nothing };
    let pieces: [&[u8]; 2] = [&bundle.to_head()?, bundle.payload()];
    files::write_together(&[New { path: &path, pieces: &pieces, over, secrecy: Secrecy::Public }])?;
    let file = path.display().to_string();
    let mut report = describe::bundle(&bundle, &format!("Built, not signed yet: patchlane sign {file}"))?;
    report.lines.insert(0, ("file".into(), file.clone()));
    report.data["file"] = json!(file);
    report.data["signed"] = json!(false);
    deltas(&bundle, &bases, &mut report)?;
    report.notes.extend(foreseen(&bundle.manifest()?, &config, ledger.as_ref(), &document));
    Ok(report)
}
