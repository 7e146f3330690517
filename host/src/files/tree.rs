//! Folders that appear whole or not at all.

use super::{failed, interrupt};
use crate::error::Result;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The ending of a folder that isn't in its place yet: it goes with what is in it.
pub(super) const ENDING: &str = "folder.part";

/// A new folder with files in it that appears whole or not at all: it is made beside its place. Dropped before it is
/// placed, or interrupted, it goes again.
#[derive(Debug)]
pub struct NewTree {
    temporary: PathBuf,
    target: PathBuf,
}

impl NewTree {
    /// Begins it, and makes the folders above.
    ///
    /// # Errors
    /// `file-exists`, `file-access`.
    pub fn make(target: &Path) -> Result<Self> {
        interrupt::watch();
        let wrong = |e: io::Error| failed(&e, target, "made");
        if target.symlink_metadata().is_ok() {
            return Err(wrong(ErrorKind::AlreadyExists.into()));
        }
        let parent =
            target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(wrong)?;
        let mut attempt = 0u32;
        loop {
            let temporary = parent.join(format!(".patchlane-{}-{attempt}.{ENDING}", std::process::id()));
            match interrupt::begin(&temporary, |path| fs::create_dir(path)) {
                Ok(()) => return Ok(Self { temporary, target: target.to_path_buf() }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < 1000 => attempt += 1,
                Err(error) => return Err(wrong(error)),
            }
        }
    }

    /// Makes a folder in it.
    ///
    /// # Errors
    /// `file-access`.
    pub fn folder(&self, name: &str) -> Result<()> {
        fs::create_dir(self.temporary.join(name)).map_err(|e| failed(&e, &self.target.join(name), "made"))
    }

    /// Writes a file into it.
    ///
    /// # Errors
    /// `file-access`.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let written = File::create_new(self.temporary.join(name)).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(|e| failed(&e, &self.target.join(name), "written"))
    }

    /// Puts it into its place.
    ///
    /// # Errors
    /// `file-exists` if something is there meanwhile; `file-access`.
    pub fn place(self) -> Result<()> {
        let held = interrupt::hold();
        // A rename replaces an empty folder only; anything else in its place is an error.
        let placed = if self.target.symlink_metadata().is_ok() {
            Err(ErrorKind::AlreadyExists.into())
        } else {
            fs::rename(&self.temporary, &self.target)
        };
        drop(held);
        placed.map_err(|e| failed(&e, &self.target, "made"))?;
        let parent = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let _ = File::open(parent.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for NewTree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.temporary);
        interrupt::done(&self.temporary);
    }
}
