//! Passphrases: from a file, a file descriptor, the environment or a terminal; wiped after use.

use crate::error::{Code, Error, Result};
use crate::files;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// No passphrase is longer, in bytes.
pub const LONGEST: usize = 1024;

/// A passphrase; wiped when dropped.
pub type Secret = Zeroizing<Vec<u8>>;

/// Where a passphrase comes from.
#[derive(Debug, Clone)]
pub struct Passphrase {
    /// The first line of this file.
    pub file: Option<PathBuf>,
    /// This environment variable.
    pub env: Option<String>,
    /// How the options are called: `--passphrase`, to which `-file`, `-fd` and `-env` are added.
    pub option: &'static str,
    /// Never ask at the terminal.
    pub no_input: bool,
}

impl Default for Passphrase {
    fn default() -> Self {
        Self { file: None, env: None, option: "--passphrase", no_input: false }
    }
}

impl Passphrase {
    /// True if the command line says where it is.
    pub fn is_given(&self) -> bool {
        self.file.is_some() || self.env.is_some()
    }

    /// Gets the passphrase for `path`; asked for twice if it is a new one.
    ///
    /// # Errors
    /// `passphrase`, and those of the file.
    pub fn get(&self, path: &Path, new: bool) -> Result<Secret> {
        let secret = if let Some(file) = &self.file {
            from_file(file)?
        } else if let Some(name) = &self.env {
            self.read_env(name)?
        } else if !self.no_input && std::io::stdin().is_terminal() {
            ask_for(path, new)?
        } else {
            let next = format!("give it by {0}-file FILE, {0}-fd NUMBER or {0}-env NAME", self.option);
            let what = if self.no_input {
                "needs a passphrase, and --no-input forbids to ask for it"
            } else {
                "needs a passphrase, and there is no terminal to ask for it"
            };
            return Err(Error::new(Code::Passphrase, what, next).at(path.display()));
        };
        if secret.is_empty() {
            let what = format!("the passphrase for {} is empty", path.display());
            return Err(Error::new(Code::Passphrase, what, "choose one that isn't"));
        }
        Ok(secret)
    }

    fn read_env(&self, name: &str) -> Result<Secret> {
        // What the operating system holds of the environment can't be wiped from here; this copy is.
        let value = if name.is_empty() || name.contains(['=', '\0']) { None } else { std::env::var_os(name) };
        let value = value.ok_or_else(|| {
            let next = format!("set it and export it, or use {}-file FILE", self.option);
            Error::new(Code::Passphrase, format!("environment variable {name} isn't set"), next)
        })?;
        let secret = Secret::new(value.into_encoded_bytes());
        if secret.len() > LONGEST { Err(too_long(OsStr::new(name))) } else { Ok(secret) }
    }
}

fn too_long(place: &OsStr) -> Error {
    let what = format!("holds a passphrase of more than {LONGEST} bytes");
    Error::new(Code::Passphrase, what, "check that it is the right one").at(place.display())
}

/// Open descriptors, by their paths: opened again, a regular file would begin again at its first line.
static OPEN: Mutex<Vec<(PathBuf, File)>> = Mutex::new(Vec::new());

fn from_file(path: &Path) -> Result<Secret> {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, file)) = open.iter_mut().find(|(known, _)| known == path) {
        let line = first_line(file).map_err(|e| files::failed(&e, path, "read"))?;
        return line.ok_or_else(|| too_long(path.as_os_str()));
    }
    let mut file = File::open(path).map_err(|e| match path.strip_prefix("/dev/fd") {
        Ok(number) if e.kind() == std::io::ErrorKind::NotFound => {
            let what = format!("file descriptor {} isn't open", number.display());
            Error::new(Code::Passphrase, what, "open it in the shell, such as `3< FILE`")
        }
        _ => files::failed(&e, path, "opened"),
    })?;
    let line = first_line(&mut file).map_err(|e| files::failed(&e, path, "read"))?;
    if path.starts_with("/dev/fd") {
        open.push((path.to_path_buf(), file));
    }
    line.ok_or_else(|| too_long(path.as_os_str()))
}

