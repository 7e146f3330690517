//! Two linked programs: what changed, function by function, and which changes of the sources that came from.

use super::shown;
use crate::binary::{self, Changes, Hunk, Method};
use crate::error::{Error, Result};
use crate::files;
use crate::output::Report;
use std::io::Read as _;
use std::path::Path;

pub(super) fn compare((a, old): (&Path, &[u8]), b: &Path, diff: Option<&Path>) -> Result<Report> {
    let new = files::read(b)?;
    let hunks = diff.map(hunks).transpose()?;
    // The library knows them as A and B only.
    let placed = |error: Error| match error.place.as_deref() {
        Some("A") => error.at(a.display()),
        Some("B") => error.at(b.display()),
        _ => error,
    };
    let changes = hunks.as_deref().map(Changes::of);
    let comparison = binary::compare_by(old, &new, Method::Relocations, changes.as_ref()).map_err(placed)?;
    Ok(Report::of_text(shown::text(&comparison), binary::json(&comparison)))
}

fn hunks(path: &Path) -> Result<Vec<Hunk>> {
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(files::LARGEST).read_to_end(&mut bytes);
        read.map_err(|e| Error::new(crate::Code::Io, format!("stdin can't be read: {e}"), "name a file"))?;
        bytes
    } else {
        files::read(path)?
    };
    // Sources may be in any encoding; only names and numbers are read.
    binary::hunks::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| match path.to_str() {
        Some("-") => error,
        _ => error.at(format!("{}:", path.display())),
    })
}
