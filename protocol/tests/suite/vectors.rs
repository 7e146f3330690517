//! Reads the files under `protocol/vectors/`.

use std::fs;
use std::path::Path;

/// One vector file.
pub struct Vector {
    /// Its name, which is the file's.
    pub name: String,
    /// What the input is.
    pub document: String,
    /// `accept`, a transition, or a refusal's name.
    pub expect: String,
    table: toml::Table,
}

impl Vector {
    /// The bytes called `name`.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        unhex(self.text(name))
    }

    /// The text called `name`.
    pub fn text(&self, name: &str) -> &str {
        self.table[name].as_str().unwrap_or_else(|| panic!("{}: {name} is no text", self.name))
    }

    /// The number called `name`, if there is one.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.table.get(name)?.as_integer()
    }

    /// The table called `name`, in any order.
    pub fn table(&self, name: &str) -> Option<&toml::Table> {
        self.table.get(name)?.as_table()
    }

    /// True if the expectation is about one document's bytes.
    pub fn is_format(&self) -> bool {
        self.table.contains_key("input")
    }
}

/// Every vector, by name.
pub fn all() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("vectors").map(|e| e.expect("entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    files.sort();
    let vectors: Vec<_> = files.iter().map(|path| read(path)).collect();
    assert!(vectors.len() > 150, "vectors are missing");
    vectors
}

/// The accepted documents that are written again as they are read: type and bytes.
pub fn valid_documents() -> Vec<(String, String, Vec<u8>)> {
    let whole =
        |v: &Vector| v.expect == "accept" && v.is_format() && v.document != "bundle" && v.document != "frame";
    all().into_iter().filter(whole).map(|v| (v.name.clone(), v.document.clone(), v.bytes("input"))).collect()
}

fn read(path: &Path) -> Vector {
    let table: toml::Table = fs::read_to_string(path).expect("text").parse().expect("TOML");
    let text = |name: &str| table[name].as_str().expect("text").to_string();
    assert_eq!(path.file_stem().and_then(|s| s.to_str()), Some(text("name").as_str()));
    Vector { name: text("name"), document: text("document"), expect: text("expect"), table }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let pair = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).expect("ASCII"), 16).expect("hex");
    digits.chunks(2).map(pair).collect()
}