/// The first line without its end, or `None` if it is longer than a passphrase may be.
///
/// Byte by byte: what follows in a pipe is left to whoever reads next, and no buffer grows and leaves copies behind.
fn first_line(from: &mut impl Read) -> std::io::Result<Option<Secret>> {
    let mut line = Secret::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0]);
    loop {
        match from.read(&mut *byte) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if line.len() == LONGEST => return Ok(None),
            Ok(_) => line.push(byte[0]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(line))
}

fn ask_for(path: &Path, new: bool) -> Result<Secret> {
    let name = crate::output::plain(&path.display().to_string());
    let question = if new { "New passphrase" } else { "Passphrase" };
    let first = ask(&format!("{question} for {name}: "))?;
    if new && !first.is_empty() && *ask("The same again: ")? != *first {
        return Err(
            Error::new(Code::Passphrase, "the two passphrases differ", "try again").at(path.display())
        );
    }
    Ok(first)
}

fn unreadable(e: &std::io::Error) -> Error {
    Error::new(Code::Passphrase, format!("the terminal can't be asked: {e}"), "use --passphrase-file FILE")
}

/// Asks at the terminal, which doesn't show the answer.
#[cfg(unix)]
fn ask(question: &str) -> Result<Secret> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    use std::io::Write;
    let asked = || -> std::io::Result<Option<Secret>> {
        let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        // Ctrl-C ends the program while the terminal is silent: it has to be put right then, too.
        let (again, original) = (terminal.try_clone()?, before.clone());
        files::on_interrupt(Some(Box::new(move || {
            let _ = tcsetattr(&again, OptionalActions::Now, &original);
            let _ = (&again).write_all(b"\n");
        })));
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        let line = terminal.write_all(question.as_bytes()).and_then(|()| first_line(&mut terminal));
        let restored = tcsetattr(&terminal, OptionalActions::Now, &before);
        files::on_interrupt(None);
        let line = line?;
        restored?;
        Ok(line)
    };
    asked().map_err(|e| unreadable(&e))?.ok_or_else(|| too_long(OsStr::new("the terminal")))
}

/// Asks at the terminal, which doesn't show the answer.
#[cfg(not(unix))]
fn ask(question: &str) -> Result<Secret> {
    rpassword::prompt_password(question)
        .map(|answer| Secret::new(answer.into_bytes()))
        .map_err(|e| unreadable(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_passphrase() {
        let read = |text: &str| first_line(&mut text.as_bytes()).unwrap().map(|line| line.to_vec());
        assert_eq!(read("one\ntwo\n"), Some(b"one".to_vec()));
        assert_eq!(read("one\r\n"), Some(b"one".to_vec()));
        assert_eq!(read(" one "), Some(b" one ".to_vec()), "spaces belong to it");
        assert_eq!(read("\n"), Some(Vec::new()));
        assert_eq!(read(""), Some(Vec::new()));
        assert_eq!(read(&"x".repeat(LONGEST)).map(|line| line.len()), Some(LONGEST));
        assert_eq!(read(&"x".repeat(LONGEST + 1)), None);
    }

    #[test]
    fn what_follows_the_line_is_left_to_the_next_reader() {
        let mut pipe = &b"old\nnew\n"[..];
        let mut next = || first_line(&mut pipe).unwrap().unwrap().to_vec();
        assert_eq!((next(), next(), next()), (b"old".to_vec(), b"new".to_vec(), Vec::new()));
    }

    #[test]
    fn a_line_never_moves_while_it_fills() {
        let line = first_line(&mut &[b'x'; LONGEST][..]).unwrap().unwrap();
        assert_eq!(line.capacity(), LONGEST, "a grown buffer leaves its contents behind");
    }
}
