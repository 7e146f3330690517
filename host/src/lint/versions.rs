//! How far a component's version moved, by the rules of whoever numbers it: a package URL says who that is.

use super::semver::{self, Step};
use std::cmp::Ordering;

/// Whose rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `[epoch:]upstream[-revision]`, compared as dpkg does (deb-version(7)).
    Debian,
    /// `[epoch:]version[-release]`, compared as rpm does (rpm-version(7)).
    Rpm,
    /// semver.org, and whoever doesn't say.
    Semantic,
}

impl Scheme {
    /// That of a component, by its package URL.
    pub(super) fn of(key: &str) -> Self {
        match key.strip_prefix("pkg:").and_then(|rest| rest.split_once('/')) {
            Some(("deb", _)) => Self::Debian,
            Some(("rpm", _)) => Self::Rpm,
            _ => Self::Semantic,
        }
    }

    /// What its versions are called.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Debian => "Debian",
            Self::Rpm => "RPM",
            Self::Semantic => "semantic",
        }
    }

    /// How far it is from `old` to `new`.
    ///
    /// A distribution that keeps what its upstream released, and patches that, counts a part of its own up: that is its
    /// patch level. Where the upstream's version moves, that has to be by its patch level.
    pub(super) fn step(self, old: &str, new: &str) -> Step {
        if self == Self::Semantic {
            return semver::step(old, new);
        }
        let (Some(old), Some(new)) = (self.parts(old), self.parts(new)) else { return Step::Unknown };
        let order = if self == Self::Debian { dpkg_order } else { rpm_order };
        let upstream = order(old.upstream, new.upstream);
        let rises = upstream.then_with(|| order(old.revision, new.revision)).is_lt();
        if old.epoch != new.epoch || !rises {
            return Step::More;
        }
        match upstream {
            Ordering::Equal => Step::Patch,
            // Before a release is another state of its work.
            _ if old.upstream.contains('~') || new.upstream.contains('~') => Step::More,
            _ => semver::step(old.upstream, new.upstream),
        }
    }

    fn parts(self, text: &str) -> Option<Parts<'_>> {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().ok()?, rest),
            None => (0, text),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        let others = if self == Self::Debian { "+.-~:" } else { "+._~^" };
        let letter = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
        let begins = upstream.starts_with(|c: char| c.is_ascii_digit()) || self == Self::Rpm;
        let sound = !upstream.is_empty() && begins && rest.chars().all(|c| letter(c) || c == '-');
        sound.then_some(Parts { epoch, upstream, revision })
    }
}

/// A distribution's version.
struct Parts<'t> {
    epoch: u32,
    upstream: &'t str,
    revision: &'t str,
}

/// A piece of a version; of two versions, the first pieces that differ decide, in this order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece<'t> {
    /// A tilde comes before everything, the end too.
    Tilde,
    /// Nothing more.
    End,
    /// A caret comes after the end only.
    Caret,
    /// A letter, by itself: dpkg compares letter by letter, and letters before signs.
    Letter(u32),
    /// Letters that belong together: rpm compares them as a word.
    Word(&'t str),
    /// Digits without zeros before them: the longer number is the greater one.
    Number(usize, &'t str),
}

/// Of the shorter one nothing more comes: what that is compared as is the scheme's.
fn compare(old: &[Piece<'_>], new: &[Piece<'_>], beyond: fn(usize) -> Piece<'static>) -> Ordering {
    for at in 0..old.len().max(new.len()) {
        let (old_end, new_end) = (beyond(at.saturating_sub(old.len())), beyond(at.saturating_sub(new.len())));
        let order = old.get(at).unwrap_or(&old_end).cmp(new.get(at).unwrap_or(&new_end));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn dpkg_order(old: &str, new: &str) -> Ordering {
    // Empty stretches and zeros in turn.
    compare(&dpkg(old), &dpkg(new), |more| if more % 2 == 0 { Piece::End } else { number("") })
}

fn rpm_order(old: &str, new: &str) -> Ordering {
    compare(&rpm(old), &rpm(new), |_| Piece::End)
}

fn number(digits: &str) -> Piece<'_> {
    let digits = digits.trim_start_matches('0');
    Piece::Number(digits.len(), digits)
}

/// The first characters of a kind, and the rest.
fn run(text: &str, of: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !of(c)).unwrap_or(text.len()))
}

