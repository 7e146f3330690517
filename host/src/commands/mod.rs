//! One module for each verb.

pub(crate) mod archive;
pub(crate) mod attest;
pub(crate) mod build;
pub(crate) mod describe;
pub(crate) mod device;
pub(crate) mod diff;
pub(crate) mod extract;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod inventory;
pub(crate) mod key;
pub(crate) mod layout;
pub(crate) mod ledger;
pub(crate) mod lint;
pub(crate) mod man;
pub(crate) mod provision;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod root;
pub(crate) mod sign;
pub(crate) mod simulate;
pub(crate) mod verify;
pub(crate) mod verify_evidence;

use crate::bundle::{Bundle, Linked};
use crate::cli::Global;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::image::{self, Source};
use crate::kind::{self, Kind};
use crate::root::Root;
use patchlane_protocol::Baseline;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Reads a bundle file.
pub(crate) fn read_bundle(path: &Path) -> Result<Bundle> {
    parse_bundle(files::read(path)?, path)
}

/// A bundle file's bytes.
pub(crate) fn parse_bundle<'a>(bytes: impl Into<Cow<'a, [u8]>>, path: &Path) -> Result<Bundle> {
    let bytes = bytes.into();
    // Enough to tell what else it might be; the file itself isn't copied.
    let head = bytes.get(..bytes.len().min(kind::HEAD)).unwrap_or_default().to_vec();
    Bundle::parse(bytes).map_err(|e| kind::explain(e, &head, Kind::Bundle).at(path.display()))
}

/// The images of a base: what linkers make, or those of an earlier bundle.
pub(crate) fn base_images(source: &Source) -> Result<Vec<Linked>> {
    let bytes = files::read(&source.path)?;
    if Kind::of(&bytes) != Some(Kind::Bundle) {
        let loaded = image::load_from(source, bytes)?;
        return Ok(vec![Linked { address: loaded.address, bytes: loaded.bytes }]);
    }
    if source.address.is_some() {
        let what = format!("--base {}: a bundle says itself where its images lie", source.path.display());
        return Err(Error::new(Code::Usage, what, "leave the address out"));
    }
    let images = parse_bundle(bytes, &source.path)?.images()?;
    if images.is_empty() {
        let next = "name the bundle that brought the image, or the image";
        return Err(Error::new(Code::Image, "carries no image", next).at(source.path.display()));
    }
    Ok(images)
}

/// What isn't signed needn't be sent: no device takes it.
pub(crate) fn signed(bundle: &Bundle, path: &Path) -> Result<()> {
    if !bundle.signatures().is_empty() {
        return Ok(());
    }
    let next = format!("sign it: patchlane sign {}", path.display());
    Err(Error::new(Code::Unsigned, "isn't signed: no device takes it", next).at(path.display()))
}

/// The root to judge by: the one given, or the configuration's. Never none.
pub(crate) fn anchor(global: &Global, given: Option<&PathBuf>) -> Result<Root> {
    if let Some(path) = given {
        return Root::read(path);
    }
    let next = "name the root that devices trust: --root FILE, or [trust] root in patchlane.toml";
    let config = Config::find(global.config.as_deref()).map_err(|e| match e.code {
        Code::Missing => Error::new(Code::NoAnchor, "there is no trust anchor to judge by", next),
        _ => e,
    })?;
    Root::read(&config.path(&config.trust.root))
}

/// Reads `4.12`.
pub(crate) fn baseline(text: &str) -> std::result::Result<Baseline, String> {
    let (line, step) = text.split_once('.').ok_or("a baseline is LINE.STEP, such as 4.12")?;
    let number = |part: &str| part.parse::<u16>().map_err(|_| format!("`{part}` isn't a number up to 65535"));
    Ok(Baseline { line: number(line)?, step: number(step)? })
}

/// Now, unless `SOURCE_DATE_EPOCH` says otherwise: seconds since 1970.
pub(crate) fn now() -> Result<u64> {
    if let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH") {
        // One way to write a number: no sign, no space.
        let digits = value.to_str().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let wrong = || {
            let what = format!("SOURCE_DATE_EPOCH is `{}`, no number of seconds", value.to_string_lossy());
            Error::new(Code::Usage, what, "set it to seconds since 1970 in decimal digits, or unset it")
        };
        return digits.and_then(|text| text.parse().ok()).ok_or_else(wrong);
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Ok(since.map_or(0, |d| d.as_secs()))
}

/// Seconds since 1970 as a date: `2026-11-24T15:30:00Z`.
pub(crate) fn date(seconds: u64) -> String {
    // Days to civil date, after Howard Hinnant's algorithm.
    let days = i64::try_from(seconds / 86_400).unwrap_or(0) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(date(1_828_483_200), "2027-12-11T00:00:00Z");
    }
}
