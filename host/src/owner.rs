//! Owner documents: the asset owner's signed word (SPEC §7).

use crate::bundle::{sha256, signature_set};
use crate::error::Result;
use ed25519_dalek::SigningKey;
use patchlane_protocol::owner::SignedOwner;
use patchlane_protocol::{DocumentKind, List, OwnerDocument, Preimage, limits};

/// Signs a document: with the owner's key, and with the new one too if it names a new anchor.
///
/// # Errors
/// `malformed`: the rule that the document breaks.
pub fn sign(document: &OwnerDocument<'_>, keys: &[&SigningKey]) -> Result<Vec<u8>> {
    let mut buffer = [0; limits::OWNER_DOCUMENT];
    let bytes = document.encode(&mut buffer)?.to_vec();
    let preimage = Preimage::new(DocumentKind::Owner, &document.product, &sha256(&bytes));
    let set = signature_set(keys, &preimage);
    Ok(SignedOwner::encode(&bytes, &List::of(&set)?, &mut buffer)?.to_vec())
}
