//! Root files: a root document with the signatures of its own quorum, as `init` makes them and links carry them.

use crate::bundle::{sha256, signature_set};
use crate::error::{Code, Error, Result};
use crate::files;
use crate::kind::{self, Kind};
use ed25519_dalek::SigningKey;
use patchlane_device::verify;
use patchlane_protocol::{
    Baseline, Ceilings, DocumentKind, KeyId, List, Preimage, Product, PublicKey, Role, Roles, RootDocument,
    SignedRoot,
};
use std::path::{Path, PathBuf};

/// A root file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    bytes: Vec<u8>,
}

/// What a new root says.
#[derive(Debug, Clone)]
pub struct Draft {
    /// For which product.
    pub product: Product,
    /// Its version.
    pub version: u32,
    /// True for a first day.
    pub development: bool,
    /// How far releases may go.
    pub ceilings: Ceilings,
    /// Keys and threshold of each role: root, security, feature.
    pub roles: [(Vec<PublicKey>, u8); 3],
}

/// Ceilings that leave room for years and still bound a thief (I7).
pub const CEILINGS: Ceilings = Ceilings { feature: Baseline { line: 99, step: 999 }, level: 999 };

fn role((keys, threshold): &(Vec<PublicKey>, u8)) -> Result<Role<'_>> {
    Ok(Role::new(*threshold, List::of(keys)?)?)
}

impl Draft {
    /// Makes and signs the root file.
    ///
    /// # Errors
    /// `malformed`: the rule that the values break.
    pub fn sign(&self, keys: &[&SigningKey]) -> Result<Root> {
        let [root, security, feature] = self.roles.clone().map(|(mut keys, threshold)| {
            keys.sort_by_key(PublicKey::id);
            (keys, threshold)
        });
        let document = RootDocument {
            product: self.product,
            version: self.version,
            development: self.development,
            ceilings: self.ceilings,
            roles: Roles::new(role(&root)?, role(&security)?, role(&feature)?)?,
        };
        let mut buffer = [0; 1024];
        let document = document.encode(&mut buffer)?.to_vec();
        let preimage = Preimage::new(DocumentKind::Root, &self.product, &sha256(&document));
        let set = signature_set(keys, &preimage);
        Ok(Root { bytes: SignedRoot::encode(&document, &List::of(&set)?, &mut buffer)?.to_vec() })
    }
}

impl Root {
    /// Reads a root file and checks that its own quorum signed it.
    ///
    /// # Errors
    /// `malformed`, `not-enough-signatures`, `refused`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Err(Error::empty());
        }
        let signed = SignedRoot::parse(bytes)?;
        let signers = verify::own_signers(&signed);
        let needed = usize::from(signed.document.roles.root().threshold());
        if signers < needed {
            let what = format!("is signed by {signers} of its own root keys, and {needed} have to");
            return Err(Error::new(Code::Unsigned, what, "ask for the signed root file"));
        }
        Ok(Self { bytes: bytes.to_vec() })
    }

    /// Reads a root file.
    ///
    /// # Errors
    /// As [`Root::parse`], and those of the file.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = files::read(path)?;
        Self::parse(&bytes).map_err(|e| kind::explain(e, &bytes, Kind::Root).at(path.display()))
    }

    /// The file's bytes: also a link that bundles can carry.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says.
    ///
    /// # Errors
    /// `malformed`; not for a root that was read.
    pub fn document(&self) -> Result<RootDocument<'_>> {
        Ok(SignedRoot::parse(&self.bytes)?.document)
    }

    /// The document's bytes, as devices keep them.
    ///
    /// # Errors
    /// As [`Root::document`].
    pub fn document_bytes(&self) -> Result<&[u8]> {
        Ok(SignedRoot::parse(&self.bytes)?.bytes)
    }
}

/// Each root follows the one before, as a device would take it.
fn follow(roots: &[Root], paths: &[PathBuf]) -> Result<()> {
    for (pair, path) in roots.windows(2).zip(paths.iter().skip(1)) {
        verify::link(&SignedRoot::parse(&pair[1].bytes)?, &pair[0].document()?)
            .map_err(|refusal| Error::refused(refusal).at(path.display()))?;
    }
    Ok(())
}

/// Every root that devices in the field may hold: the older ones, oldest first, and the present one, which follows them.
///
/// # Errors
/// `refused`: which file is out of line; and those of [`Root::read`].
pub fn chain(older: &[PathBuf], present: &Path) -> Result<Vec<Root>> {
    let paths: Vec<PathBuf> = older.iter().cloned().chain([present.to_path_buf()]).collect();
    let roots = paths.iter().map(|path| Root::read(path)).collect::<Result<Vec<_>>>()?;
    follow(&roots, &paths)?;
    Ok(roots)
}

/// Reads the links that a bundle carries: each follows the one before, and the last is the root it is made under.
///
/// # Errors
/// `malformed` or `refused`: which file is out of line; and those of [`Root::read`].
pub fn links(paths: &[PathBuf], anchor: &Root) -> Result<Vec<Vec<u8>>> {
    let roots = paths.iter().map(|path| Root::read(path)).collect::<Result<Vec<_>>>()?;
    follow(&roots, paths)?;
    if let (Some(last), Some(path)) = (roots.last(), paths.last())
        && last.document_bytes()? != anchor.document_bytes()?
    {
        let what =
            format!("is root {}, and not the root that this bundle is made under", last.document()?.version);
        let next = "name the links up to [trust] root in patchlane.toml, oldest first";
        return Err(Error::new(Code::Malformed, what, next).at(path.display()));
    }
    Ok(roots.into_iter().map(|root| root.bytes).collect())
}

/// In which role a root lists a key.
pub fn role_of(root: &RootDocument<'_>, key: &KeyId) -> Option<&'static str> {
    let listed = |role: &Role<'_>| role.keys().iter().any(|k| k.id() == *key);
    [("root", root.roles.root()), ("security", root.roles.security()), ("feature", root.roles.feature())]
        .into_iter()
        .find(|(_, role)| listed(role))
        .map(|(name, _)| name)
}
