//! NOR flash in memory that is stricter than hardware and tears when power is cut, and a search over the cuts.
//!
//! For whoever has to show that a bootloader, a file system or a log survives power loss. Nothing here knows what runs
//! on the flash:
//!
//! * [`Bank`]: one flash. Aligned, erased before it is written, each word programmed once between erases; a word that a
//!   cut tore is spent until an erase completes. Copies share their pages until they change.
//! * [`Power`]: what feeds the banks of a device, when it fails ([`Cut`], [`When`]) and how torn words read then
//!   ([`Torn`]). Seeded: the same seed tears the same way.
//! * [`Search`]: runs a [`Subject`] once, then again from what each cut leaves, cuts those runs again, and stops where a
//!   state was judged before. A failure is a [`Case`]: a line of text that repeats it.
//! * `Nor` (feature `nor`): a bank as an `embedded-storage` driver, blocking and asynchronous.
//!
//! A counter of two words, that forgets what it counted if power fails at the wrong instant:
//!
//! ```
//! use patchlane_flash::{Bank, Left, Options, Power, Run, Search, Subject, Tape};
//!
//! #[derive(Clone)]
//! struct Flash(Bank);
//!
//! impl Left for Flash {
//!     fn bank(&mut self, _: usize) -> &mut Bank {
//!         &mut self.0
//!     }
//!     fn on(&self, power: &Power) -> Self {
//!         Self(self.0.on(power))
//!     }
//! }
//!
//! struct Counter;
//!
//! impl Subject for Counter {
//!     type Left = Flash;
//!     /// Factory state: the counter reads 1.
//!     fn begin(&self) -> Flash {
//!         let mut bank = Bank::new("counter", 4, 512, 512, &Power::default());
//!         bank.program(0, &[1; 4]);
//!         Flash(bank)
//!     }
//!     /// Power comes back, and the counter counts.
//!     fn perform(&self, mut left: Flash, power: &Power, run: &mut Run<'_, Flash>) -> Result<(), String> {
//!         power.restore();
//!         let mut word = [0; 4];
//!         left.0.read(0, &mut word).map_err(|_| "it can't be read")?;
//!         if word != [1; 4] && word != [2; 4] {
//!             return Err(format!("it reads {word:?}"));
//!         }
//!         let tape: Tape<Flash> = run.tape();
//!         tape.erase(&left, 0, 0, 512);
//!         let _ = left.0.erase(0, 512);
//!         tape.write(&left, 0, 0, &[2; 4]);
//!         let _ = left.0.write(0, &[2; 4]);
//!         Ok(())
//!     }
//! }
//!
//! let mut search = Search::new(&Counter);
//! search.explore(&Options::default());
//! let (case, problem) = &search.failures()[0];
//! assert!(problem.starts_with("it reads"));
//! // The line repeats it.
//! let case: patchlane_flash::Case = case.to_string().parse().unwrap();
//! assert_eq!(search.replay(&case).unwrap_err(), *problem);
//! ```

mod bank;
mod case;
#[cfg(feature = "nor")]
mod nor;
mod page;
mod power;
mod search;
mod tally;
mod tape;

pub use bank::{Bank, Failure};
pub use case::Case;
#[cfg(feature = "nor")]
pub use nor::{Failed, Nor};
pub use power::{Cut, Power, Torn, When, mix};
pub use search::{Options, Search, Subject};
pub use tally::{Fault, Tally};
pub use tape::{Left, Moment, Run, Tape};
