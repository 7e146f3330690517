//! `extract`: a bundle's images as files, each checked against its digest; and its documents.

use super::{anchor, describe, read_bundle};
use crate::bundle::{Bundle, Linked, sha256};
use crate::cli::Global;
use crate::error::{Code, Error, Result};
use crate::files::{self, New, Over, Secrecy};
use crate::image::{Source, source};
use crate::output::Report;
use crate::root::Root;
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use patchlane_protocol::SignedRoot;
use serde_json::json;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  patchlane extract patch.plb -o app.bin
  patchlane extract patch.plb --base pump_4.1-s7.plb -o app.bin
  patchlane extract patch.plb --manifest manifest.bin --signatures signatures.bin";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The bundle
    bundle: PathBuf,
    /// The image's file; or an existing folder, which a bundle with several images needs: one file for each slot
    #[arg(long, short, value_name = "FILE|FOLDER", required_unless_present_any = ["manifest", "signatures", "links"])]
    output: Option<PathBuf>,
    /// Make the image from this one with the bundle's delta, as a device does that runs it: a bundle or an image
    #[arg(long, value_name = "FILE[@ADDRESS]", requires = "output", value_parser = PathBufValueParser::new().try_map(source))]
    base: Option<Source>,
    /// Write the manifest's bytes: what was signed is their SHA-256
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Write the signature set's bytes
    #[arg(long, value_name = "FILE")]
    signatures: Option<PathBuf>,
    /// Write the root links that the bundle carries, as root files into an existing folder
    #[arg(long, value_name = "FOLDER")]
    links: Option<PathBuf>,
    /// The root to verify under first (default: the configuration's)
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// Don't ask who signed it: digests are checked, authenticity isn't
    #[arg(long, conflicts_with = "root")]
    unverified: bool,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

/// A file to write, and what it holds.
struct Part {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Which part of the bundle, for programs.
    content: &'static str,
    /// Where an image is linked for.
    address: Option<u32>,
    /// For people.
    what: String,
}

fn folder(path: &Path) -> Result<&Path> {
    if path.is_dir() {
        return Ok(path);
    }
    Err(Error::new(Code::Missing, "isn't a folder", "make the folder first").at(path.display()))
}

/// What the deltas make of a base.
fn from_base(bundle: &Bundle, options: &Options, source: &Source) -> Result<Vec<Linked>> {
    let bases = super::base_images(source)?;
    let mut images = Vec::new();
    for base in &bases {
        let made = bundle.images_from(&base.bytes).map_err(|e| e.at(options.bundle.display()))?;
        // Several bases may make the same image.
        images.extend(made.into_iter().filter(|image| !images.contains(image)).collect::<Vec<_>>());
    }
    if images.is_empty() {
        let what = format!("is no base of {}", options.bundle.display());
        let next = format!("inspect shows the bases: patchlane inspect {}", options.bundle.display());
        return Err(Error::new(Code::Image, what, next).at(source.path.display()));
    }
    Ok(images)
}

/// The images, named after their slots where there are several.
fn images(bundle: &Bundle, options: &Options, output: &Path) -> Result<Vec<Part>> {
    let images = match &options.base {
        Some(base) => from_base(bundle, options, base)?,
        None => bundle.images()?,
    };
    let version = bundle.manifest()?.version.to_string().replace([' ', ','], "-");
    let stem = options.bundle.file_stem().map_or(version, |stem| stem.to_string_lossy().into_owned());
    if images.is_empty() {
        let deltas = !bundle.payload().is_empty();
        let next = if deltas {
            "it carries deltas only: name what they start from with --base"
        } else {
            "the image it names is installed on devices already: extract it from the bundle that brought it"
        };
        return Err(Error::new(Code::Malformed, "carries no image", next).at(options.bundle.display()));
    }
    if images.len() > 1 && !output.is_dir() {
        let what = format!("isn't a folder, and {} holds {} images", options.bundle.display(), images.len());
        return Err(
            Error::new(Code::Missing, what, "make a folder, and name it with -o").at(output.display())
        );
    }
    let name = |address: Option<u32>| {
        if !output.is_dir() {
            return output.to_path_buf();
        }
        output.join(address.map_or(format!("{stem}.bin"), |address| format!("{stem}_{address:#010x}.bin")))
    };
    let part = |image: Linked| Part {
        path: name(image.address),
        content: "image",
        address: image.address,
        what: format!("image for {}", describe::place(image.address)),
        bytes: image.bytes,
    };
    Ok(images.into_iter().map(part).collect())
}

