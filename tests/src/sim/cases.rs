//! The small device and the usual releases of the tests that replay findings.

use super::sweep::Geometry;
use super::sweep::uniform;
use super::world::{Release, factory, image, sign};
use super::{SimDevice, Torn};
use patchlane_device::{Boot, Cause, Done, Running, Window};
use patchlane_protocol::signature::SIGNATURE_BOUNDS;
use patchlane_protocol::{
    Component, ComponentId, DocumentKind, FeaturePolicy, Header, List, Manifest, Policy, Refusal,
    SecurityPolicy, Writer,
};

/// A small device.
pub const SMALL: [Geometry; 3] = uniform(4, 4096, 8, 2);

/// An image.
pub fn img(seed: u64) -> Vec<u8> {
    image(seed, 7000)
}

/// A patch of `line.1`.
pub fn patch(line: u16, level: u32, seed: u64) -> Release {
    Release::patch(line, 1, level, img(seed))
}

/// A release signed by both roles.
pub fn feature(line: u16, level: u32, seed: u64) -> Release {
    Release::feature(line, 1, level, img(seed))
}

/// A device with an owner, under this policy.
pub fn device_under(security: SecurityPolicy, feature: FeaturePolicy, first: &Release) -> SimDevice {
    let mut device =
        SimDevice::new(SMALL, first, factory(Policy { security, feature }, true), 1, Torn::Stable);
    device.restart(Cause::PowerOn);
    device
}

/// ApplyInWindow and OwnerKey, running `4.1 s7`.
pub fn story() -> SimDevice {
    device_under(SecurityPolicy::ApplyInWindow, FeaturePolicy::OwnerKey, &patch(4, 7, 1))
}

/// ApplyInWindow and Auto: everything that may go in does.
pub fn eager(first: &Release) -> SimDevice {
    device_under(SecurityPolicy::ApplyInWindow, FeaturePolicy::Auto, first)
}

/// What is confirmed.
pub fn runs(device: &mut SimDevice) -> String {
    device.status().confirmed.version.to_string()
}

/// Puts a release on trial, without confirming it.
pub fn on_trial(device: &mut SimDevice, release: &Release) {
    device.expect(release);
    device.push(&release.bytes(), 512).unwrap();
    device.machine.window(Window::Open).unwrap();
    assert_eq!(device.restart(Cause::Requested), Some(Boot::Run(Running::Trial)));
}

/// Sends a prefix and leaves it there.
pub fn push_part(device: &mut SimDevice, bytes: &[u8]) -> Result<(), Refusal> {
    let mut offset = device.machine.begin()? as usize;
    while offset < bytes.len() {
        match device.machine.push(offset as u32, &bytes[offset..])? {
            Done::Want(want) if want as usize > offset => offset = want as usize,
            _ => break,
        }
    }
    Ok(())
}

/// A bundle without links: this manifest, whatever it says, signed as a patch by these keys, and these bytes.
pub fn signed_as_patch(document: &[u8], signers: &[&str], payload: &[u8]) -> Vec<u8> {
    let set = sign(DocumentKind::SecurityPatch, document, signers);
    let mut buffer = [0; 256];
    let mut writer = Writer::new(&mut buffer);
    List::of(&set).unwrap().write(&mut writer, SIGNATURE_BOUNDS).unwrap();
    let set = writer.finish().to_vec();
    let header = Header { links: 0, manifest: document.len() as u16, signatures: set.len() as u16 };
    [header.encode(&mut [0; 10]).unwrap(), document, &set, payload].concat()
}

/// A genuine patch whose manifest lists these components instead of the one there is.
pub fn with_components(ids: &[u8]) -> Vec<u8> {
    let bundle = patch(4, 8, 2).bundle();
    let manifest = bundle.manifest().unwrap();
    let only = manifest.components.at(0).unwrap();
    let components: Vec<Component<'_>> =
        ids.iter().map(|id| Component { id: ComponentId(*id), ..only }).collect();
    let manifest = Manifest { components: List::of(&components).unwrap(), ..manifest };
    let document = manifest.encode(&mut [0; 2048]).unwrap().to_vec();
    signed_as_patch(&document, &["security"], bundle.payload())
}
