//! Semantic versions, as far as a patch level goes (semver.org 2.0.0, and Cargo's reading of 0.y.z).

/// `1.2.3-rc.1+build` as numbers and whether it is a pre-release.
fn parse(text: &str) -> Option<([u64; 3], bool)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, _build) = text.split_once('+').unwrap_or((text, ""));
    let (core, pre) = text.split_once('-').map_or((text, false), |(core, _)| (core, true));
    let mut parts = core.split('.').map(|part| {
        let plain = part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
        part.parse().ok().filter(|_| plain)
    });
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some((numbers, pre))
}

/// How far a version moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Only the patch level rose.
    Patch,
    /// More than the patch level moved, or it went back.
    More,
    /// One of them isn't a semantic version.
    Unknown,
}

/// How far it is from `old` to `new`.
pub(super) fn step(old: &str, new: &str) -> Step {
    let (Some((old, _)), Some((new, pre))) = (parse(old), parse(new)) else { return Step::Unknown };
    let ([a, b, c], [x, y, z]) = (old, new);
    // Of 0.0.z each is another interface.
    let patch = (a, b) == (x, y) && z > c && (x, y) != (0, 0) && !pre;
    if patch { Step::Patch } else { Step::More }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_levels_are_told_from_more() {
        assert_eq!(step("4.1.2", "4.1.3"), Step::Patch);
        assert_eq!(step("0.9.1", "0.9.2"), Step::Patch);
        for (old, new) in [
            ("4.1.3", "4.1.2"),
            ("4.1.2", "4.2.0"),
            ("0.0.1", "0.0.2"),
            ("1.0.0", "1.0.1-rc.1"),
            ("0.9.1", "0.10.0"),
        ] {
            assert_eq!(step(old, new), Step::More, "{old} {new}");
        }
        for (old, new) in [("4.1", "4.1.3"), ("4.01.2", "4.1.3"), ("R2", "R3"), ("1.2.3.4", "1.2.3.5")] {
            assert_eq!(step(old, new), Step::Unknown, "{old} {new}");
        }
    }
}
