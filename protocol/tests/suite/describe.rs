//! What a document says, field by field, and how it is written again: used by the vector generator and by the
//! tests that read the vectors, so that both speak of the same fields.

use patchlane_protocol::bundle::{self, LINK_PREFIX};
use patchlane_protocol::link::{Command, Deframer, Reply, encode_frame};
use patchlane_protocol::owner::SignedOwner;
use patchlane_protocol::signature::{SIGNATURE_BOUNDS, read_signatures};
use patchlane_protocol::*;
use std::fmt::Display;

/// Named values in reading order.
pub type Fields = Vec<(String, String)>;

fn put(fields: &mut Fields, name: &str, value: impl Display) {
    fields.push((name.to_string(), value.to_string()));
}

fn some<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_string(), |v| v.to_string())
}

fn joined<T: Display>(values: impl Iterator<Item = T>) -> String {
    values.map(|v| v.to_string()).collect::<Vec<_>>().join(" ")
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The fields of a document of the named type.
///
/// # Errors
/// What makes it malformed.
pub fn describe(document: &str, bytes: &[u8]) -> Result<Fields, FormatError> {
    let mut f = Fields::new();
    match document {
        "header" => header(&Header::parse(bytes)?, &mut f),
        "bundle" => whole(bytes, &mut f)?,
        "manifest" => manifest(&Manifest::parse(bytes)?, &mut f),
        "signatures" => signatures(&read_signatures(bytes)?, &mut f),
        "root-document" => root(&RootDocument::parse(bytes)?, &mut f),
        "root-link" => {
            let link = SignedRoot::parse(bytes)?;
            root(&link.document, &mut f);
            signatures(&link.signatures, &mut f);
        }
        "owner-document" => owner(&OwnerDocument::parse(bytes)?, &mut f),
        "signed-owner" => {
            let signed = SignedOwner::parse(bytes)?;
            owner(&signed.document, &mut f);
            signatures(&signed.signatures, &mut f);
        }
        "command" => put(&mut f, "command", format_args!("{:?}", Command::parse(bytes)?)),
        "reply" => put(&mut f, "reply", format_args!("{:?}", Reply::parse(bytes)?)),
        "frame" => put(&mut f, "content", hex(&frame(bytes)?)),
        "status" => status(bytes, &mut f)?,
        "receipt" => receipt(&Receipt::parse(bytes)?, &mut f),
        other => panic!("no document type is called {other}"),
    }
    Ok(f)
}

/// Reads a document and writes it again. Frames have two spellings (SPEC §8.1) and are left out.
///
/// # Errors
/// What makes it malformed.
pub fn rewrite(document: &str, bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    let mut b = [0; 8192];
    let written = match document {
        "header" => Header::parse(bytes)?.encode(&mut b)?,
        "manifest" => Manifest::parse(bytes)?.encode(&mut b)?,
        "signatures" => {
            let mut w = Writer::new(&mut b);
            read_signatures(bytes)?.write(&mut w, SIGNATURE_BOUNDS)?;
            w.finish()
        }
        "root-document" => RootDocument::parse(bytes)?.encode(&mut b)?,
        "root-link" => {
            let link = SignedRoot::parse(bytes)?;
            let mut inner = [0; 1024];
            SignedRoot::encode(link.document.encode(&mut inner)?, &link.signatures, &mut b)?
        }
        "owner-document" => OwnerDocument::parse(bytes)?.encode(&mut b)?,
        "signed-owner" => {
            let signed = SignedOwner::parse(bytes)?;
            let mut inner = [0; 1024];
            SignedOwner::encode(signed.document.encode(&mut inner)?, &signed.signatures, &mut b)?
        }
        "command" => {
            let mut w = Writer::new(&mut b);
            Command::parse(bytes)?.write(&mut w)?;
            w.finish()
        }
        "reply" => {
            let mut w = Writer::new(&mut b);
            Reply::parse(bytes)?.write(&mut w)?;
            w.finish()
        }
        "status" => {
            let (status, signature) = Status::parse(bytes)?;
            status.encode(signature.as_ref(), &mut b)?
        }
        "receipt" => Receipt::parse(bytes)?.encode(&mut b)?,
        other => panic!("documents of type {other} aren't rewritten"),
    };
    Ok(written.to_vec())
}

/// What a report's signature covers, if it has one: all but flag and signature.
pub fn signed_report(bytes: &[u8]) -> Option<&[u8]> {
    let (_, signature) = Status::parse(bytes).ok()?;
    let mut buffer = [0; 128];
    let mut w = Writer::new(&mut buffer);
    w.option(Some(signature?), |w, s| list::Element::write(&s, w)).ok()?;
    bytes.get(..bytes.len() - w.written())
}

/// The first frame's content, stuffed again to see that our spelling is one of the two.
fn frame(bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros.saturating_sub(1)..]; // empty frames are none
    let mut deframer = Deframer::new();
    for (place, byte) in bytes.iter().enumerate() {
        if let Some(content) = deframer.push(*byte)? {
            let read = place + 1;
            let mut again = [0; 700];
            let ours = encode_frame(content, &mut again).expect("what is read can be written");
            assert!(ours == &bytes[..read] || ours.len() == read + 1, "a third spelling");
            return Ok(content.to_vec());
        }
    }
    Err(FormatError::UnexpectedEnd)
}

