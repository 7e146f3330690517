//! Files appear whole or not at all (I20): write beside the target, sync, rename.

use crate::error::{Code, Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

#[cfg(unix)]
pub(crate) use interrupt::on_interrupt;

/// No input is larger than this, in bytes: a device's address space is smaller.
pub const LARGEST: u64 = 256 * 1024 * 1024;

/// What may stand in the way of a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// An existing file is an error.
    Nothing,
    /// An existing file is replaced, atomically.
    Existing,
}

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// Everyone the umask allows.
    Public,
    /// The owner only (mode 0600).
    Secret,
}

pub(crate) fn failed(error: &std::io::Error, path: &Path, doing: &str) -> Error {
    let (code, what) = match error.kind() {
        ErrorKind::NotFound => (Code::Missing, "isn't there".to_owned()),
        ErrorKind::AlreadyExists => (Code::Exists, "exists already".to_owned()),
        _ if path.is_dir() => (Code::Io, "is a folder, not a file".to_owned()),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            (Code::Io, format!("can't be {doing}: no space is left"))
        }
        ErrorKind::PermissionDenied => (Code::Io, format!("can't be {doing}: permission denied")),
        ErrorKind::ReadOnlyFilesystem => (Code::Io, format!("can't be {doing}: the disk is read-only")),
        _ => (Code::Io, format!("can't be {doing}: {error}")),
    };
    let next = match (code, error.kind()) {
        (Code::Missing, _) => "check the path",
        (Code::Exists, _) => "choose another name, or remove it first",
        (_, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => "make room, and run it again",
        _ => "check the path and its permissions",
    };
    Error::new(code, what, next).at(path.display())
}

fn too_large(path: &Path) -> Error {
    let what = format!("is larger than {} MiB", LARGEST >> 20);
    Error::new(Code::Malformed, what, "check that this is the right file").at(path.display())
}

/// Reads a whole file of at most [`LARGEST`] bytes.
///
/// # Errors
/// `missing-file`, `file-access`; `malformed` if it is larger.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|e| failed(&e, path, "opened"))?;
    let length = file.metadata().map_or(0, |m| m.len());
    if length > LARGEST {
        return Err(too_large(path));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // A pipe or a device has no length to look at first.
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| failed(&e, path, "read"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(too_large(path));
    }
    Ok(bytes)
}

/// Reads a whole file of at most `limit` bytes into memory that is wiped, and never moved while it fills.
///
/// # Errors
/// As [`read`].
pub fn read_secret(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path).map_err(|e| failed(&e, path, "opened"))?;
    let mut bytes = Zeroizing::new(vec![0; limit.saturating_add(1)]);
    let mut filled = 0;
    loop {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(&e, path, "read")),
        }
    }
    if filled > limit {
        let what = format!("is larger than {} KiB", limit >> 10);
        return Err(Error::new(Code::Malformed, what, "check that this is the right file").at(path.display()));
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Reads a whole text file.
///
/// # Errors
/// As [`read`]; `malformed` if it isn't UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| Error::new(Code::Malformed, "isn't text (UTF-8)", "check the file").at(path.display()))
}

/// Where a file will really lie, and whether it may be put there.
fn target(path: &Path, over: Over) -> Result<PathBuf> {
    let Ok(there) = fs::symlink_metadata(path) else { return Ok(path.to_path_buf()) };
    if over == Over::Nothing {
        return Err(failed(&ErrorKind::AlreadyExists.into(), path, "written"));
    }
    // A link stays a link: what it points to is replaced.
    let real = if there.is_symlink() { fs::canonicalize(path) } else { Ok(path.to_path_buf()) };
    let real = real.map_err(|e| failed(&e, path, "written"))?;
    let kind = fs::metadata(&real).map_err(|e| failed(&e, path, "written"))?.file_type();
    if kind.is_dir() {
        return Err(failed(&ErrorKind::IsADirectory.into(), path, "written"));
    }
    if !kind.is_file() {
        // Replacing /dev/null with a bundle would be a success of the worst kind.
        let next = "name a file; a device or a pipe isn't replaced";
        return Err(Error::new(Code::Io, "isn't a regular file", next).at(path.display()));
    }
    Ok(real)
}

