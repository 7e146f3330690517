//! embassy-boot under the same power cuts: `cargo xtask cuts --embassy`.
//!
//! An application stages an image, asks for the swap, and either says that it booted or doesn't, so that the next start
//! takes it back. After each cut an operator goes on until that is done. No signature is checked: only power is of interest.

use embassy_boot::{
    AlignedBuffer, BlockingFirmwareUpdater, BootLoader, BootLoaderConfig, FirmwareUpdaterConfig, State,
};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use patchlane_flash::{Bank, Failed, Left, Options, Power, Run, Search, Subject, Tape, Torn, mix};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

const WORD: usize = 8;
const PAGE: usize = 4096;
const PAGES: usize = 3;
/// Bytes that are moved at once, as patchlane does.
const IO: usize = 512;
/// Starts that may fail in a row, with power on, before the device counts as stuck.
const STARTS: u32 = 5;
const PATIENCE: u32 = 60;

/// Active, DFU and state.
#[derive(Debug, Clone)]
struct Chips {
    banks: [Bank; 3],
    /// True once the new image was seen to run.
    seen: bool,
}

impl Left for Chips {
    fn bank(&mut self, bank: usize) -> &mut Bank {
        &mut self.banks[bank]
    }
    fn on(&self, power: &Power) -> Self {
        Self { banks: self.banks.each_ref().map(|bank| bank.on(power)), ..self.clone() }
    }
}

/// One of the three, as a driver.
struct Flash {
    chips: Rc<RefCell<Chips>>,
    tape: Tape<Chips>,
    bank: usize,
}

impl ErrorType for Flash {
    type Error = Failed;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failed> {
        self.chips.borrow_mut().banks[self.bank].read(offset as usize, bytes).map_err(Failed)
    }
    fn capacity(&self) -> usize {
        self.chips.borrow().banks[self.bank].length()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;
    fn erase(&mut self, from: u32, to: u32) -> Result<(), Failed> {
        for at in (from as usize..to as usize).step_by(PAGE) {
            self.tape.erase(&self.chips.borrow(), self.bank, at, PAGE);
            self.chips.borrow_mut().banks[self.bank].erase(at, PAGE).map_err(Failed)?;
        }
        Ok(())
    }
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failed> {
        self.tape.write(&self.chips.borrow(), self.bank, offset as usize, bytes);
        self.chips.borrow_mut().banks[self.bank].write(offset as usize, bytes).map_err(Failed)
    }
}

fn image(seed: u64) -> Vec<u8> {
    (0..(PAGES * PAGE) as u64).map(|i| mix(seed << 32 | i) as u8).collect()
}

/// What is judged.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    stuck: u64,
    mixed: u64,
    twice: u64,
}

struct Updater {
    old: Vec<u8>,
    new: Vec<u8>,
    /// True if the new image never says that it booted.
    reverts: bool,
    lenient: bool,
    counts: Cell<Counts>,
}

impl Updater {
    fn new(reverts: bool, lenient: bool) -> Self {
        Self { old: image(1), new: image(2), reverts, lenient, counts: Cell::default() }
    }

    /// Bootloader, then application; true when all is done.
    fn round(&self, chips: &Rc<RefCell<Chips>>, tape: &Tape<Chips>) -> Result<bool, Trouble> {
        let flash = |bank| Flash { chips: chips.clone(), tape: tape.clone(), bank };
        let mut buffer = AlignedBuffer([0; IO]);
        let mut loader =
            BootLoader::new(BootLoaderConfig { active: flash(0), dfu: flash(1), state: flash(2) });
        loader.prepare_boot(&mut buffer.0).map_err(|_| Trouble::Start)?;
        let active = chips.borrow().banks[0].contents(0, PAGES * PAGE);
        if active != self.old && active != self.new {
            return Err(Trouble::Mixed);
        }
        let mut word = AlignedBuffer([0; WORD]);
        let config = FirmwareUpdaterConfig { dfu: flash(1), state: flash(2) };
        let mut updater = BlockingFirmwareUpdater::new(config, &mut word.0);
        let state = updater.get_state().map_err(|_| Trouble::Application)?;
        if active == self.new {
            chips.borrow_mut().seen = true;
            if self.reverts {
                return Ok(false);
            }
            if state == State::Swap {
                updater.mark_booted().map_err(|_| Trouble::Application)?;
            }
            return Ok(true);
        }
        if self.reverts && chips.borrow().seen {
            return Ok(true);
        }
        for (number, piece) in self.new.chunks(IO).enumerate() {
            updater.write_firmware(number * IO, piece).map_err(|_| Trouble::Application)?;
        }
        updater.mark_updated().map_err(|_| Trouble::Application)?;
        Ok(false)
    }