/// A file as a reader with all of it at hand takes it.
fn whole(bytes: &[u8], f: &mut Fields) -> Result<(), FormatError> {
    let mut r = Reader::new(bytes);
    let head = Header::parse(r.take(Header::WIDTH)?)?;
    header(&head, f);
    for _ in 0..head.links {
        let length = u16::from_le_bytes(r.array::<LINK_PREFIX>()?);
        root(&SignedRoot::parse(r.take(usize::from(length))?)?.document, f);
    }
    let body = Manifest::parse(r.take(usize::from(head.manifest))?)?;
    read_signatures(r.take(usize::from(head.signatures))?)?;
    let start = bytes.len() - r.rest().len();
    for (c, component) in body.components.iter().enumerate() {
        for a in 0..component.alternatives.len() {
            let offset = bundle::payload_offset(&body, c, a).map(|o| o + start as u64);
            put(f, &format!("payload.{c}.{a}.offset"), some(offset));
        }
    }
    let total = usize::try_from(bundle::payload_total(&body)).map_err(|_| FormatError::OverLimit)?;
    r.take(total)?;
    r.finish()
}

fn header(h: &Header, f: &mut Fields) {
    put(f, "links", h.links);
    put(f, "manifest_bytes", h.manifest);
    put(f, "signatures_bytes", h.signatures);
}

fn product(p: &Product, f: &mut Fields) {
    put(f, "vendor", p.vendor);
    put(f, "class", p.class);
}

fn manifest(m: &Manifest<'_>, f: &mut Fields) {
    put(f, "kind", format_args!("{:?}", m.kind));
    product(&m.product, f);
    put(f, "hardware", joined(m.hardware.iter()));
    put(f, "version", m.version);
    put(f, "root_version", m.root_version);
    for (c, component) in m.components.iter().enumerate() {
        put(f, &format!("component.{c}.id"), component.id.0);
        for (i, image) in component.images.iter().enumerate() {
            let name = format!("component.{c}.image.{i}");
            put(f, &format!("{name}.address"), some(image.address));
            put(f, &format!("{name}.size"), image.size.get());
            put(f, &format!("{name}.digest"), image.digest);
        }
        for (a, alternative) in component.alternatives.iter().enumerate() {
            describe_alternative(&format!("component.{c}.alternative.{a}"), &alternative, f);
        }
    }
    for (i, a) in m.advisories.iter().enumerate() {
        let exploited = if a.exploited { "exploited" } else { "not exploited" };
        put(f, &format!("advisory.{i}"), format_args!("{} {} {:?} {exploited}", a.index, a.id, a.severity));
    }
    put(f, "issued_at", m.issued_at);
    put(f, "support_end", m.support_end);
    put(f, "evidence", some(m.evidence));
    put(f, "text", m.text);
    let combined = m.combined.map(|c| format!("{:?}: {}", c.reason, c.because));
    put(f, "combined", some(combined));
}

