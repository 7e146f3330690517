//! Keys: what we make others read, what others make we take, and secrets stay secret.

use super::desk::{Desk, listing};
#[cfg(unix)]
use super::pty::Terminal;
use pkcs8::der::pem::{LineEnding, encode_string};
use pkcs8::der::{Encode, asn1::OctetStringRef};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{self, Kdf, Pbkdf2Params, Pbkdf2Prf, ScryptParams};
use std::process::{Command, Output};

/// Runs another tool; `None`, and a word about it, if it isn't here.
fn tool(desk: &Desk, line: &str) -> Option<Output> {
    let mut words = line.split_whitespace();
    let program = words.next().unwrap();
    let out = Command::new(program).current_dir(&desk.0).args(words).env("SECRET", "correct horse").output();
    if out.is_err() {
        println!("skipped: there is no {program} here");
    }
    out.ok()
}

fn openssl(desk: &Desk, line: &str) -> Option<Vec<u8>> {
    let out = tool(desk, &format!("openssl {line}"))?;
    assert!(out.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&out.stderr));
    Some(out.stdout)
}

/// The public key that Python's `cryptography` finds in a private one, in hexadecimal digits.
fn python(desk: &Desk, file: &str, passphrase: Option<&str>) -> Option<String> {
    let script = "\
import sys
try:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
except ImportError:
    sys.exit(77)
secret = sys.argv[2].encode() if len(sys.argv) > 2 else None
key = load_pem_private_key(open(sys.argv[1], 'rb').read(), secret)
print(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex())";
    let python =
        if std::path::Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "python3" };
    let mut command = Command::new(python);
    command.current_dir(&desk.0).args(["-c", script, file]).args(passphrase);
    match command.output() {
        Ok(out) if out.status.success() => Some(String::from_utf8_lossy(&out.stdout).trim().to_owned()),
        Ok(out) if out.status.code() == Some(77) => {
            println!("skipped: Python's cryptography isn't here");
            None
        }
        Ok(out) => panic!("python on {file}: {}", String::from_utf8_lossy(&out.stderr)),
        Err(_) => {
            println!("skipped: there is no python3 here");
            None
        }
    }
}

/// openssl and Python read a private key of ours, and agree with us on its public half.
fn others_read(desk: &Desk, name: &str, passphrase: Option<&str>) {
    std::fs::write(desk.path("passphrase"), passphrase.unwrap_or_default()).unwrap();
    let secret = passphrase.map(|_| "-passin file:passphrase").unwrap_or_default();
    if let Some(public) = openssl(desk, &format!("pkey -in {name}.pem {secret} -pubout")) {
        let file = std::fs::read_to_string(desk.path(&format!("{name}.pub"))).unwrap();
        // A development key says what it is before its PEM block.
        assert_eq!(String::from_utf8(public).unwrap(), file[file.find("-----BEGIN").unwrap()..]);
    }
    if let Some(public) = python(desk, &format!("{name}.pem"), passphrase) {
        assert_eq!(public, desk.ok(&format!("key show {name}.pub"))["public_key"]);
    }
}

#[test]
fn openssl_and_python_read_every_key_we_write() {
    let desk = Desk::new("others-read");
    std::fs::write(desk.path("one"), "one\n").unwrap();
    std::fs::write(desk.path("two"), "two\n").unwrap();
    desk.ok("key new d.pem --development");
    others_read(&desk, "d", None);
    desk.ok("key new k.pem --passphrase-file one");
    others_read(&desk, "k", Some("one"));
    desk.ok("key passwd k.pem --passphrase-file one --new-passphrase-file two");
    others_read(&desk, "k", Some("two"));
    desk.ok("key import k.pem -o i.pem --passphrase-file two --new-passphrase-file one");
    others_read(&desk, "i", Some("one"));
    // What the manual says of the encryption.
    if let Some(text) = openssl(&desk, "asn1parse -in i.pem") {
        let text = String::from_utf8_lossy(&text).into_owned();
        for what in [":scrypt", ":4000", ":08", ":05", ":aes-256-cbc"] {
            assert_eq!(text.lines().filter(|line| line.ends_with(what)).count(), 1, "{what}: {text}");
        }
    }
}

