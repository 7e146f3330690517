//! A bar on stderr for work that takes longer than a second, where someone watches.

use crate::output::tell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Before this nothing is drawn.
const PATIENCE: Duration = Duration::from_secs(1);
/// Characters of the bar.
const WIDTH: usize = 24;

/// Work under way.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    total: u64,
    wanted: bool,
    begun: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    /// Work of `total` steps. Nothing is drawn if `silent`, or if stderr isn't a terminal.
    pub fn new(what: &'static str, total: u64, silent: bool) -> Self {
        let wanted = !silent && std::io::stderr().is_terminal();
        Self { what, total: total.max(1), wanted, begun: Instant::now(), drawn: None }
    }

    /// So much is done.
    pub fn at(&mut self, done: u64) {
        let now = Instant::now();
        let recent = self.drawn.is_some_and(|drawn| now.duration_since(drawn) < Duration::from_millis(100));
        if !self.wanted || recent || now.duration_since(self.begun) < PATIENCE {
            return;
        }
        self.drawn = Some(now);
        tell(&format!("\r{}\u{1b}[K", line(self.what, done, self.total, now.duration_since(self.begun))));
    }
}

impl Drop for Progress {
    /// The terminal is left as it was.
    fn drop(&mut self) {
        if self.drawn.is_some() {
            tell("\r\u{1b}[K");
        }
    }
}

/// `sending  [=========>              ]  41 %, 12 s left`
fn line(what: &str, done: u64, total: u64, passed: Duration) -> String {
    let done = done.min(total);
    let part = |of: u64| usize::try_from(done.saturating_mul(of) / total).unwrap_or(0);
    let filled = part(WIDTH as u64);
    let bar = format!("{}>{}", "=".repeat(filled), " ".repeat(WIDTH - filled));
    let left = passed.as_secs_f64() * (total - done) as f64 / done.max(1) as f64;
    format!("{what}  [{bar}] {:3} %, {left:.0} s left", part(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_right_at_both_ends() {
        let second = Duration::from_secs(1);
        assert!(line("x", 0, 10, second).contains("  0 %"));
        assert_eq!(
            line("x", 5, 10, second),
            format!("x  [{}>{}]  50 %, 1 s left", "=".repeat(12), " ".repeat(12))
        );
        assert!(line("x", 11, 10, second).contains("100 %, 0 s left"));
    }
}