fn describe_alternative(name: &str, a: &Alternative, f: &mut Fields) {
    put(f, &format!("{name}.image"), a.image);
    put(f, &format!("{name}.encoding"), format_args!("{:?}", a.encoding));
    put(f, &format!("{name}.base"), some(a.base));
    put(f, &format!("{name}.size"), a.size.get());
    put(f, &format!("{name}.chunk"), a.chunk.get());
    put(f, &format!("{name}.ram"), a.ram);
    put(f, &format!("{name}.first"), a.first);
    put(f, &format!("{name}.stored"), a.stored());
}

fn signatures(set: &List<'_, Signature>, f: &mut Fields) {
    for (i, s) in set.iter().enumerate() {
        put(f, &format!("signature.{i}"), format_args!("{} {:?} {}", s.key, s.algorithm, hex(&s.bytes)));
    }
}

fn root(r: &RootDocument<'_>, f: &mut Fields) {
    product(&r.product, f);
    put(f, "version", r.version);
    put(f, "development", r.development);
    put(f, "ceilings", format_args!("{} s{}", r.ceilings.feature, r.ceilings.level));
    for (name, role) in
        [("root", r.roles.root()), ("security", r.roles.security()), ("feature", r.roles.feature())]
    {
        put(f, &format!("{name}.threshold"), role.threshold());
        put(f, &format!("{name}.keys"), joined(role.keys().iter().map(|k| hex(&k.bytes))));
    }
}

fn owner(o: &OwnerDocument<'_>, f: &mut Fields) {
    product(&o.product, f);
    let target = match o.target {
        Target::All => "all".to_string(),
        Target::Group(number) => format!("group {number}"),
        Target::Devices(ids) => format!("devices {}", joined(ids.iter())),
    };
    put(f, "target", target);
    put(f, "serial", o.serial);
    put(f, "request", format_args!("{:?}", o.request));
}

fn status(bytes: &[u8], f: &mut Fields) -> Result<(), FormatError> {
    let (s, signature) = Status::parse(bytes)?;
    let named = |n: &status::Named| format!("{} {}", n.version, n.manifest);
    put(f, "device", s.device);
    product(&s.product, f);
    put(f, "hardware", s.hardware);
    put(f, "group", s.group);
    put(f, "root_version", s.root_version);
    put(f, "development", s.development);
    put(f, "owned", s.owned);
    put(f, "serial", s.serial);
    put(f, "policy", format_args!("{:?} {:?}", s.policy.security, s.policy.feature));
    put(f, "confirmed", named(&s.confirmed));
    put(f, "activity", format_args!("{:?}", s.activity));
    put(f, "candidate", some(s.candidate.map(|n| named(&n))));
    put(f, "held", some(s.held.map(|h| format!("{} superseded: {}", named(&h.release), h.superseded))));
    put(f, "approval", some(s.approval));
    put(f, "overdue", s.overdue);
    put(f, "failed_boots", s.failed_boots);
    put(f, "rejections", s.rejections);
    put(f, "last_refusal", some(s.last_refusal));
    put(f, "counter", format_args!("{:?}", s.counter));
    put(f, "fenced", s.fenced);
    put(f, "signature", some(signature.map(|s| format!("{} {}", s.key, hex(&s.bytes)))));
    Ok(())
}

fn receipt(r: &Receipt<'_>, f: &mut Fields) {
    put(f, "manifest_bytes", r.manifest.len());
    put(f, "signatures_bytes", r.signatures.len());
    put(f, "root_bytes", r.root.len());
}