#[test]
fn what_openssl_makes_is_imported() {
    let desk = Desk::new("import");
    std::fs::write(desk.path("new"), "new\n").unwrap();
    if openssl(&desk, "genpkey -algorithm ed25519 -out v1.pem").is_none() {
        return;
    }
    openssl(&desk, "pkey -in v1.pem -outform DER -out v1.der");
    let secret = "-passout env:SECRET";
    openssl(&desk, &format!("pkcs8 -topk8 -in v1.pem -v2 aes-256-cbc {secret} -out pbkdf2.pem"));
    openssl(
        &desk,
        &format!("pkcs8 -topk8 -in v1.pem -v2 aes-128-cbc -v2prf hmacWithSHA512 {secret} -out sha512.pem"),
    );
    openssl(&desk, &format!("pkcs8 -topk8 -in v1.pem -scrypt {secret} -out scrypt.pem"));
    openssl(&desk, &format!("pkcs8 -topk8 -in v1.pem -scrypt {secret} -outform DER -out scrypt.der"));
    openssl(&desk, "pkey -in v1.pem -pubout -out right.pub");
    let id = desk.ok("key show right.pub")["key_id"].clone();
    for (number, name) in
        ["v1.pem", "v1.der", "pbkdf2.pem", "sha512.pem", "scrypt.pem", "scrypt.der"].iter().enumerate()
    {
        let before = std::fs::read(desk.path(name)).unwrap();
        let made = desk.ok(&format!("key import {name} -o k{number}.pem --passphrase-env SECRET"));
        assert_eq!(
            (&made["key_id"], &made["encrypted"], &made["development"]),
            (&id, &true.into(), &false.into())
        );
        others_read(&desk, &format!("k{number}"), Some("correct horse"));
        assert_eq!(std::fs::read(desk.path(name)).unwrap(), before, "{name} stays as it is");
        let text = std::fs::read_to_string(desk.path(&format!("k{number}.pem"))).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{text}");
    }
    // Without -o, the copy lies in this folder, never where the key is.
    std::fs::create_dir(desk.path("theirs")).unwrap();
    std::fs::rename(desk.path("v1.der"), desk.path("theirs/release.der")).unwrap();
    assert_eq!(desk.ok("key import theirs/release.der --passphrase-env SECRET")["file"], "release.pem");
    // A passphrase has to come from somewhere: an unencrypted copy isn't made by leaving it out.
    desk.fails("key import v1.pem -o x.pem", 4, "passphrase");
    desk.fails("key import pbkdf2.pem -o x.pem", 4, "passphrase");
    desk.fails("key import pbkdf2.pem -o x.pem --passphrase-file new", 4, "passphrase");
    // A development key is one because it was asked for, and says so.
    assert_eq!(desk.ok("key import v1.pem -o dev.pem --development")["development"], true);
    assert_eq!(desk.ok("key show dev.pem")["development"], true);
    desk.fails("key import v1.pem -o x.pem --development --new-passphrase-file new", 2, "usage");
}

