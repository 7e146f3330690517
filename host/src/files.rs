//! Files appear whole or not at all (I20): write beside the target, sync, rename.
//!
//! Several files can appear together ([`write_together`]); and what was read and is written back replaces only what
//! was read ([`Over::Seen`]): of two signers of one file, the slower is told, and no signature is lost.

use crate::error::{Code, Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

mod tree;

pub(crate) use interrupt::ends_well;
#[cfg(unix)]
pub(crate) use interrupt::on_interrupt;
pub use tree::NewTree;

/// No input is larger than this, in bytes: a device's address space is smaller.
pub const LARGEST: u64 = 256 * 1024 * 1024;
/// No text is larger than this, in bytes: keys, configurations, passphrases.
pub const LARGEST_TEXT: u64 = 1024 * 1024;

/// What may stand in the way of a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// An existing file is an error.
    Nothing,
    /// An existing file is replaced, atomically.
    Existing,
    /// An existing file is replaced if it is still the one that was read.
    Seen(Seen),
}

/// A file as it was when it was read: every writer here puts another one in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    inode: (u64, u64),
    length: u64,
    modified: Option<std::time::SystemTime>,
}

impl Seen {
    fn of(there: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt;
            (there.dev(), there.ino())
        };
        #[cfg(not(unix))]
        let inode = (0, 0);
        Self { inode, length: there.len(), modified: there.modified().ok() }
    }
}

/// A file to be written.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// Where.
    pub path: &'a Path,
    /// Its bytes, in pieces.
    pub pieces: &'a [&'a [u8]],
    /// What may be there.
    pub over: Over,
    /// Who may read it.
    pub secrecy: Secrecy,
}

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// Everyone the umask allows.
    Public,
    /// The owner only (mode 0600).
    Secret,
}

pub(crate) fn failed(error: &io::Error, path: &Path, doing: &str) -> Error {
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

fn too_large(path: &Path, limit: u64) -> Error {
    let what = format!("is larger than {} MiB", limit >> 20);
    Error::new(Code::Malformed, what, "check that this is the right file").at(path.display())
}

fn read_up_to(path: &Path, limit: u64) -> Result<(Vec<u8>, Seen)> {
    let file = File::open(path).map_err(|e| failed(&e, path, "opened"))?;
    let there = file.metadata().map_err(|e| failed(&e, path, "read"))?;
    // Some systems open folders, and say so only when they are read.
    if there.is_file() && there.len() > limit {
        return Err(too_large(path, limit));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(there.len().min(limit)).unwrap_or(0));
    // A pipe or a device has no length to look at first.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| failed(&e, path, "read"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(too_large(path, limit));
    }
    Ok((bytes, Seen::of(&there)))
}

/// Reads a whole file of at most [`LARGEST`] bytes.
///
/// # Errors
/// `missing-file`, `file-access`; `malformed` if it is larger.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    Ok(read_up_to(path, LARGEST)?.0)
}

/// Reads a whole file of at most [`LARGEST`] bytes, to write it back later ([`Over::Seen`]).
///
/// # Errors
/// As [`read`].
pub fn read_seen(path: &Path) -> Result<(Vec<u8>, Seen)> {
    read_up_to(path, LARGEST)
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

/// Reads a whole file of at most [`LARGEST_TEXT`] bytes.
///
/// # Errors
/// As [`read`].
pub fn read_small(path: &Path) -> Result<Vec<u8>> {
    Ok(read_up_to(path, LARGEST_TEXT)?.0)
}

/// Reads a whole text file of at most [`LARGEST_TEXT`] bytes.
///
/// # Errors
/// As [`read`]; `malformed` if it isn't UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read_small(path)?)
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
    let real_kind = fs::metadata(&real).map_err(|e| failed(&e, path, "written"))?;
    if real_kind.is_dir() {
        return Err(failed(&ErrorKind::IsADirectory.into(), path, "written"));
    }
    if !real_kind.is_file() {
        // Replacing /dev/null with a bundle would be a success of the worst kind.
        let next = "name a file; a device or a pipe isn't replaced";
        return Err(Error::new(Code::Io, "isn't a regular file", next).at(path.display()));
    }
    // A rename would replace it: permissions of the folder decide that, not the file's own.
    if real_kind.permissions().readonly() {
        let next = "make it writable, or write to another file";
        return Err(Error::new(Code::Io, "is read-only", next).at(path.display()));
    }
    Ok(real)
}

/// Writes a whole file, or leaves everything as it was.
///
/// # Errors
/// `file-exists`, `file-access`, `missing-file` for its folder.
pub fn write(path: &Path, bytes: &[u8], over: Over, secrecy: Secrecy) -> Result<()> {
    write_together(&[New { path, pieces: &[bytes], over, secrecy }])
}

/// From now on Ctrl-C and termination signals take half-written files away and end the program with 130.
pub fn watch_signals() {
    interrupt::watch();
}

