//! The small device and the usual releases of the tests that replay findings.

use super::sweep::Geometry;
use super::sweep::uniform;
use super::world::{Release, factory, image};
use super::{SimDevice, Torn};
use patchlane_device::{Boot, Cause, Done, Running, Window};
use patchlane_protocol::{FeaturePolicy, Policy, Refusal, SecurityPolicy};

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
