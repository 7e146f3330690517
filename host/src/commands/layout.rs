//! `layout`: the flash map, checked, drawn, written out.

use super::init::board;
use crate::boards::{self, Board};
use crate::cli::Global;
use crate::config::{Config, Flash, Stretch, template};
use crate::error::{Code, Error, Result};
use crate::files::{self, Over, Secrecy};
use crate::image::{self, Loaded, Source, source};
use crate::map::{self, Emit};
use crate::output::{Report, tell};
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  patchlane layout --image app.elf --bootloader boot.elf
  patchlane layout --board rp2040 --emit memory-x -o memory.x";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Take the map that `init --board` writes for this board, instead of patchlane.toml's
    #[arg(long, value_parser = board, value_name = "NAME")]
    board: Option<&'static Board>,
    /// List the boards that patchlane knows, with their sectors
    #[arg(long, conflicts_with_all = ["board", "image", "bootloader", "emit"])]
    list: bool,
    /// Check an image against the map: ELF, Intel HEX, or raw binary (FILE@0xADDRESS); repeat it for each
    #[arg(long, value_name = "FILE[@ADDRESS]", value_parser = PathBufValueParser::new().try_map(source))]
    image: Vec<Source>,
    /// Check a bootloader against its place
    #[arg(long, value_name = "FILE[@ADDRESS]", value_parser = PathBufValueParser::new().try_map(source))]
    bootloader: Option<Source>,
    /// Write the map out, if nothing is wrong with it or the images
    #[arg(long, value_enum, value_name = "KIND")]
    emit: Option<Emit>,
    /// Where to (default: standard output)
    #[arg(long, short, value_name = "FILE", requires = "emit")]
    output: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long, requires = "output")]
    force: bool,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    if options.list {
        return Ok(list());
    }
    let config = match options.board {
        Some(board) => Config::parse(&template("example.com", "demo", &board.flash_section()))?,
        None => Config::find(global.config.as_deref())?,
    };
    let flash = config.flash()?;
    let images = images(options, &config, flash)?;
    let notes: Vec<_> =
        images.iter().map(|(place, image, source)| (*place, fill(flash, place, image, source))).collect();
    let drawing = map::draw(flash, &notes);
    if let Err(error) = judge(options, &config, flash, &images) {
        if !global.json && !global.quiet {
            tell(&format!("{drawing}\n"));
        }
        return Err(error);
    }
    let data = describe(&config, flash, &images);
    match options.emit {
        None => Ok(Report { summary: sum(&images), ..Report::of_text(drawing, data) }),
        Some(kind) => written(options, kind, map::emit(kind, flash, &config.ram()), data),
    }
}

/// The name of a stretch, what goes there, and the file it is from.
type Placed<'a> = (&'static str, Loaded, &'a Source);

fn images<'a>(options: &'a Options, config: &Config, flash: &Flash) -> Result<Vec<Placed<'a>>> {
    if options.bootloader.is_some() && flash.bootloader.is_none() {
        return Err(no_place(config));
    }
    let named = options.bootloader.iter().map(|b| ("bootloader", b));
    let named = named.chain(options.image.iter().map(|i| ("primary", i)));
    let load = |(place, source)| {
        let image = image::load(source)?;
        let place = if place == "primary" { flash.slot_of(image.address).0 } else { place };
        Ok((place, image, source))
    };
    named.map(load).collect()
}

/// The error of a bootloader without a place.
pub(crate) fn no_place(config: &Config) -> Error {
    let next = "say where the bootloader lies: bootloader = { offset = …, size = … }";
    Error::new(Code::Config, "has no bootloader", next).at(format!("{}: [flash]", config.file.display()))
}

/// All that is wrong, with the map first.
fn judge(options: &Options, config: &Config, flash: &Flash, images: &[Placed<'_>]) -> Result<()> {
    let place = match options.board {
        Some(board) => board.name.to_owned(),
        None => format!("{}: [flash]", config.file.display()),
    };
    let mut errors: Vec<Error> = map::error(Code::Config, place, map::check(flash)).into_iter().collect();
    let (addresses, ram) = (config.addresses(), config.ram());
    for (place, image, source) in images {
        let findings = match (*place, &flash.bootloader) {
            ("bootloader", Some(stretch)) => map::check_bootloader(image, stretch, flash, &ram),
            _ => map::check_image(image, &addresses, flash, &ram),
        };
        errors.extend(map::error(Code::Image, source.path.display(), findings));
    }
    let mut errors = errors.into_iter();
    let Some(mut first) = errors.next() else { return Ok(()) };
    for mut other in errors {
        first.also.append(&mut vec![Error { also: Vec::new(), ..other.clone() }]);
        first.also.append(&mut other.also);
    }
    Err(first)
}

fn stretch<'a>(flash: &'a Flash, name: &str) -> &'a Stretch {
    let named = flash.stretches().into_iter().find(|(other, _)| *other == name);
    named.map_or(&flash.primary, |(_, stretch)| stretch)
}