/// Stretches without digits and numbers in turn. A number that isn't there is 0, and comes before every letter.
fn dpkg(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (letters, after) = run(rest, |c| !c.is_ascii_digit());
        pieces.extend(letters.chars().map(|c| match c {
            '~' => Piece::Tilde,
            c if c.is_ascii_alphabetic() => Piece::Letter(u32::from(c)),
            c => Piece::Letter(u32::from(c) + 256),
        }));
        // Where one stretch ends, the other one's next letter is compared with the end.
        pieces.push(Piece::End);
        let (digits, after) = run(after, |c| c.is_ascii_digit());
        pieces.push(number(digits));
        rest = after;
    }
    pieces
}

/// Words and numbers; what lies between them only separates.
fn rpm(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let (piece, after) = match first {
            '~' => (Some(Piece::Tilde), &rest[1..]),
            '^' => (Some(Piece::Caret), &rest[1..]),
            c if c.is_ascii_digit() => {
                let (digits, after) = run(rest, |c| c.is_ascii_digit());
                (Some(number(digits)), after)
            }
            c if c.is_ascii_alphabetic() => {
                let (word, after) = run(rest, |c| c.is_ascii_alphabetic());
                (Some(Piece::Word(word)), after)
            }
            c => (None, &rest[c.len_utf8()..]),
        };
        pieces.extend(piece);
        rest = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(table: &[(&str, &str, &str)], order: fn(&str, &str) -> Ordering) {
        for (old, sign, new) in table {
            let wanted = match *sign {
                "<" => Ordering::Less,
                "=" => Ordering::Equal,
                _ => Ordering::Greater,
            };
            assert_eq!(order(old, new), wanted, "{old} {sign} {new}");
            assert_eq!(order(new, old), wanted.reverse(), "{new} and {old}");
        }
    }

    /// As `dpkg --compare-versions` (1.21.22) has it, for upstream versions and revisions.
    #[test]
    fn debian_versions_are_ordered_as_dpkg_orders_them() {
        let table = [
            ("1.0~~", "<", "1.0~"),
            ("1.0~", "<", "1.0"),
            ("1.0~~a", "<", "1.0~"),
            ("1.0~rc1", "<", "1.0"),
            ("1.0", "=", "1."),
            ("1.0a", "<", "1.0b"),
            ("1.0a", "<", "1.0+"),
            ("1.0a", ">", "1.0"),
            ("1.0.1", ">", "1.0+1"),
            ("1.0", "<", "1.0.0"),
            ("1.01", "=", "1.1"),
            ("00001", "=", "1"),
            ("", "=", "0"),
            ("a", ">", "1"),
            ("1", "<", "1+deb12u4"),
            ("1~bpo12+1", "<", "1"),
            ("9+deb12u9", "<", "9+deb12u10"),
            ("1.2.3+dfsg", ">", "1.2.3"),
            ("20220101", "<", "99999999999999999999999"),
        ];
        ordered(&table, dpkg_order);
    }

    /// The program itself, where there is one, on versions that nobody thought of. `PATCHLANE_DPKG` says how many.
    #[test]
    fn dpkg_itself_agrees() {
        let compare = |old: &str, sign: &str, new: &str| {
            let mut dpkg = std::process::Command::new("dpkg");
            dpkg.args(["--compare-versions", old, sign, new]).status().map(|status| status.success())
        };
        if compare("1", "lt", "2").is_err() {
            return;
        }
        let count = std::env::var("PATCHLANE_DPKG").ok().and_then(|text| text.parse().ok()).unwrap_or(200u32);
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut version = |like: Option<&str>| {
            let mut text: Vec<char> = like.map_or_else(|| vec!['1'], |like| like.chars().collect());
            for _ in 0..if like.is_some() { 1 + random(2) } else { random(9) } {
                let letters: Vec<char> = "0011299abzAZ.+~".chars().collect();
                let at = 1 + random(text.len());
                text.insert(at, letters[random(letters.len())]);
            }
            text.into_iter().collect::<String>()
        };
        for _ in 0..count {
            let old = version(None);
            let new = version(Some(&old));
            let sign = match dpkg_order(&old, &new) {
                Ordering::Less => "lt",
                Ordering::Equal => "eq",
                Ordering::Greater => "gt",
            };
            assert!(compare(&old, sign, &new).unwrap(), "{old} isn't {sign} {new}, says dpkg");
        }
    }

    /// As rpm's own tests (tests/rpmvercmp.at) have it.
    #[test]
    fn rpm_versions_are_ordered_as_rpm_orders_them() {
        let table = [
            ("1.0", "<", "2.0"),
            ("2.0", "<", "2.0.1"),
            ("2.0.1a", ">", "2.0.1"),
            ("5.5p1", "<", "5.5p10"),
            ("10xyz", "<", "10.1xyz"),
            ("xyz10", "<", "xyz10.1"),
            ("xyz.4", "<", "8"),
            ("6.0.rc1", ">", "6.0"),
            ("10b2", ">", "10a1"),
            ("10a2", "<", "10b2"),
            ("1.0aa", ">", "1.0a"),
            ("10.0001", "=", "10.1"),
            ("10.0001", "<", "10.0039"),
            ("4.999.9", "<", "5.0"),
            ("20101121", "<", "20101122"),
            ("2_0", "=", "2.0"),
            ("1.0~rc1", "<", "1.0"),
            ("1.0~rc1", "<", "1.0~rc2"),
            ("1.0~rc1~git123", "<", "1.0~rc1"),
            ("1.0^", ">", "1.0"),
            ("1.0^git1", ">", "1.0"),
            ("1.0^git1", "<", "1.01"),
            ("1.0^20160101", "<", "1.0.1"),
            ("1.0^20160101^git1", "<", "1.0^20160102"),
            ("1.0~rc1^git1", ">", "1.0~rc1"),
            ("1.0^git1~pre", "<", "1.0^git1"),
        ];
        ordered(&table, rpm_order);
    }

    #[test]
    fn a_step_is_judged_by_the_rules_of_who_numbers_it() {
        for (key, old, new, step) in [
            ("pkg:deb/debian/cjson", "1.7.15-1", "1.7.15-1+deb12u4", Step::Patch),
            ("pkg:deb/debian/cjson", "1.7.15-1", "1.7.16-1", Step::Patch),
            ("pkg:deb/debian/cjson", "1.7.15-1", "1.8.0-1", Step::More),
            ("pkg:deb/debian/cjson", "1.7.15-1+deb12u4", "1.7.15-1", Step::More),
            ("pkg:deb/debian/cjson", "1.7.15-1", "1:1.7.15-2", Step::More),
            ("pkg:deb/debian/cjson", "1.7.15~rc1-1", "1.7.15-1", Step::More),
            ("pkg:deb/debian/cjson", "1.7.15-1", "1.7.15-1", Step::More),
            ("pkg:deb/debian/glibc", "2.36-9+deb12u9", "2.36-9+deb12u10", Step::Patch),
            ("pkg:deb/debian/glibc", "2.36-9", "2.37-1", Step::Unknown),
            ("pkg:deb/debian/x", "one-1", "two-1", Step::Unknown),
            ("pkg:deb/debian/x", "1.0 -1", "1.0-2", Step::Unknown),
            ("pkg:rpm/fedora/curl", "7.50.3-1.fc25", "7.50.3-2.fc25", Step::Patch),
            ("pkg:rpm/fedora/curl", "7.50.3-1.fc25", "7.50.4-1.fc25", Step::Patch),
            ("pkg:rpm/fedora/curl", "7.50.3-1.fc25", "7.51.0-1.fc25", Step::More),
            ("pkg:rpm/fedora/curl", "1:7.50.3-2", "1:7.50.3-1", Step::More),
            // What Debian means by this, cargo doesn't.
            ("pkg:cargo/cjson", "1.7.15-1", "1.7.15-1+deb12u4", Step::More),
            ("cjson", "1.7.15", "1.7.16", Step::Patch),
        ] {
            assert_eq!(Scheme::of(key).step(old, new), step, "{key} {old} {new}");
        }
    }
}
