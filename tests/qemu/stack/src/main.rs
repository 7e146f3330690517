//! Paints the stack, runs (a) the verifier on a head, (b) a boot that moves a release in and (c) a whole update with
//! an owner's document and a root link, on flash in RAM, and says how deep each went.
//! Launched by `cargo xtask sizes`, which puts the bundles there.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::ptr;
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use patchlane_device::evidence::{Authentic, Facts, Received};
use patchlane_device::protocol::bundle::LINK_PREFIX;
use patchlane_device::protocol::link::{Command, Deframer, Outcome, Reply};
use patchlane_device::protocol::{
    self, DeviceId, FeaturePolicy, GroupId, Header, Policy, PublicKey, SecurityPolicy, Version, Writer,
    limits,
};
use patchlane_device::rules::{Consent, Failures, Situation, Standing};
use patchlane_device::service::{GrantNothing, OUT};
use patchlane_device::*;

const ROOT: &[u8] = include_bytes!(concat!(env!("INPUTS"), "/root"));
const OLD: &[u8] = include_bytes!(concat!(env!("INPUTS"), "/old"));
const NEW: &[u8] = include_bytes!(concat!(env!("INPUTS"), "/new"));
const ANCHOR: &[u8; 32] = include_bytes!(concat!(env!("INPUTS"), "/anchor"));
const POLICY: &[u8] = include_bytes!(concat!(env!("INPUTS"), "/policy"));
const IMAGE: &[u8] = include_bytes!(concat!(env!("INPUTS"), "/image"));

const STATE: u32 = 8 * 4096;
const SLOT: u32 = 2 * 4096;
const LENGTH: usize = (STATE + 2 * SLOT + 4096) as usize;
static mut FLASH: [u8; LENGTH] = [0; LENGTH];
static mut MACHINE: core::mem::MaybeUninit<Machine> = core::mem::MaybeUninit::uninit();

/// Flash in RAM.
struct Ram;
type Machine = Device<Single<Ram>>;

fn cells(at: u32, length: usize) -> &'static mut [u8] {
    if at as usize + length > LENGTH {
        fail("out of bounds");
    }
    // SAFETY: inside FLASH (checked above); one thread, and no two of these live at once.
    unsafe { core::slice::from_raw_parts_mut((&raw mut FLASH).cast::<u8>().add(at as usize), length) }
}

impl ErrorType for Ram {
    type Error = NorFlashErrorKind;
}
impl ReadNorFlash for Ram {
    const READ_SIZE: usize = 1;
    fn read(&mut self, at: u32, into: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        into.copy_from_slice(cells(at, into.len()));
        Ok(())
    }
    fn capacity(&self) -> usize {
        LENGTH
    }
}
impl NorFlash for Ram {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;
    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        cells(from, (to - from) as usize).fill(0xff);
        Ok(())
    }
    fn write(&mut self, at: u32, from: &[u8]) -> Result<(), NorFlashErrorKind> {
        cells(at, from.len()).copy_from_slice(from);
        Ok(())
    }
}

fn layout() -> Layout {
    let place = |offset, length| Place::of::<Ram>(offset, length);
    let layout = Layout::on_one(place(0, STATE), place(STATE, SLOT), place(STATE + SLOT, SLOT + 4096));
    layout.unwrap_or_else(|_| fail("layout"))
}

#[inline(never)]
fn place() -> &'static mut Machine {
    let config = Config { address: None, soak: 0, fenced: false };
    let layout = layout();
    // SAFETY: whoever calls again has dropped what it got before.
    let machine = unsafe { &mut *ptr::addr_of_mut!(MACHINE) };
    machine.write(Device::new(layout, config, Single::new(Ram, layout), NoWatchdog, NoCounter))
}

