//! The smallest integrations: `--features verify` only judges a head; without it, a whole bootloader and service link.
//! The flash is a RAM window, so no HAL is measured. Nothing here is meant to run.
#![no_std]
#![no_main]

use patchlane_device::*;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // If anything could panic, this symbol would be called by someone: `cargo xtask sizes` looks for its callers.
    unsafe extern "C" {
        fn patchlane_panic_reached() -> !;
    }
    // SAFETY: never linked: the linker fails if it is needed.
    unsafe { patchlane_panic_reached() }
}

#[cfg(feature = "verify")]
mod verify {
    use patchlane_device::evidence::{Authentic, Facts, Received};
    use patchlane_device::protocol::Refusal;

    /// Everything up to `Permitted`, and the digest of an image.
    #[inline(never)]
    pub fn judge(
        manifest: &[u8],
        signatures: &[u8],
        root: &[u8],
        facts: &Facts<'_>,
        image: &[u8],
    ) -> Result<bool, Refusal> {
        #[cfg(feature = "panics")]
        if manifest[image.len()] == 0 {
            return Ok(false);
        }
        let authentic = Authentic::of(manifest, signatures, root)?;
        let permitted = Received::parse(manifest, signatures)?.recall(&authentic)?.permit(facts)?;
        Ok(patchlane_device::verify::sha256(image) == permitted.image().digest)
    }
}

/// What the device's state says comes from its caller: only the judging is measured.
#[cfg(feature = "verify")]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.start")]
fn start(head: [&[u8]; 3], facts: &evidence::Facts<'_>, image: &[u8]) -> bool {
    let [manifest, signatures, root] = head;
    verify::judge(manifest, signatures, root, facts, image) == Ok(true)
}

#[cfg(not(feature = "verify"))]
mod whole {
    use super::*;
    use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
    #[cfg(not(feature = "boot"))]
    use patchlane_device::service::GrantNothing;
    use patchlane_device::service::OUT;

    /// Flash without a driver: three functions that someone else links.
    pub struct Window;

    unsafe extern "C" {
        safe fn window_read(at: u32, into: *mut u8, length: usize) -> bool;
        safe fn window_write(at: u32, from: *const u8, length: usize) -> bool;
        safe fn window_erase(from: u32, to: u32) -> bool;
    }

    fn done(ok: bool) -> Result<(), NorFlashErrorKind> {
        if ok { Ok(()) } else { Err(NorFlashErrorKind::Other) }
    }

    impl ErrorType for Window {
        type Error = NorFlashErrorKind;
    }
    impl ReadNorFlash for Window {
        const READ_SIZE: usize = 1;
        fn read(&mut self, at: u32, into: &mut [u8]) -> Result<(), NorFlashErrorKind> {
            done(window_read(at, into.as_mut_ptr(), into.len()))
        }
        fn capacity(&self) -> usize {
            1 << 20
        }
    }
    impl NorFlash for Window {
        const WRITE_SIZE: usize = 4;
        const ERASE_SIZE: usize = 4096;
        fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
            done(window_erase(from, to))
        }
        fn write(&mut self, at: u32, from: &[u8]) -> Result<(), NorFlashErrorKind> {
            done(window_write(at, from.as_ptr(), from.len()))
        }
    }

    type Machine = Device<Single<Window>>;

    fn layout() -> Result<Layout, LayoutError> {
        Layout::on_one(
            Place::of::<Window>(0, 0x8000),
            Place::of::<Window>(0x8000, 0x20000),
            Place::of::<Window>(0x28000, 0x21000),
        )
    }

    static mut MACHINE: core::mem::MaybeUninit<Machine> = core::mem::MaybeUninit::uninit();

    /// Makes the device where it stays: it is no guest of the stack.
    #[inline(never)]
    fn place() -> Option<&'static mut Machine> {
        let layout = layout().ok()?;
        let config = Config { address: None, soak: 0, fenced: true };
        // SAFETY: called once, before anything else runs.
        let machine = unsafe { &mut *core::ptr::addr_of_mut!(MACHINE) };
        Some(machine.write(Device::new(layout, config, Single::new(Window, layout), NoWatchdog, NoCounter)))
    }

    /// A bootloader: it verifies, swaps, reverts and falls back, and takes no bundles.
    #[cfg(feature = "boot")]
    #[inline(never)]
    pub fn boot(cause: Cause, _: &[u8], _: &mut [u8; OUT]) -> usize {
        let Some(machine) = place() else { return 0 };
        usize::from(matches!(machine.boot_only(cause), Ok(Boot::Run(_))))
    }

    /// A bootloader with service mode.
    #[cfg(not(feature = "boot"))]
    #[inline(never)]
    pub fn boot(cause: Cause, content: &[u8], out: &mut [u8; OUT]) -> usize {
        let Some(machine) = place() else { return 0 };
        match machine.boot(cause) {
            Ok(Boot::Run(_)) => 1,
            _ => machine.serve(content, &mut GrantNothing, out).frame.len(),
        }
    }
}

#[cfg(not(feature = "verify"))]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.start")]
fn start(cause: Cause, frame: &[u8], out: &mut [u8; patchlane_device::service::OUT]) -> usize {
    whole::boot(cause, frame, out)
}
