//! What the machine has to have, and how it gets it.

use std::path::Path;
use std::process::Command;

/// A Debian package, and the file that shows that it is there: a program of the path, or an absolute name.
pub(crate) type Package = (&'static str, &'static str);

/// QEMU for the boards, and for measuring stacks.
pub(crate) const QEMU: [Package; 2] =
    [("qemu-system-misc", "qemu-system-riscv32"), ("qemu-system-arm", "qemu-system-arm")];

/// Who else reads our keys: the transcripts ask them.
pub(crate) const KEY_READERS: [Package; 2] = [
    ("openssl", "/usr/bin/openssl"),
    ("python3-cryptography", "/usr/lib/python3/dist-packages/cryptography/__init__.py"),
];

/// A compiler for bare metal, where rustup has none: it builds `core` from source.
pub(crate) const COMPILER: [Package; 4] = [
    ("rustc-web", "/usr/bin/rustc"),
    ("cargo-web", "/usr/bin/cargo"),
    ("rust-web-src", "/usr/lib/rustlib/src/rust/library/core/Cargo.toml"),
    ("lld", "/usr/bin/ld.lld"),
];

/// GCC for bare Arm and RISC-V, each with the library that Debian has for it.
pub(crate) const GCC: [Package; 4] = [
    ("gcc-arm-none-eabi", "/usr/bin/arm-none-eabi-gcc"),
    ("libnewlib-arm-none-eabi", "/usr/lib/arm-none-eabi/newlib/nano.specs"),
    ("gcc-riscv64-unknown-elf", "/usr/bin/riscv64-unknown-elf-gcc"),
    ("picolibc-riscv64-unknown-elf", "/usr/lib/picolibc/riscv64-unknown-elf/lib/libc.a"),
];

/// What is to be done about packages that aren't there.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Nothing,
    Install(Vec<&'static str>),
    /// What to say to someone who may not install, or has no apt.
    Tell(String),
}

/// One command for all that is missing, also where apt has no lists yet.
fn by_hand(missing: &[&str]) -> String {
    let packages = missing.join(" ");
    format!("sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends {packages}'")
}

fn plan(wanted: &[Package], is_there: impl Fn(&str) -> bool, may_install: bool) -> Plan {
    let missing: Vec<_> =
        wanted.iter().filter(|(_, file)| !is_there(file)).map(|(package, _)| *package).collect();
    match missing[..] {
        [] => Plan::Nothing,
        _ if may_install => Plan::Install(missing),
        _ => Plan::Tell(format!("this needs {}. Run:\n  {}", missing.join(", "), by_hand(&missing))),
    }
}

fn is_there(file: &str) -> bool {
    if file.starts_with('/') {
        return Path::new(file).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(file).exists())
}

/// The minor version in what `rustc --version` says: 88 of `rustc 1.88.0 (…)`.
fn minor(said: &str) -> Option<u32> {
    said.split_whitespace().nth(1)?.strip_prefix("1.")?.split('.').next()?.parse().ok()
}

/// True if Debian's compiler is there, and older than the Rust that we state.
fn compiler_is_old() -> bool {
    let said = Command::new(COMPILER[0].1).arg("--version").output();
    let there = said.ok().and_then(|out| minor(&String::from_utf8_lossy(&out.stdout)));
    there < minor(concat!("stated ", env!("CARGO_PKG_RUST_VERSION"))) && there.is_some()
}

/// What is to be done on this machine now. The compiler's packages go together: one that is old makes all old.
fn plan_here(wanted: &[Package], may_install: bool) -> Plan {
    let old = compiler_is_old();
    let part = |file: &str| COMPILER.iter().any(|(_, of_compiler)| *of_compiler == file);
    plan(wanted, |file| is_there(file) && !(old && part(file)), may_install)
}

fn may_install() -> bool {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0");
    is_root && Path::new("/usr/bin/apt-get").exists()
}

/// Runs apt-get; another one at work is waited for.
fn apt(arguments: &[&str]) -> bool {
    let mut quiet = Command::new("apt-get");
    quiet.args(["-qq", "-y", "-o", "DPkg::Lock::Timeout=600"]).args(arguments);
    quiet.env("DEBIAN_FRONTEND", "noninteractive").stdout(std::process::Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Installs Debian packages whose files are missing: as root at once, otherwise by telling the one command.
pub(crate) fn ensure(wanted: &[Package]) -> Result<(), String> {
    let missing = match plan_here(wanted, may_install()) {
        Plan::Nothing => return Ok(()),
        Plan::Tell(command) => return Err(command),
        Plan::Install(missing) => missing,
    };
    println!("Installing {} (apt-get).", missing.join(", "));
    // Lists as old as the machine's image name compilers as old: they come first. Without a network they have to do.
    let _ = apt(&["update"]);
    let mut install = vec!["install", "--no-install-recommends"];
    install.extend(&missing);
    match (apt(&install), plan_here(wanted, false)) {
        (true, Plan::Nothing) => Ok(()),
        (true, _) => Err(format!(
            "what apt-get installed isn't enough: firmware needs Rust {} or later with its source, and QEMU",
            env!("CARGO_PKG_RUST_VERSION")
        )),
        (false, _) => Err(format!("apt-get failed. Try by hand:\n  {}", by_hand(&missing))),
    }
}

#[cfg(test)]
mod tests {
    use super::{COMPILER, Plan, QEMU, is_there, minor, plan};

    #[test]
    fn without_root_all_that_is_missing_is_one_command() {
        let wanted = [&QEMU[..], &COMPILER].concat();
        let Plan::Tell(said) = plan(&wanted, |file| file == "/usr/bin/rustc", false) else {
            panic!("it doesn't say");
        };
        let commands: Vec<_> = said.lines().filter(|line| line.contains("apt-get")).collect();
        let [command] = commands[..] else { panic!("{said}") };
        for package in ["qemu-system-misc", "qemu-system-arm", "cargo-web", "rust-web-src", "lld"] {
            assert!(command.contains(package), "{command}");
        }
        assert!(!command.contains("rustc-web"), "it is there: {command}");
        assert!(command.contains("sudo") && command.contains("update"), "{command}");
    }

    #[test]
    fn root_installs_and_nobody_installs_what_is_there() {
        let missing = vec!["qemu-system-misc", "qemu-system-arm"];
        assert_eq!(plan(&QEMU, |_| false, true), Plan::Install(missing));
        assert_eq!(plan(&QEMU, |_| true, true), Plan::Nothing);
        assert_eq!(plan(&QEMU, |_| true, false), Plan::Nothing);
    }

    #[test]
    fn programs_are_sought_on_the_path() {
        assert!(is_there("sh") && is_there("/bin/sh"));
        assert!(!is_there("patchlane-has-no-such-program"));
    }

    #[test]
    fn compilers_have_an_age() {
        assert_eq!(minor("rustc 1.85.0 (4d91de4e4 2025-02-17) (built from a source tarball)"), Some(85));
        assert_eq!(minor("stated 1.88"), Some(88));
        assert_eq!(minor("no rustc"), None);
    }
}