/// Manifest and signatures of a bundle.
fn head(bundle: &'static [u8]) -> (&'static [u8], &'static [u8]) {
    let Ok(header) = Header::parse(&bundle[..Header::WIDTH]) else { fail("header") };
    let mut rest = &bundle[Header::WIDTH..];
    for _ in 0..header.links {
        let length = usize::from(u16::from_le_bytes([rest[0], rest[1]]));
        rest = &rest[LINK_PREFIX + length..];
    }
    let (manifest, rest) = rest.split_at(usize::from(header.manifest));
    (manifest, &rest[..usize::from(header.signatures)])
}

/// Signatures first, then the rules: so they don't stand on the stack at the same time.
fn verify() {
    let (manifest, signatures) = head(NEW);
    match Authentic::of(manifest, signatures, ROOT) {
        Ok(authentic) => judge(manifest, signatures, &authentic),
        Err(_) => fail("verify"),
    }
}

#[inline(never)]
fn judge(manifest: &[u8], signatures: &[u8], authentic: &Authentic) {
    let layout = layout();
    let facts = Facts {
        hardware: 1,
        v: Standing { version: Version::new(4, 1, 7), images: protocol::Digest([0; 32]), damaged: false },
        on: Situation { policy: Policy::DEFAULT, anchored: false, runs: true, consent: Consent::None },
        failures: &Failures::default(),
        primary: layout.slot(Region::Primary, false, None),
        secondary: layout.slot(Region::Secondary, false, None),
    };
    let received = Received::parse(manifest, signatures);
    match received.and_then(|received| received.recall(authentic)?.permit(&facts)) {
        Ok(permitted) if patchlane_device::verify::sha256(IMAGE) == permitted.image().digest => {}
        _ => fail("judge"),
    }
}

static mut COMMAND: [u8; limits::FRAME] = [0; limits::FRAME];
static mut OUTPUT: [u8; OUT] = [0; OUT];
static mut FRAMES: Deframer = Deframer::new();

/// Serves one command of the link; the offset wanted next, if the transfer goes on. Frames lie outside the stack.
#[inline(never)]
fn serve(machine: &mut Machine, command: &Command<'_>) -> Option<u32> {
    // SAFETY: one thread, and no two of these live at once.
    let (content, out, frames) =
        unsafe { (&mut *(&raw mut COMMAND), &mut *(&raw mut OUTPUT), &mut *(&raw mut FRAMES)) };
    let mut writer = Writer::new(content);
    if command.write(&mut writer).is_err() {
        fail("command");
    }
    let served = machine.serve(writer.finish(), &mut GrantNothing, out);
    for byte in served.frame {
        match frames.push(*byte).map(|content| content.map(Reply::parse)) {
            Ok(None) => {}
            Ok(Some(Ok(Reply::Want(offset)))) => return Some(offset),
            Ok(Some(Ok(Reply::Outcome(Outcome::Staged | Outcome::Done)))) => return None,
            _ => break,
        }
    }
    fail("reply")
}

/// Takes the bundle, and the root link in it, frame by frame.
#[inline(never)]
fn receive() {
    let machine = place();
    let mut want = serve(machine, &Command::Begin);
    let mut sent = 0;
    while let Some(offset) = want {
        let rest = &NEW[offset as usize..];
        let bytes = &rest[..rest.len().min(limits::FRAME_DATA)];
        sent += bytes.len();
        want = serve(machine, &Command::Data { offset, bytes });
    }
    // Who takes deltas takes the one that is there.
    if (sent < IMAGE.len()) != cfg!(feature = "delta") {
        fail("payload");
    }
    if machine.engine().state().map(|state| state.root.version) != Some(2) {
        fail("link");
    }
}

/// Takes a document of the owner's.
#[inline(never)]
fn obey() {
    let machine = place();
    let wants = serve(machine, &Command::Owner(POLICY));
    if wants.is_some() || machine.engine().state().map(|state| state.serial) != Some(1) {
        fail("owner");
    }
}

#[inline(never)]
fn allow() {
    if place().window(Window::Open).is_err() {
        fail("window");
    }
}

/// A bootloader's part: the new release is moved in.
#[inline(never)]
fn install() {
    if place().boot_only(Cause::Requested) != Ok(Boot::Run(Running::Trial)) {
        fail("boot");
    }
}