fn document(path: PathBuf, bytes: Vec<u8>, content: &'static str) -> Part {
    Part { path, bytes, content, address: None, what: content.to_owned() }
}

fn parts(bundle: &Bundle, options: &Options, anchor: Option<&Root>) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    if let Some(output) = &options.output {
        parts.extend(images(bundle, options, output)?);
    }
    if let Some(path) = &options.manifest {
        parts.push(document(path.clone(), bundle.manifest_bytes().to_vec(), "manifest"));
    }
    if let Some(path) = &options.signatures {
        if bundle.signatures().is_empty() {
            let next = format!("sign it: patchlane sign {}", options.bundle.display());
            return Err(Error::new(Code::Unsigned, "isn't signed", next).at(options.bundle.display()));
        }
        parts.push(document(path.clone(), bundle.signature_bytes()?, "signatures"));
    }
    if let Some(path) = &options.links {
        let path = folder(path)?;
        for link in bundle.links() {
            let signed = SignedRoot::parse(link)?;
            let version = signed.document.version;
            // Devices pass over links up to the root that they trust: nobody verified those.
            if let Some(anchor) = anchor
                && version <= anchor.document()?.version
                && signed.bytes != anchor.document_bytes()?
            {
                let what = format!("carries a root {version} that nothing here vouches for");
                let next = "verify it under an older root (--root), or say --unverified";
                return Err(Error::new(Code::Refused, what, next).at(options.bundle.display()));
            }
            let part = document(path.join(format!("root-{version}.plr")), link.clone(), "root");
            parts.push(Part { what: format!("root {version}"), ..part });
        }
    }
    Ok(parts)
}

/// All of them or none.
fn write(parts: &[Part], force: bool) -> Result<()> {
    let taken = |path: &Path| std::fs::symlink_metadata(path).is_ok();
    if let Some(part) = parts.iter().find(|part| !force && taken(&part.path)) {
        let next = "choose another name, or say --force";
        return Err(Error::new(Code::Exists, "exists already", next).at(part.path.display()));
    }
    let over = if force { Over::Existing } else { Over::Nothing };
    let pieces: Vec<[&[u8]; 1]> = parts.iter().map(|part| [&part.bytes[..]]).collect();
    let new = parts.iter().zip(&pieces);
    let new = new.map(|(part, pieces)| New { path: &part.path, pieces, over, secrecy: Secrecy::Public });
    files::write_together(&new.collect::<Vec<_>>())
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    // Reading it checks every chunk and every image against its digest.
    let bundle = read_bundle(&options.bundle)?;
    let (mut development, mut trusted) = (None, None);
    let mut summary = "NOT VERIFIED: nobody asked who signed it.".to_owned();
    if !options.unverified {
        let root = anchor(global, options.root.as_ref())?;
        let document = root.document()?;
        bundle.verify(&document, |_| Ok(())).map_err(|error| {
            let next = format!("{}; to look at it all the same, say --unverified", error.next);
            Error { next, ..error.at(options.bundle.display()) }
        })?;
        development = Some(document.development);
        let trust = if document.development { " (development)" } else { "" };
        summary = format!("Verified under root {}{trust}.", document.version);
        trusted = Some(root);
    }
    let parts = parts(&bundle, options, trusted.as_ref())?;
    write(&parts, options.force)?;
    let mut report = Report::new(summary, json!(null));
    if options.unverified {
        report = report.line("verified", "no: nobody asked who signed it");
    }
    let mut entries = Vec::new();
    for part in &parts {
        let (file, digest) = (part.path.display().to_string(), sha256(&part.bytes).to_string());
        report = report.line(&part.what, format!("{file}, {} bytes, SHA-256 {digest}", part.bytes.len()));
        entries.push(json!({
            "content": part.content, "address": part.address,
            "file": file, "bytes": part.bytes.len(), "sha256": digest,
        }));
    }
    if options.links.is_some() && bundle.links().is_empty() {
        report = report.note("it carries no root links");
    }
    report.data = json!({ "verified": !options.unverified, "development": development, "files": entries });
    Ok(report)
}