/// How full an image makes its place.
fn fill(flash: &Flash, place: &str, image: &Loaded, source: &Source) -> String {
    let name = source.path.file_name().unwrap_or_default().to_string_lossy();
    let name: String = crate::output::plain(&name).chars().take(14).collect();
    format!("{name:<14} {}", map::bar(image.bytes.len() as u64, u64::from(stretch(flash, place).size)))
}

fn sum(images: &[Placed<'_>]) -> String {
    match images.len() {
        0 => "Nothing is wrong with the map.".to_owned(),
        1 => "Nothing is wrong with the map, and the image fits.".to_owned(),
        _ => "Nothing is wrong with the map, and the images fit.".to_owned(),
    }
}

fn describe(config: &Config, flash: &Flash, images: &[Placed<'_>]) -> Value {
    let sectors = |s: &Stretch| -> Vec<Value> {
        map::sectors(flash, s).iter().map(|(count, size)| json!({ "count": count, "size": size })).collect()
    };
    let stretches: Vec<Value> = flash
        .stretches()
        .into_iter()
        .map(|(name, s)| {
            let (write, erase) = flash.grain(s);
            json!({
                "name": name,
                "chip": s.chip,
                "offset": s.offset,
                "size": s.size,
                "address": map::address_of(flash, s),
                "write_size": write,
                "erase_size": erase,
                "sectors": sectors(s),
            })
        })
        .collect();
    let images: Vec<Value> = images
        .iter()
        .map(|(place, image, source)| {
            json!({
                "file": source.path.display().to_string(),
                "place": place,
                "format": format(image.format),
                "address": image.address,
                "entry": image.entry,
                "bytes": image.bytes.len(),
                "room": stretch(flash, place).size,
            })
        })
        .collect();
    json!({
        "board": flash.board,
        "address": map::address(flash),
        "direct_xip": flash.direct_xip,
        "stretches": stretches,
        "addresses": config.addresses(),
        "images": images,
    })
}

/// A format's name for programs: what its files are called.
fn format(name: &str) -> &'static str {
    match name {
        "ELF" => "elf",
        "Intel HEX" => "hex",
        _ => "bin",
    }
}

fn written(
    options: &Options,
    kind: Emit,
    text: std::result::Result<String, map::Finding>,
    mut data: Value,
) -> Result<Report> {
    let text = text.map_err(|finding| Error::new(Code::Config, finding.what, finding.next))?;
    let name = kind.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
    data["emit"] = json!(name);
    let Some(path) = &options.output else {
        data["text"] = json!(text);
        return Ok(Report::of_text(text, data));
    };
    let over = if options.force { Over::Existing } else { Over::Nothing };
    files::write(path, text.as_bytes(), over, Secrecy::Public)?;
    let file = path.display().to_string();
    data["file"] = json!(file);
    Ok(Report::new("", data).line("file", file).line("kind", name))
}

/// A board for people: a line of figures, a line of words.
fn list() -> Report {
    let data: Vec<Value> = boards::ALL
        .iter()
        .map(|board| {
            let run = |run: &boards::Run| json!({ "count": run.count, "size": run.size });
            json!({
                "name": board.name,
                "title": board.title,
                "source": board.source,
                "note": board.note,
                "address": board.address,
                "size": board.size(),
                "sectors": board.sectors.iter().map(run).collect::<Vec<_>>(),
                "write_size": board.write_size,
                "erased_word": u32::from_le_bytes(board.erased),
                "ram": board.ram.iter().map(|(a, n)| json!({ "address": a, "size": n })).collect::<Vec<_>>(),
            })
        })
        .collect();
    let row = |board: &Board| {
        let address = board.address.map_or("not run from".to_owned(), |a| format!("at {a:#010x}"));
        let sizes: Vec<_> = board.sectors.iter().map(|r| (u64::from(r.count), u64::from(r.size))).collect();
        let size = map::bytes(board.size());
        let word = board.write_size;
        format!(
            "{size:>8} {address:<13} {:>8} RAM  word {word:>2}  {}",
            map::bytes(u64::from(board.ram[0].1)),
            map::runs(&sizes)
        )
    };
    let mut report =
        Report::new("`patchlane init --board NAME` starts with a map that works.", json!({ "boards": data }));
    for board in boards::ALL {
        report = report
            .line(board.name, row(board))
            .line(board.name, format!("{}; {}", board.title, board.source))
            .line(board.name, board.note);
    }
    report
}
