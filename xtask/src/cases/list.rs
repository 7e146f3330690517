//! Which fixes: what was published, by whom, and where its sources come from.

/// A fix that was released, in a firmware that uses what it fixes.
pub(super) struct Case {
    /// Its folder in tests/cases.
    pub(super) name: &'static str,
    /// What the firmware is, in a few words.
    pub(super) firmware: &'static str,
    /// The component that is fixed.
    pub(super) component: &'static str,
    /// Its version before and after.
    pub(super) versions: [&'static str; 2],
    /// Its package URL, without the version.
    pub(super) purl: &'static str,
    /// What is fixed, and how bad it is.
    pub(super) closes: &'static [(&'static str, &'static str)],
    /// Paths that the fix may touch.
    pub(super) scope: &'static [&'static str],
    /// Features that the firmware is built with.
    pub(super) features: &'static [&'static str],
    /// The most lines that it may add and remove: what it does, and a little more.
    pub(super) churn: u32,
    /// What the firmware is built for; the first is also judged.
    pub(super) targets: &'static [&'static str],
    pub(super) sources: Sources,
}

/// Where the sources of the component come from.
pub(super) enum Sources {
    /// crates.io: `cargo vendor` by the lock file, whose checksums pin it. `fix.diff` changes the lock file.
    Crates,
    /// A source package of Debian, whose patches are the fixes.
    Debian(Debian),
}

/// A source package.
pub(super) struct Debian {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// File and SHA-256: the sources as they were published, then Debian's patches.
    pub(super) files: [(&'static str, &'static str); 2],
    /// The folder inside the sources, and the files of it that the firmware is made of.
    pub(super) folder: &'static str,
    pub(super) uses: &'static [&'static str],
    /// The patches that make the fix, in order.
    pub(super) patches: &'static [&'static str],
}

const ARM: &str = "thumbv7m-none-eabi";
const RISCV: &str = "riscv32imac-unknown-none-elf";

pub(super) const CASES: [Case; 3] = [
    Case {
        name: "dalek",
        firmware: "a meter that signs its readings; Rust, opt-level s, fat LTO",
        component: "curve25519-dalek",
        versions: ["4.1.2", "4.1.3"],
        purl: "pkg:cargo/curve25519-dalek",
        closes: &[("RUSTSEC-2024-0344", "medium")],
        scope: &["Cargo.toml", "Cargo.lock", "vendor/curve25519-dalek/**", "vendor/platforms/**"],
        features: &["signed-readings"],
        churn: 8000,
        targets: &[ARM, RISCV],
        sources: Sources::Crates,
    },
    Case {
        name: "aesgcm",
        firmware: "a valve that opens sealed commands; Rust, opt-level s, fat LTO",
        component: "aes-gcm",
        versions: ["0.10.2", "0.10.3"],
        purl: "pkg:cargo/aes-gcm",
        closes: &[("RUSTSEC-2023-0096", "medium")],
        scope: &["Cargo.toml", "Cargo.lock", "vendor/aes-gcm/**"],
        features: &["sealed-commands"],
        churn: 120,
        targets: &[ARM, RISCV],
        sources: Sources::Crates,
    },
    Case {
        name: "cjson",
        firmware: "a thermostat whose settings are JSON; C, GCC -Os, newlib or picolibc",
        component: "cJSON",
        versions: ["1.7.15-1", "1.7.15-1+deb12u4"],
        purl: "pkg:deb/debian/cjson",
        closes: &[
            ("CVE-2023-50471", "high"),
            ("CVE-2023-50472", "high"),
            ("CVE-2024-31755", "high"),
            ("CVE-2023-26819", "low"),
            ("CVE-2023-53154", "low"),
            ("CVE-2025-57052", "critical"),
        ],
        scope: &["cjson/*.c"],
        features: &[],
        churn: 100,
        targets: &[ARM, RISCV],
        sources: Sources::Debian(Debian {
            package: "cjson",
            version: "1.7.15-1+deb12u4",
            files: [
                (
                    "cjson_1.7.15.orig.tar.gz",
                    "5308fd4bd90cef7aa060558514de6a1a4a0819974a26e6ed13973c5f624c24b2",
                ),
                (
                    "cjson_1.7.15-1+deb12u4.debian.tar.xz",
                    "afd19a970966cf534ff1e9ec077d710a5e7e78eb4ec9b499c8bdc32e55da12cb",
                ),
            ],
            folder: "cJSON-1.7.15",
            uses: &["cJSON.c", "cJSON.h", "cJSON_Utils.c", "cJSON_Utils.h", "LICENSE"],
            patches: &[
                "0001-add-null-checkings.patch",
                "0002-add-null-check-to-cjson-setvaluestring.patch",
                "0001-allocate-memory-for-the-temporary-buffer.patch",
                "0002-Fix-heap-buffer-overflow.patch",
                "CVE-2025-57052.patch",
            ],
        }),
    },
];