    fn live(&self, chips: Chips, power: &Power, tape: &Tape<Chips>) -> Result<(), Trouble> {
        let (chips, mut failing, mut done) = (Rc::new(RefCell::new(chips)), 0, false);
        for _ in 0..PATIENCE {
            power.restore();
            match self.round(&chips, tape) {
                // It has to be so after one more start, too.
                Ok(true) if done => return Ok(()),
                Ok(all) => (done, failing) = (all, 0),
                Err(Trouble::Mixed) => return Err(Trouble::Mixed),
                Err(_) if power.is_off() => {}
                Err(Trouble::Start) if failing < STARTS => failing += 1,
                Err(Trouble::Start) => return Err(Trouble::Start),
                Err(Trouble::Application) => {}
            }
        }
        Err(Trouble::Application)
    }
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The bootloader fails, at every start.
    Start,
    /// What is to boot is neither old nor new.
    Mixed,
    /// The application gets nowhere.
    Application,
}

impl Subject for Updater {
    type Left = Chips;
    fn begin(&self) -> Chips {
        let power = Power::default();
        let bank = |name, pages| {
            let bank = Bank::new(name, WORD, PAGE, pages * PAGE, &power);
            if self.lenient { bank.lenient() } else { bank }
        };
        let mut active = bank("active", PAGES);
        active.program(0, &self.old);
        Chips { banks: [active, bank("dfu", PAGES + 1), bank("state", 1)], seen: false }
    }
    fn perform(&self, chips: Chips, power: &Power, run: &mut Run<'_, Chips>) -> Result<(), String> {
        let result = self.live(chips, power, &run.tape());
        let mut counts = self.counts.get();
        counts.stuck += u64::from(matches!(result, Err(Trouble::Start | Trouble::Application)));
        counts.mixed += u64::from(result == Err(Trouble::Mixed));
        counts.twice += u64::from(!power.violations().is_empty());
        self.counts.set(counts);
        result.map_err(|trouble| format!("{trouble:?}"))
    }
}

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    println!(
        "embassy-boot 0.7.0: words of {WORD} bytes, {PAGES} pages of {PAGE}; every cut, one pair of operations in eight\n"
    );
    println!(
        "{:<10} {:<8} {:<10} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "flash", "then", "torn reads", "cases", "stuck", "mixed", "twice", "panics"
    );
    for lenient in [false, true] {
        for reverts in [false, true] {
            for torn in Torn::ALL {
                let updater = Updater::new(reverts, lenient);
                let mut search = Search::new(&updater);
                search.explore(&Options { torn: vec![torn], seeds: 8, pairs: 8, ..Options::default() });
                let (counts, flash) = (updater.counts.get(), if lenient { "lenient" } else { "write-once" });
                let (then, cases) = (if reverts { "revert" } else { "confirm" }, search.tally().cases());
                let Counts { stuck, mixed, twice } = counts;
                println!(
                    "{flash:<10} {then:<8} {:<10} {cases:>8} {stuck:>8} {mixed:>8} {twice:>8} {:>8}",
                    torn.name(),
                    // What failed without a verdict of ours.
                    search.failed().saturating_sub(stuck + mixed)
                );
            }
        }
    }
}