/// Writes a whole file, or leaves everything as it was.
///
/// # Errors
/// `file-exists`, `file-access`, `missing-file` for its folder.
pub fn write(path: &Path, bytes: &[u8], over: Over, secrecy: Secrecy) -> Result<()> {
    let path = &target(path, over)?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(failed(&ErrorKind::NotFound.into(), folder, "written"));
    }
    interrupt::watch();
    let (temporary, mut file) = beside(path, folder, secrecy)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file);
    let placed = written.and_then(|()| match over {
        // A hard link fails if the name is taken meanwhile; a rename would replace it.
        Over::Nothing => fs::hard_link(&temporary, path).or_else(|error| match error.kind() {
            ErrorKind::AlreadyExists => Err(error),
            _ => fs::rename(&temporary, path),
        }),
        Over::Existing => {
            // Who could read it before can read it after.
            let kept = fs::metadata(path).and_then(|old| fs::set_permissions(&temporary, old.permissions()));
            kept.or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) })
                .and_then(|()| fs::rename(&temporary, path))
        }
    });
    let _ = fs::remove_file(&temporary);
    interrupt::done(&temporary);
    placed.map_err(|e| failed(&e, path, "written"))?;
    // Without this the new name may be lost with the power; not every platform can sync a folder.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

fn beside(path: &Path, folder: &Path, secrecy: Secrecy) -> Result<(PathBuf, File)> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secrecy == Secrecy::Secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = secrecy;
    let mut attempt = 0u32;
    loop {
        let temporary = folder.join(format!(".{name}.{}-{attempt}.part", std::process::id()));
        interrupt::begun(&temporary);
        let opened = options.open(&temporary);
        if opened.is_err() {
            interrupt::done(&temporary);
        }
        match opened {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < 100 => attempt += 1,
            Err(error) => return Err(failed(&error, path, "written")),
        }
    }
}

/// Ctrl-C in mid-write leaves nothing behind.
mod interrupt {
    use super::{Path, PathBuf, fs};
    use crate::error::Code;
    use std::sync::{Mutex, Once, PoisonError};

    /// What else is put right before the program ends.
    type Action = Box<dyn Fn() + Send>;

    static PARTS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    static ACTION: Mutex<Option<Action>> = Mutex::new(None);
    static WATCH: Once = Once::new();

    /// From now on a signal takes half-written files away before it ends the program.
    pub(super) fn watch() {
        WATCH.call_once(|| {
            // Where no handler can be set, a part file may stay behind; the file itself is still whole or absent.
            let _ = ctrlc::set_handler(|| {
                // Held to the end: no other part can be begun any more.
                let parts = PARTS.lock().unwrap_or_else(PoisonError::into_inner);
                for part in parts.iter() {
                    let _ = fs::remove_file(part);
                }
                if let Some(action) = &*ACTION.lock().unwrap_or_else(PoisonError::into_inner) {
                    action();
                }
                crate::output::tell("stopped; nothing was half-written\n");
                std::process::exit(i32::from(Code::Interrupted.exit()));
            });
        });
    }

    /// From now on, or until `None` is given, a signal does this first.
    #[cfg(unix)]
    pub(crate) fn on_interrupt(action: Option<Action>) {
        *ACTION.lock().unwrap_or_else(PoisonError::into_inner) = action;
        watch();
    }

    pub(super) fn begun(part: &Path) {
        PARTS.lock().unwrap_or_else(PoisonError::into_inner).push(part.to_path_buf());
    }

    pub(super) fn done(part: &Path) {
        PARTS.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| other != part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("patchlane-files-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_is_never_overwritten_unless_told() {
        let path = folder("over").join("a");
        write(&path, b"one", Over::Nothing, Secrecy::Public).unwrap();
        let error = write(&path, b"two", Over::Nothing, Secrecy::Public).unwrap_err();
        assert_eq!(error.code, Code::Exists);
        assert_eq!(read(&path).unwrap(), b"one");
        write(&path, b"two", Over::Existing, Secrecy::Public).unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "a temporary file was left behind");
    }

    #[cfg(unix)]
    #[test]
    fn secrets_are_for_their_owner() {
        use std::os::unix::fs::PermissionsExt;
        let path = folder("secret").join("key");
        write(&path, b"k", Over::Nothing, Secrecy::Secret).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn folders_and_missing_files_are_named_as_such() {
        let folder = folder("kinds");
        assert_eq!(read(&folder).unwrap_err().what, "is a folder, not a file");
        assert_eq!(read(&folder.join("none")).unwrap_err().code, Code::Missing);
        let error = write(&folder, b"", Over::Existing, Secrecy::Public).unwrap_err();
        assert_eq!(error.what, "is a folder, not a file");
        let nowhere = folder.join("no").join("where");
        assert_eq!(write(&nowhere, b"", Over::Existing, Secrecy::Public).unwrap_err().code, Code::Missing);
    }
}
