//! Vectors for what an authentic manifest does to a device (SPEC §4.1, §4.3).

use super::fixtures::{feature, patch, version};
use super::mirror::{Manifest, Version, encode};
use super::{Expect, Vector};
use patchlane_protocol::Refusal;

fn confirmed() -> Manifest {
    let advisories = Vec::new();
    Manifest { version: version(4, 1, 7), advisories, ..feature() }
}

/// On a device of hardware revision 1 with `from` confirmed, `offered` does or meets `expect`.
fn meets(name: &'static str, from: &Manifest, offered: &Manifest, expect: Expect) -> Vector {
    let inputs = vec![("confirmed", encode(from)), ("offered", encode(offered))];
    Vector::judged(name, "judge", inputs, expect).with("hardware", 1).with("damaged", 0)
}

fn at(of: Manifest, version: Version) -> Manifest {
    Manifest { version, advisories: Vec::new(), ..of }
}

/// Derived transitions, and what isn't one.
pub fn vectors() -> Vec<Vector> {
    [derived(), refused()].concat()
}

fn derived() -> Vec<Vector> {
    let from = confirmed();
    let does =
        |name, offered: Manifest, transition| meets(name, &from, &offered, Expect::Transition(transition));
    let holey = at(patch(), Version { open: vec![3], ..version(4, 1, 7) });
    vec![
        does("judge-patch", patch(), "patch")
            .shows(&["M4.3", "M4.6", "M4.7"], "Same baseline, strictly more handled"),
        does("judge-patch-by-feature-update", at(feature(), version(4, 1, 8)), "patch")
            .shows(&["M4.6"], "Policy follows what is done, not what the bundle is called"),
        does("judge-feature-update", feature(), "feature-update")
            .shows(&["M4.6"], "A higher baseline, no fix lost"),
        does("judge-feature-update-at-same-level", at(feature(), version(5, 0, 7)), "feature-update")
            .shows(&["M4.6"], "Features alone don't need a fix"),
        does("judge-rollback", at(feature(), version(3, 9, 8)), "rollback")
            .shows(&["M4.6"], "A lower baseline keeps every fix, and needs consent under every policy"),
        Vector {
            settings: vec![("hardware", 1), ("damaged", 1)],
            ..does("judge-repair", from.clone(), "repair")
        }
        .shows(&["M4.8", "M4.6"], "A device whose image rotted gets the same release again"),
        meets("judge-patch-closes-open", &holey, &at(patch(), version(4, 1, 7)), Expect::Transition("patch"))
            .shows(&["M4.6"], "Strictly more at the same level: the overtaken fix arrives"),
        does(
            "judge-patch-with-new-open",
            at(patch(), Version { open: vec![8], ..version(4, 1, 9) }),
            "patch",
        )
        .shows(&["M4.5"], "9 overtakes 8: 8 was never handled, so nothing is lost"),
    ]
}

fn refused() -> Vec<Vector> {
    let from = confirmed();
    let no = |name, offered: Manifest, refusal| meets(name, &from, &offered, Expect::Refuse(refusal));
    let other = {
        let mut m = from.clone();
        m.components[0].images[0].digest = [9; 32];
        m
    };
    let elsewhere = {
        let mut m = from.clone();
        m.components[0].images[0].address = Some(0x0802_0000);
        m
    };
    let reopens = at(patch(), Version { open: vec![5], ..version(4, 1, 9) });
    vec![
        no("judge-same-version", from.clone(), Refusal::SameVersion)
            .shows(&["M4.8"], "Reinstalling what runs wears out flash"),
        Vector {
            settings: vec![("hardware", 1), ("damaged", 1)],
            ..no("judge-repair-with-other-image", other, Refusal::SameVersion)
        }
        .shows(&["M4.8"], "Damage must not let another image in under the same version"),
        Vector {
            settings: vec![("hardware", 1), ("damaged", 1)],
            ..no("judge-repair-at-other-address", elsewhere, Refusal::SameVersion)
        }
        .shows(&["M4.8"], "The same bytes linked for another place are another image"),
        Vector {
            settings: vec![("hardware", 1), ("damaged", 1)],
            ..no("judge-repair-by-patch", at(patch(), version(4, 1, 7)), Refusal::SameVersion)
        }
        .shows(&["M4.8"], "Repair needs both roles"),
        no("judge-older-level", at(patch(), version(4, 1, 6)), Refusal::LosesFix)
            .shows(&["M4.5"], "Replay of a genuine old release"),
        no("judge-newer-level-reopens-a-fix", reopens, Refusal::LosesFix)
            .shows(&["M4.5"], "A higher number isn't more: 5 was handled and would be lost"),
        no("judge-feature-update-loses-fix", at(feature(), version(5, 0, 6)), Refusal::LosesFix)
            .shows(&["M4.5"], "Hopping to a new line to lose a fix"),
        no("judge-rollback-loses-fix", at(feature(), version(3, 9, 6)), Refusal::LosesFix)
            .shows(&["M4.5", "M4.6"], "Hopping to an old line to lose a fix"),
        no("judge-patch-moves-line", at(patch(), version(5, 0, 8)), Refusal::PatchMovesFeature)
            .shows(&["M4.7"], "A stolen security key must not move features"),
        no("judge-patch-moves-step-down", at(patch(), version(4, 0, 8)), Refusal::PatchMovesFeature)
            .shows(&["M4.7"], "A stolen security key must not move features"),
        Vector {
            settings: vec![("hardware", 3), ("damaged", 0)],
            ..no("judge-wrong-hardware", patch(), Refusal::WrongHardware)
        }
        .shows(&["M4.3"], "Right key, wrong board"),
    ]
}