/// Writes files that belong together: all of them, or everything is as it was.
///
/// # Errors
/// As [`write()`].
pub fn write_together(files: &[New<'_>]) -> Result<()> {
    interrupt::watch();
    let mut staging = Staging(Vec::new());
    for file in files {
        staging.add(file)?;
    }
    staging.place()
}

/// A new folder. Dropped before it is kept, or interrupted, it goes again if it is empty.
#[derive(Debug)]
pub struct NewFolder {
    path: PathBuf,
    kept: bool,
}

impl NewFolder {
    /// Makes it, and the folders above.
    ///
    /// # Errors
    /// `file-exists`, `file-access`.
    pub fn make(path: &Path) -> Result<Self> {
        interrupt::watch();
        let wrong = |e: io::Error| failed(&e, path, "made");
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(wrong)?;
        interrupt::begin(path, |path| fs::create_dir(path)).map_err(wrong)?;
        Ok(Self { path: path.to_path_buf(), kept: false })
    }

    /// It stays.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_dir(&self.path);
        }
        interrupt::done(&self.path);
    }
}

/// Whole files that wait beside their places. Dropped, they are taken away.
struct Staging(Vec<Waiting>);

struct Waiting {
    temporary: PathBuf,
    target: PathBuf,
    folder: PathBuf,
    over: Over,
}

impl Staging {
    fn add(&mut self, new: &New<'_>) -> Result<()> {
        let target = target(new.path, new.over)?;
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        if !folder.is_dir() {
            return Err(failed(&ErrorKind::NotFound.into(), &folder, "written"));
        }
        if self.0.iter().any(|other| same_place(&other.target, &target)) {
            return Err(
                Error::new(Code::Usage, "is named twice", "give each its own name").at(new.path.display())
            );
        }
        let (temporary, mut file) = beside(&target, &folder, new.secrecy)?;
        self.0.push(Waiting { temporary, target: target.clone(), folder, over: new.over });
        let written = new.pieces.iter().try_for_each(|piece| file.write_all(piece));
        written.and_then(|()| file.sync_all()).map_err(|e| failed(&e, &target, "written"))
    }

    fn place(&self) -> Result<()> {
        // From the first name to the last one nothing is interrupted.
        let held = interrupt::hold();
        let several = self.0.len() > 1;
        let mut placed: Vec<(&Waiting, Option<PathBuf>, bool)> = Vec::new();
        let result = self.0.iter().try_for_each(|waiting| {
            placed.push((waiting, waiting.keep(several)?, false));
            waiting.place()?;
            placed.last_mut().into_iter().for_each(|last| last.2 = true);
            Ok(())
        });
        for (waiting, before, placed) in placed {
            match (before, result.is_err() && placed) {
                (Some(before), true) => drop(fs::rename(before, &waiting.target)),
                (None, true) => drop(fs::remove_file(&waiting.target)),
                (Some(before), false) => drop(fs::remove_file(before)),
                (None, false) => {}
            }
        }
        drop(held);
        for waiting in &self.0 {
            // Without this the new name may be lost with the power; not every platform can sync a folder.
            let _ = File::open(&waiting.folder).and_then(|folder| folder.sync_all());
        }
        result
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for waiting in &self.0 {
            let _ = fs::remove_file(&waiting.temporary);
            interrupt::done(&waiting.temporary);
        }
    }
}

impl Waiting {
    /// Of several, what is replaced is kept beside it until the last one has its place.
    fn keep(&self, several: bool) -> Result<Option<PathBuf>> {
        if !several || self.over == Over::Nothing || !self.target.exists() {
            return Ok(None);
        }
        let before = self.temporary.with_extension("before");
        let copy = || {
            // A name that someone else put there is followed nowhere.
            let mut to = OpenOptions::new().write(true).create_new(true).open(&before)?;
            let copied = File::open(&self.target).and_then(|mut from| io::copy(&mut from, &mut to));
            let kept =
                copied.and_then(|_| fs::set_permissions(&before, fs::metadata(&self.target)?.permissions()));
            kept.inspect_err(|_| drop(fs::remove_file(&before)))
        };
        let kept = fs::hard_link(&self.target, &before).or_else(|error| match error.kind() {
            ErrorKind::AlreadyExists => Err(error),
            _ => copy(),
        });
        kept.map_err(|e| {
            let what = format!("can't be kept while another file is replaced: {e}");
            let next = format!("take {} away if it is there, and run it again", before.display());
            Error::new(Code::Io, what, next).at(self.target.display())
        })?;
        Ok(Some(before))
    }

