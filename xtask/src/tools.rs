//! What the machine has to have, and how it gets it.

use std::path::Path;
use std::process::Command;

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

/// Installs Debian packages whose files are missing: as root at once, otherwise by telling the one command.
pub(crate) fn ensure(wanted: &[(&str, &str)]) -> Result<(), String> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("sudo apt-get install --no-install-recommends {}", missing.join(" "));
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!("this needs {}. Run:\n  {by_hand}", missing.join(", ")));
    }
    println!("installing {}", missing.join(", "));
    let apt = |arguments: &[&str]| {
        let mut quiet = Command::new("apt-get");
        quiet.args(["-qq", "-y"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        quiet.stdout(std::process::Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let mut install = vec!["install", "--no-install-recommends"];
    install.extend(&missing);
    if apt(&install) || apt(&["update"]) && apt(&install) {
        Ok(())
    } else {
        Err(format!("apt-get failed. Try by hand:\n  {by_hand}"))
    }
}

/// Who else reads our keys: the transcripts ask them.
pub(crate) fn key_readers() -> Result<(), String> {
    ensure(&[
        ("openssl", "/usr/bin/openssl"),
        ("python3-cryptography", "/usr/lib/python3/dist-packages/cryptography/__init__.py"),
    ])
}

/// QEMU for the boards, and for measuring stacks.
pub(crate) fn qemu() -> Result<(), String> {
    ensure(&[
        ("qemu-system-misc", "/usr/bin/qemu-system-riscv32"),
        ("qemu-system-arm", "/usr/bin/qemu-system-arm"),
    ])
}