const V1: &[u8] = &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const V2: &[u8] = &[0x30, 0x51, 2, 1, 1, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// A PKCS#8 file of version 2, as ring and ed25519-dalek write them.
fn v2(seed: &[u8; 32], public: &[u8; 32]) -> Vec<u8> {
    [V2, seed, &[0x81, 0x21, 0], public].concat()
}

fn public(seed: &[u8; 32]) -> [u8; 32] {
    ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

#[test]
fn version_2_is_imported_and_its_public_half_has_to_be_its_own() {
    let desk = Desk::new("v2");
    let seed = *b"a secret of thirty-two bytes....";
    std::fs::write(desk.path("v2.der"), v2(&seed, &public(&seed))).unwrap();
    let hex: String = public(&seed).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(desk.ok("key import v2.der -o k.pem --passphrase-env SECRET")["public_key"], hex);
    others_read(&desk, "k", Some("correct horse"));
    std::fs::write(desk.path("torn.der"), v2(&seed, &public(&[7; 32]))).unwrap();
    let what = desk.fails("key import torn.der -o x.pem --passphrase-env SECRET", 4, "key");
    assert_eq!(what, "is damaged: the public key in it isn't the private one's");
}

#[test]
fn weak_keys_and_keys_of_other_algorithms_are_refused_by_name() {
    let desk = Desk::new("weak");
    let rfc = [
        0xd4, 0xee, 0x72, 0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad, 0x3a,
        0xfe, 0x7c, 0x28, 0xcb, 0xf1, 0xd4, 0xfb, 0xe0, 0x97, 0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42,
    ];
    let repeated = "is a weak key: its secret is one byte repeated";
    for (seed, words) in [
        ([0; 32], repeated),
        ([0xff; 32], repeated),
        (rfc, "is a weak key: it is an example in an RFC, and anyone can sign for it"),
    ] {
        std::fs::write(desk.path("weak.der"), [V1, &seed].concat()).unwrap();
        assert_eq!(desk.fails("key import weak.der -o x.pem --passphrase-env SECRET", 4, "key"), words);
        assert_eq!(desk.fails("key show weak.der", 4, "key"), words);
    }
    for (how, words) in [
        ("genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048", "is an RSA key"),
        ("genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-256", "is an EC key"),
        ("genpkey -algorithm ed448", "is an Ed448 key"),
        ("genpkey -algorithm x25519", "is an X25519 key"),
        ("ecparam -genkey -noout -name prime256v1", "is an EC key"),
    ] {
        if openssl(&desk, &format!("{how} -out other.pem")).is_none() {
            return;
        }
        let what = desk.fails("key import other.pem -o x.pem --passphrase-env SECRET", 4, "key");
        assert_eq!(what, format!("{words}, and patchlane signs with Ed25519 only"));
        openssl(&desk, "pkey -in other.pem -pubout -out other.pub");
        let what = desk.fails("key show other.pub", 4, "key");
        assert_eq!(what, format!("{words}, and patchlane signs with Ed25519 only"));
        std::fs::remove_file(desk.path("other.pub")).unwrap();
    }
    openssl(&desk, "genpkey -algorithm ed25519 -out good.pem");
    for (how, words) in [
        ("-v2 aes-256-cbc -v2prf hmacWithSHA1", "is encrypted with PBKDF2 and SHA-1, which isn't read"),
        ("-v2 des3", "is encrypted in a way that isn't read (PBES2 with PBKDF2 or scrypt, and AES-CBC, is)"),
    ] {
        openssl(&desk, &format!("pkcs8 -topk8 -in good.pem {how} -passout env:SECRET -out old.pem"));
        assert_eq!(desk.fails("key import old.pem -o x.pem --passphrase-env SECRET", 4, "key"), words);
    }
}

/// An encrypted key that asks for `kdf`.
fn asking(desk: &Desk, kdf: Kdf<'_>) {
    let encryption = pbes2::EncryptionScheme::Aes256Cbc { iv: &[1; 16] };
    let scheme = EncryptionScheme::Pbes2(pbes2::Parameters { kdf, encryption });
    let info = pkcs8::EncryptedPrivateKeyInfo { encryption_algorithm: scheme, encrypted_data: &[2; 64] };
    let pem = encode_string("ENCRYPTED PRIVATE KEY", LineEnding::LF, &info.to_der().unwrap()).unwrap();
    std::fs::write(desk.path("dear.pem"), pem).unwrap();
}

#[test]
fn a_key_that_asks_for_all_memory_or_all_day_is_refused() {
    let desk = Desk::new("dear");
    let scrypt = |log_n: u32, block_size, parallelization| {
        let cost_parameter = 1 << log_n;
        Kdf::Scrypt(ScryptParams {
            salt: &[3; 16],
            cost_parameter,
            block_size,
            parallelization,
            key_length: None,
        })
    };
    let iterations = |iteration_count| {
        let prf = Pbkdf2Prf::HmacWithSha256;
        Kdf::Pbkdf2(Pbkdf2Params { salt: &[3; 16], iteration_count, key_length: None, prf })
    };
    for kdf in [
        scrypt(40, 8, 1),
        scrypt(63, 65535, 65535),
        scrypt(20, 9, 1),
        scrypt(14, 8, 65535),
        iterations(u32::MAX),
    ] {
        asking(&desk, kdf);
        let what = desk.fails("key import dear.pem -o x.pem --passphrase-env SECRET", 4, "key");
        assert_eq!(what, "asks for more time or memory than any key needs");
    }
    for kdf in [scrypt(10, 8, 1), iterations(1000)] {
        asking(&desk, kdf);
        desk.fails("key import dear.pem -o x.pem --passphrase-env SECRET", 4, "passphrase");
    }
}

#[test]
fn import_refuses_what_is_no_private_key_and_overwrites_nothing() {
    let desk = Desk::signed("import-wrong");
    desk.ok("key new k.pem --passphrase-env SECRET");
    let import = |file: &str| format!("key import {file} -o x.pem --passphrase-env SECRET");
    for (file, exit, code, words) in [
        ("none.pem", 3, "missing-file", "isn't there"),
        ("trust", 3, "file-access", "is a folder, not a file"),
        ("k.pub", 4, "key", "is a public key, where a private one is needed"),
        ("a.plb", 4, "key", "is a bundle, not a private key"),
        ("trust/root-1.plr", 4, "key", "is a root file, not a private key"),
        ("patchlane.toml", 4, "key", "is a patchlane.toml, not a private key"),
    ] {
        assert_eq!(desk.fails(&import(file), exit, code), words, "{file}");
    }
    let pem = std::fs::read_to_string(desk.path("trust/development-root.pem")).unwrap();
    for (content, words) in [
        (String::new(), "is empty"),
        (pem.replace("MC4C", "MC4D"), "isn't a sound PKCS#8 key"),
        (pem[..pem.len() - 40].to_owned(), "isn't a sound PEM file"),
        (format!("{pem}{pem}"), "holds several PEM blocks, and one key is needed"),
        (" ".repeat(70_000), "is larger than 64 KiB"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n".into(),
            "is a PEM file of type OPENSSH PRIVATE KEY",
        ),
    ] {
        std::fs::write(desk.path("bad.pem"), &content).unwrap();
        let what = desk.fails(&import("bad.pem"), 4, "key");
        assert!(what.starts_with(words), "{what}, not {words}");
    }
    desk.fails("key import k.pem --passphrase-env SECRET", 3, "file-exists");
    desk.fails("key import trust/development-root.pem -o k.pem --passphrase-env SECRET", 3, "file-exists");
    // The public half's place counts, too.
    std::fs::write(desk.path("y.pub"), "mine").unwrap();
    desk.fails("key import trust/development-root.pem -o y.pem --passphrase-env SECRET", 3, "file-exists");
    desk.fails("key import trust/development-root.pem -o z.pub --passphrase-env SECRET", 2, "usage");
}

#[test]
fn passwd_changes_the_passphrase_and_nothing_else() {
    let desk = Desk::new("passwd");
    for name in ["one", "two", "empty"] {
        std::fs::write(desk.path(name), if name == "empty" { "\n" } else { name }).unwrap();
    }
    let id = desk.ok("key new k.pem --passphrase-file one")["key_id"].clone();
    let public = std::fs::read(desk.path("k.pub")).unwrap();
    let passwd = "key passwd k.pem";
    desk.fails(passwd, 4, "passphrase");
    desk.fails(&format!("{passwd} --passphrase-file one"), 4, "passphrase");
    desk.fails(&format!("{passwd} --passphrase-file two --new-passphrase-file one"), 4, "passphrase");
    desk.fails(&format!("{passwd} --passphrase-file one --new-passphrase-file none"), 3, "missing-file");
    desk.fails(&format!("{passwd} --passphrase-file one --new-passphrase-env UNSET_HERE"), 4, "passphrase");
    desk.fails(&format!("{passwd} --passphrase-file one --new-passphrase-file empty"), 4, "passphrase");
    let same =
        desk.fails(&format!("{passwd} --passphrase-file one --new-passphrase-file one"), 4, "passphrase");
    assert_eq!(same, "has this passphrase already");
    desk.fails("key passwd k.pub --new-passphrase-file two", 4, "key");
    desk.fails("key passwd none.pem --new-passphrase-file two", 3, "missing-file");
    let made = desk.ok(&format!("{passwd} --passphrase-file one --new-passphrase-file two"));
    assert_eq!((&made["key_id"], &made["encrypted"]), (&id, &true.into()));
    desk.fails("key show k.pem --passphrase-file one", 4, "passphrase");
    assert_eq!(desk.ok("key show k.pem --passphrase-file two")["key_id"], id);
    assert_eq!(std::fs::read(desk.path("k.pub")).unwrap(), public);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(desk.path("k.pem")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }
    // DER stays DER.
    std::fs::write(desk.path("k.der"), [V1, b"a secret of thirty-two bytes...."].concat()).unwrap();
    desk.fails("key passwd k.der --new-passphrase-file two", 4, "key");
}

/// On a disk without room nothing is half-written, and nothing is lost.
#[cfg(unix)]
#[test]
fn without_room_the_old_key_stays_and_no_new_one_begins() {
    let desk = Desk::new("no-room");
    std::fs::write(desk.path("one"), "one").unwrap();
    desk.ok("key new k.pem --passphrase-env SECRET");
    for line in [
        "key passwd k.pem --passphrase-env SECRET --new-passphrase-file one",
        "key import k.pem -o i.pem --passphrase-env SECRET",
        "key new n.pem --passphrase-env SECRET",
        "key new d.pem --development",
    ] {
        let before = listing(&desk.0);
        // No file may grow: writing fails as on a full disk.
        let script = format!("trap '' XFSZ; ulimit -f 0; exec '{}' {line}", env!("CARGO_BIN_EXE_patchlane"));
        let mut full = Command::new("sh");
        full.current_dir(&desk.0).args(["-c", &script]).env("SECRET", "correct horse");
        let out = full.output().unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(3), "{line}: {told}");
        assert!(told.contains("can't be written: no space is left"), "{line}: {told}");
        assert_eq!(listing(&desk.0), before, "{line}");
    }
    desk.ok("key show k.pem --passphrase-env SECRET");
}

/// What is marked as development stays so, through passphrases and copies; and production goes on refusing it.
#[test]
fn development_keys_stay_marked() {
    let desk = Desk::started("marked");
    std::fs::write(desk.path("two"), "two").unwrap();
    for name in ["root", "security", "feature"] {
        desk.ok(&format!("key new {name}.pem --passphrase-env SECRET"));
    }
    desk.ok("key new d.pem --development");
    desk.ok("key passwd d.pem --new-passphrase-env SECRET");
    let text = std::fs::read_to_string(desk.path("d.pem")).unwrap();
    assert!(text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{text}");
    desk.ok("key passwd d.pem --passphrase-env SECRET --new-passphrase-file two");
    desk.ok("key import d.pem -o copy.pem --passphrase-file two");
    others_read(&desk, "copy", Some("two"));
    for name in ["d.pem", "copy.pem"] {
        let shown = desk.ok(&format!("key show {name} --passphrase-file two"));
        assert_eq!((&shown["development"], &shown["encrypted"]), (&true.into(), &true.into()), "{name}");
    }
    let new =
        "root new -o r.plr --root root.pub --feature feature.pub --sign root.pem --passphrase-env SECRET";
    desk.fails(&format!("{new} --security copy.pub"), 1, "development-trust");
    // Its mark cut off, the public half may get into a root; the private one still doesn't sign for it.
    let text = std::fs::read_to_string(desk.path("copy.pub")).unwrap();
    std::fs::write(desk.path("bare.pub"), &text[text.find("-----BEGIN").unwrap()..]).unwrap();
    desk.ok(&format!("{new} --security bare.pub"));
    desk.ok("build security --baseline 4.1 --level 8 --image a.bin --no-payload -o a.plb");
    desk.fails("sign a.plb --root r.plr --key copy.pem --passphrase-file two", 1, "development-trust");
    desk.fails("key new e.pem --development --passphrase-env SECRET", 2, "usage");
}

#[cfg(unix)]
#[test]
fn passphrases_come_from_a_file_a_descriptor_or_the_environment() {
    use std::ffi::OsStr;
    use std::io::Write;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Stdio;
    let desk = Desk::new("sources");
    desk.ok("key new k.pem --passphrase-env SECRET");
    for text in ["correct horse", "correct horse\n", "correct horse\r\n", "correct horse\nmore\n"] {
        std::fs::write(desk.path("p"), text).unwrap();
        desk.ok("key show k.pem --passphrase-file p");
    }
    for text in ["correct horse ", " correct horse", "correct", "correct\nhorse"] {
        std::fs::write(desk.path("p"), text).unwrap();
        desk.fails("key show k.pem --passphrase-file p", 4, "passphrase");
    }
    // A pipe that stays open, as a supervisor's would: only the line is waited for.
    let fed = |line: &str, text: &str| {
        let mut command = desk.command();
        command
            .args(line.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(text.as_bytes()).unwrap();
        let status = child.wait().unwrap();
        drop(pipe);
        status.code()
    };
    assert_eq!(fed("key show k.pem --passphrase-fd 0", "correct horse\n"), Some(0));
    // Two lines of one pipe: the old passphrase, then the new one.
    let both = "key passwd k.pem --passphrase-fd 0 --new-passphrase-fd 0";
    assert_eq!(fed(both, "correct horse\nbattery staple\n"), Some(0));
    assert_eq!(fed("key show k.pem --passphrase-fd 0", "battery staple\n"), Some(0));
    assert_eq!(fed("key show k.pem --passphrase-fd 0", "correct horse\n"), Some(4));
    let what = desk.fails("key show k.pem --passphrase-fd 97", 4, "passphrase");
    assert_eq!(what, "file descriptor 97 isn't open");
    // Bytes are bytes: a passphrase need not be UTF-8.
    let odd = OsStr::from_bytes(b"caf\xe9");
    let run = |line: &str| {
        desk.command().args(line.split_whitespace()).env("ODD", odd).output().unwrap().status.code()
    };
    assert_eq!(run("key new odd.pem --passphrase-env ODD"), Some(0));
    std::fs::write(desk.path("odd"), b"caf\xe9\n").unwrap();
    desk.ok("key show odd.pem --passphrase-file odd");
    // Without end, or too long: refused, and soon.
    desk.fails("key show k.pem --passphrase-file /dev/zero", 4, "passphrase");
    desk.fails("key show k.pem --passphrase-file /dev/null", 4, "passphrase");
    desk.fails("key show k.pem --passphrase-file k.pub --passphrase-env SECRET", 2, "usage");
    desk.fails("key show k.pem --passphrase correct", 2, "usage");
}

#[cfg(unix)]
fn at_terminal(desk: &Desk, line: &str) -> Terminal {
    let mut command = desk.command();
    command.args(line.split_whitespace());
    Terminal::run(&command)
}

#[cfg(unix)]
#[test]
fn at_a_terminal_passphrases_are_asked_for_and_never_shown() {
    let desk = Desk::new("prompt");
    let mut terminal = at_terminal(&desk, "key new k.pem");
    terminal.until("New passphrase for k.pem: ");
    assert!(!terminal.echoes());
    // A slip, taken back at the keyboard.
    terminal.types("hunter3\x7f2\n");
    terminal.until("The same again: ");
    terminal.types("hunter2\n");
    let (status, shown) = terminal.end();
    assert!(status.success() && !shown.contains("hunter"), "{status}: {shown}");
    std::fs::write(desk.path("p"), "hunter2").unwrap();
    desk.ok("key show k.pem --passphrase-file p");

    let mut terminal = at_terminal(&desk, "key passwd k.pem");
    terminal.until("Passphrase for k.pem: ");
    terminal.types("hunter2\n");
    terminal.until("New passphrase for k.pem: ");
    terminal.types("hunter3\n");
    terminal.until("The same again: ");
    terminal.types("hunter4\n");
    let (status, shown) = terminal.end();
    assert_eq!(status.code(), Some(4), "{shown}");
    assert!(shown.contains("the two passphrases differ"), "{shown}");
    desk.ok("key show k.pem --passphrase-file p");
}

#[cfg(unix)]
#[test]
fn ctrl_c_at_a_prompt_leaves_the_terminal_as_it_was_and_no_file() {
    let desk = Desk::new("prompt-ctrl-c");
    let mut terminal = at_terminal(&desk, "key new k.pem");
    terminal.until("New passphrase for k.pem: ");
    terminal.types("hun\x03");
    terminal.until("nothing was half-written");
    let echoes = terminal.echoes();
    let (status, shown) = terminal.end();
    assert_eq!(status.code(), Some(130), "{shown}");
    assert!(echoes, "the terminal stays silent");
    assert_eq!(listing(&desk.0), []);
}

#[cfg(unix)]
#[test]
fn no_input_never_asks_even_at_a_terminal() {
    let desk = Desk::new("no-input");
    for line in ["key new k.pem --no-input", "--no-input key new k.pem"] {
        let (status, shown) = at_terminal(&desk, line).end();
        assert_eq!(status.code(), Some(4), "{shown}");
        assert!(shown.contains("k.pem needs a passphrase, and --no-input forbids to ask for it"), "{shown}");
        assert!(!shown.contains("New passphrase for"), "{shown}");
    }
    assert_eq!(listing(&desk.0), []);
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_or_that_isnt_encrypted_is_worth_a_note() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::started("open");
    for name in ["root", "security", "feature"] {
        desk.ok(&format!("key new {name}.pem --passphrase-env SECRET"));
    }
    let roles = "--root root.pub --security security.pub --feature feature.pub";
    desk.ok(&format!("root new -o r.plr {roles} --sign root.pem --passphrase-env SECRET"));
    desk.ok("build security --baseline 4.1 --level 8 --image a.bin --no-payload -o a.plb");
    let sign = "sign a.plb --root r.plr --key security.pem --passphrase-env SECRET";
    let none: [&str; 0] = [];
    assert_eq!(desk.ok(sign)["notes"], serde_json::json!(none));
    let open = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(desk.path("security.pem"), permissions).unwrap();
    };
    for mode in [0o640, 0o604, 0o620] {
        open(mode);
        let notes = desk.ok(sign)["notes"].to_string();
        let words = format!("security.pem is open to others (mode {mode:04o}): chmod 600 security.pem");
        assert!(notes.contains(&words), "{notes}");
    }
    let shown = desk.ok("key show security.pem --passphrase-env SECRET");
    assert!(shown["notes"].to_string().contains("is open to others"), "{shown}");
    std::fs::write(desk.path("bare.der"), [V1, b"a secret of thirty-two bytes...."].concat()).unwrap();
    let notes = desk.ok("key show bare.der")["notes"].to_string();
    assert!(notes.contains("bare.der isn't encrypted"), "{notes}");
    // Development keys protect nothing: there is nothing to note.
    std::fs::set_permissions(desk.path("trust/development-root.pem"), std::fs::Permissions::from_mode(0o644))
        .unwrap();
    assert_eq!(desk.ok("key show trust/development-root.pem")["notes"], serde_json::json!(none));
}

/// The sibling's word isn't the key's (as with avbtool, which hashed a file beside the one named).
#[test]
fn a_private_key_is_never_told_by_the_public_key_beside_it() {
    let desk = Desk::new("sibling");
    desk.ok("key new a.pem --passphrase-env SECRET");
    desk.ok("key new b.pem --development");
    std::fs::copy(desk.path("b.pub"), desk.path("a.pub")).unwrap();
    desk.fails("key show a.pem", 4, "passphrase");
    let what = desk.fails("key show a.pem --passphrase-env SECRET", 4, "key");
    assert_eq!(what, "is another key's public half than a.pem's");
}

#[test]
fn an_octet_string_that_is_too_short_is_no_key() {
    let desk = Desk::new("short");
    let octets = OctetStringRef::new(&[5; 31]).unwrap().to_der().unwrap();
    let algorithm = pkcs8::AlgorithmIdentifierRef {
        oid: pkcs8::ObjectIdentifier::new_unwrap("1.3.101.112"),
        parameters: None,
    };
    let info = pkcs8::PrivateKeyInfo::new(algorithm, &octets).to_der().unwrap();
    std::fs::write(desk.path("short.der"), info).unwrap();
    let what = desk.fails("key import short.der -o x.pem --passphrase-env SECRET", 4, "key");
    assert_eq!(what, "isn't a sound Ed25519 key: its secret hasn't 32 bytes");
}
