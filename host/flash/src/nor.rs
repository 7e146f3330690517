//! A bank of flash behind the `embedded-storage` traits, blocking and asynchronous.

use crate::{Bank, Failure, Power};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use embedded_storage_async::nor_flash as asynchronous;
use std::future::poll_fn;
use std::task::Poll;

/// What drivers answer; why doesn't matter to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed(pub Failure);

impl NorFlashError for Failed {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// The driver, with its geometry in its type.
#[derive(Debug, Clone)]
pub struct Nor<const WRITE: usize, const ERASE: usize>(pub Bank);

impl<const WRITE: usize, const ERASE: usize> Nor<WRITE, ERASE> {
    /// Erased flash of `length` bytes.
    pub fn new(name: &'static str, length: usize, power: &Power) -> Self {
        Self(Bank::new(name, WRITE, ERASE, length, power))
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for Nor<WRITE, ERASE> {
    type Error = Failed;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Nor<WRITE, ERASE> {
    const READ_SIZE: usize = 1;
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failed> {
        self.0.read(offset as usize, bytes).map_err(Failed)
    }
    fn capacity(&self) -> usize {
        self.0.length()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Nor<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;
    fn erase(&mut self, from: u32, to: u32) -> Result<(), Failed> {
        if to < from || !(to - from).is_multiple_of(ERASE as u32) {
            return Err(Failed(
                self.0.wrong(format!("an erase from {from:#x} to {to:#x} isn't of whole sectors")),
            ));
        }
        (from..to).step_by(ERASE).try_for_each(|at| self.0.erase(at as usize, ERASE).map_err(Failed))
    }
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failed> {
        self.0.write(offset as usize, bytes).map_err(Failed)
    }
}

/// Suspends once: an executor that never comes back is noticed.
async fn suspend() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<const WRITE: usize, const ERASE: usize> asynchronous::ReadNorFlash for Nor<WRITE, ERASE> {
    const READ_SIZE: usize = 1;
    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failed> {
        suspend().await;
        self.0.read(offset as usize, bytes).map_err(Failed)
    }
    fn capacity(&self) -> usize {
        self.0.length()
    }
}

impl<const WRITE: usize, const ERASE: usize> asynchronous::NorFlash for Nor<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;
    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Failed> {
        suspend().await;
        NorFlash::erase(self, from, to)
    }
    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failed> {
        suspend().await;
        self.0.write(offset as usize, bytes).map_err(Failed)
    }
}