#[inline(never)]
fn confirm() {
    if place().confirm().is_err() || cells(STATE, IMAGE.len()) != IMAGE {
        fail("confirm");
    }
}

/// Service mode's part of an update, with a restart before each step.
fn take() {
    obey();
    receive();
    allow();
}

fn provision() {
    let (manifest, signatures) = head(OLD);
    cells(0, LENGTH).fill(0xff);
    // The old release's image is the new one's, a byte shorter.
    cells(STATE, IMAGE.len() - 1).copy_from_slice(&IMAGE[..IMAGE.len() - 1]);
    let policy = Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Never };
    let anchor = Some(PublicKey::ed25519(*ANCHOR));
    let factory = Factory {
        device: DeviceId([1; 16]),
        hardware: 1,
        group: GroupId(0),
        policy,
        anchor,
        production: true,
    };
    if place().provision(ROOT, manifest, signatures, factory).is_err() {
        fail("provision");
    }
}

const PAINT: u32 = 0x5aa5_c33c;
const PAINTED: usize = 64 * 1024;

/// How deep `work` goes, in bytes.
#[inline(never)]
fn depth(work: fn()) -> usize {
    let mark = 0u32;
    let top = (&raw const mark as usize & !3) - 128;
    for at in (top - PAINTED..top).step_by(4) {
        // SAFETY: below the stack pointer, on a stack that nothing else uses.
        unsafe { ptr::write_volatile(at as *mut u32, PAINT) };
    }
    work();
    // SAFETY: the same words, read only.
    let untouched = (top - PAINTED..top)
        .step_by(4)
        .take_while(|at| unsafe { ptr::read_volatile(*at as *const u32) } == PAINT);
    PAINTED - untouched.count() * 4 + 128
}

fn run() -> ! {
    provision();
    let (verify, take, boot, confirm) = (depth(verify), depth(take), depth(install), depth(confirm));
    let _ = writeln!(Out, "stack {verify} {boot} {}", take.max(boot).max(confirm));
    end()
}

fn fail(what: &str) -> ! {
    let _ = writeln!(Out, "failed: {what}");
    end()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(Out, "failed: {info}");
    end()
}

struct Out;

#[cfg(target_arch = "arm")]
mod machine {
    use core::arch::{asm, naked_asm};

    #[unsafe(no_mangle)]
    extern "C" fn reset() -> ! {
        super::run()
    }

    #[unsafe(no_mangle)]
    #[unsafe(naked)]
    extern "C" fn hang() -> ! {
        naked_asm!("b .")
    }

    fn call(operation: usize, argument: usize) {
        // SAFETY: semihosting, which QEMU answers.
        unsafe { asm!("bkpt #0xab", inout("r0") operation => _, in("r1") argument) };
    }

    pub(crate) fn put(byte: u8) {
        call(3, &raw const byte as usize);
    }

    pub(crate) fn end() -> ! {
        call(0x18, 0x2_0026);
        loop {}
    }
}

#[cfg(target_arch = "riscv32")]
mod machine {
    use core::arch::naked_asm;

    #[unsafe(no_mangle)]
    #[unsafe(naked)]
    #[unsafe(link_section = ".text.reset")]
    extern "C" fn reset() -> ! {
        naked_asm!("la sp, _stack_top", "j {0}", sym start)
    }

    extern "C" fn start() -> ! {
        super::run()
    }

    pub(crate) fn put(byte: u8) {
        // SAFETY: the UART of QEMU's virt machine.
        unsafe { core::ptr::write_volatile(0x1000_0000 as *mut u8, byte) };
    }

    pub(crate) fn end() -> ! {
        // SAFETY: the finisher of QEMU's virt machine ends the simulation.
        unsafe { core::ptr::write_volatile(0x10_0000 as *mut u32, 0x5555) };
        loop {}
    }
}

use machine::end;

impl Write for Out {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.bytes().for_each(machine::put);
        Ok(())
    }
}