    fn place(&self) -> Result<()> {
        let (temporary, target) = (&self.temporary, &self.target);
        if self.over == Over::Nothing {
            // A hard link fails if the name is taken meanwhile; a rename would replace it.
            let linked = fs::hard_link(temporary, target).or_else(|error| match error.kind() {
                ErrorKind::AlreadyExists => Err(error),
                // No hard links here: the name is claimed first, and then replaced.
                _ => File::create_new(target).and_then(|_| fs::rename(temporary, target)).inspect_err(|e| {
                    if e.kind() != ErrorKind::AlreadyExists {
                        let _ = fs::remove_file(target);
                    }
                }),
            });
            return linked.map_err(|e| failed(&e, target, "written"));
        }
        let _alone = alone(&self.folder);
        let there = match fs::metadata(target) {
            Ok(there) => Some(there),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&error, target, "written")),
        };
        if let Over::Seen(seen) = self.over
            && there.as_ref().map(Seen::of) != Some(seen)
        {
            let what = "was changed by someone else meanwhile; it is left as they made it";
            return Err(Error::new(Code::Io, what, "run it again").at(target.display()));
        }
        // Who could read it before can read it after.
        let kept = there.map_or(Ok(()), |old| fs::set_permissions(temporary, old.permissions()));
        kept.and_then(|()| fs::rename(temporary, target)).map_err(|e| failed(&e, target, "written"))
    }
}

/// True if two names, of files that needn't be there yet, lead to one place.
fn same_place(a: &Path, b: &Path) -> bool {
    let place = |path: &Path| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = parent.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    a == b || place(a).is_some_and(|a| place(b) == Some(a))
}

/// Between the look at a file and its replacement no other patchlane replaces one in this folder. Where folders can't
/// be locked the look still is the last thing before.
fn alone(folder: &Path) -> Option<File> {
    alone_in(folder).ok().flatten()
}

/// The lock of a folder, or nothing where folders can't be locked.
///
/// # Errors
/// Someone else holds it for longer than five seconds.
pub(crate) fn alone_in(folder: &Path) -> std::result::Result<Option<File>, ()> {
    #[cfg(unix)]
    {
        let Ok(folder) = File::open(folder) else { return Ok(None) };
        // Signals wait meanwhile, and whoever can read the folder can lock it: not for ever.
        for _ in 0..50 {
            match rustix::fs::flock(&folder, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(folder)),
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
                Err(_) => return Ok(None),
            }
        }
        Err(())
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        Ok(None)
    }
}

fn beside(target: &Path, folder: &Path, secrecy: Secrecy) -> Result<(PathBuf, File)> {
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
        // Not made from the target's name: that may be as long as names can be.
        let temporary = folder.join(format!(".patchlane-{}-{attempt}.part", std::process::id()));
        match interrupt::begin(&temporary, |path| options.open(path)) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < 1000 => attempt += 1,
            Err(error) => return Err(failed(&error, target, "written")),
        }
    }
}

/// Ctrl-C in mid-write leaves nothing behind.
mod interrupt {
    use super::{Path, PathBuf, fs};
    use crate::error::Code;
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, MutexGuard, Once, PoisonError};

    /// What else is put right before the program ends.
    type Action = Box<dyn Fn() + Send>;

    static PARTS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    static ACTION: Mutex<Option<Action>> = Mutex::new(None);
    static FLAG: Mutex<Option<&'static AtomicBool>> = Mutex::new(None);
    static WATCH: Once = Once::new();

    /// From now on a signal takes half-written files away before it ends the program.
    pub(super) fn watch() {
        WATCH.call_once(|| {
            // Where no handler can be set, a part file may stay behind; the file itself is still whole or absent.
            let _ = ctrlc::set_handler(|| {
                if let Some(flag) = FLAG.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    return flag.store(true, Ordering::Relaxed);
                }
                // Held to the end: no other part can be begun any more.
                let parts = hold();
                for part in parts.iter().rev() {
                    let tree = part.to_string_lossy().ends_with(super::tree::ENDING);
                    let folder = if tree { fs::remove_dir_all } else { fs::remove_dir };
                    let _ = fs::remove_file(part).or_else(|_| folder(part));
                }
                if let Some(action) = &*ACTION.lock().unwrap_or_else(PoisonError::into_inner) {
                    action();
                }
                crate::output::tell("stopped; nothing was half-written\n");
                std::process::exit(i32::from(Code::Interrupted.exit()));
            });
        });
    }

    /// While this is held, a signal waits.
    pub(super) fn hold() -> MutexGuard<'static, Vec<PathBuf>> {
        PARTS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a part. No signal comes between the file and its place on the list.
    pub(super) fn begin<T>(part: &Path, make: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        let mut parts = hold();
        let made = make(part)?;
        parts.push(part.to_path_buf());
        Ok(made)
    }

    /// From now on, or until `None` is given, a signal does this first.
    #[cfg(unix)]
    pub(crate) fn on_interrupt(action: Option<Action>) {
        *ACTION.lock().unwrap_or_else(PoisonError::into_inner) = action;
        watch();
    }

    /// The first signal from now on sets this, and the program ends by itself; the second ends it all the same.
    pub(crate) fn ends_well(flag: &'static AtomicBool) {
        *FLAG.lock().unwrap_or_else(PoisonError::into_inner) = Some(flag);
        watch();
    }

    pub(super) fn done(part: &Path) {
        hold().retain(|other| other != part);
    }
}

#[cfg(test)]
mod tests;
