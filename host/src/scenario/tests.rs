//! What is wrong with a scenario is an error that names it, not a step that does nothing.

use super::{CommitPoint, Scenario, Source, Step};
use crate::error::Code;

const HEAD: &str = "title = 't'\n[device]\nfirst = 'a'\nsecurity = 'off'\nfeature = 'never'\n";
const RELEASE: &str = "[release.a]\nlane = 'security'\nbaseline = '4.1'\nlevel = 7\nfirmware = 'f'\n";

fn with(step: &str) -> String {
    format!("{HEAD}{RELEASE}[[step]]\n{step}\n")
}

/// What is said, without its line; it has to be that of `[[step]]` or below.
fn wrong(step: &str) -> String {
    let error = Scenario::parse(&with(step)).unwrap_err();
    assert_eq!(error.code, Code::Malformed, "{step}: {error:?}");
    let (line, what) = error.what.strip_prefix("line ").unwrap().split_once(": ").unwrap();
    let line: usize = line.parse().unwrap();
    assert!((11..=11 + step.lines().count()).contains(&line), "{step}: line {line}");
    format!("{what} | {}", error.next)
}

#[test]
fn every_kind_of_step_reads_as_what_it_is() {
    let step = |text: &str| Scenario::parse(&with(text)).unwrap().step.remove(0);
    assert!(matches!(step("restart = true"), Step::Restart { cut: None }));
    let moving = step("restart = true\ncut = 'moving'");
    assert!(matches!(moving, Step::Restart { cut: Some(CommitPoint::Moving) }));
    let send = step("send = 'a'\ncut = 'receiving'\nanswer = 'ready'");
    assert!(matches!(send, Step::Send { cut: true, release, answer } if release == "a" && answer == "ready"));
    let approve = step("approve = 'a'\nserial = 3\nanswer = 'SerialSpent'");
    assert!(matches!(approve, Step::Approve { serial: 3, answer, .. } if answer == "SerialSpent"));
    assert!(matches!(step("status = { held = '' }"), Step::Status(e) if e.held.as_deref() == Some("")));
    assert!(matches!(step("ask = ':R'\nanswer = ':anything'"), Step::Ask { .. }));
    let scenario = Scenario::parse(&with("restart = true\n[[step]]\nrestart = true")).unwrap();
    assert_eq!(scenario.lines, [11, 13]);
}

#[test]
fn broken_steps_are_refused() {
    for (step, says) in [
        ("", "this step does nothing | give it one of send, approve, restart, status, ask"),
        ("answer = 'ready'", "this step does nothing"),
        (
            "send = 'a'\nrestart = true\nanswer = 'ready'",
            "two things: send and restart | make a step of each",
        ),
        ("send = 'a'", "`send` needs `answer` | add it"),
        ("ask = ':R0001'", "`ask` needs `answer`"),
        ("approve = 'a'\nanswer = 'done'", "`approve` needs `serial`"),
        (
            "restart = true\nanswer = 'ready'",
            "`answer` doesn't belong to `restart` | take it out; `restart` takes cut",
        ),
        (
            "status = { held = '' }\nserial = 1",
            "`serial` doesn't belong to `status` | take it out; `status` takes nothing else",
        ),
        ("restart = false", "`restart` is false | say true"),
        ("send = 'a'\ncut = 'moving'\nanswer = 'ready'", "power can't fail at `moving` in `send`"),
        ("restart = true\ncut = 'receiving'", "power can't fail at `receiving` in `restart`"),
        (
            "restart = true\ncut = 'movng'",
            "`cut` is \"movng\" | did you mean `moving`? There are: receiving,",
        ),
        ("send = 'b'\nanswer = 'ready'", "there is no release `b` | did you mean `a`?"),
        ("send = 'a'\nanswer = 'LosesFixes'", "no device answers `LosesFixes` | did you mean `LosesFix`?"),
        ("status = { instaled = '4.1 s7' }", "unknown key `instaled` | did you mean `installed`?"),
        ("status = { activity = 'idle' }", "no device does `idle` | did you mean `Idle`?"),
        ("status = {}", "`status` compares nothing"),
        ("reboot = true", "unknown key `reboot`"),
        ("restart = 'yes'", "`restart` is 'yes' | it has to be true or false"),
        (
            "approve = 'a'\nserial = -1\nanswer = 'done'",
            "`serial` is -1 | it has to be a whole number from 0",
        ),
    ] {
        assert!(wrong(step).contains(says), "{step}: {}", wrong(step));
    }
}

#[test]
fn broken_releases_and_devices_are_refused() {
    let told = |text: &str| {
        let error = Scenario::parse(text).unwrap_err();
        assert_eq!(error.code, Code::Malformed, "{text}");
        format!("{} | {}", error.what, error.next)
    };
    let step = "[[step]]\nrestart = true\n";
    let release = |keys: &str| told(&format!("{HEAD}[release.a]\n{keys}\n{step}"));
    let all = "lane = 'security'\nbaseline = '4.1'\nlevel = 7\nfirmware = 'f'";
    for (keys, says) in [
        (all.replace("level = 7\n", ""), "line 6: release `a` lacks `level`"),
        (all.replace("4.1", "4"), "a baseline is LINE.STEP"),
        (all.replace("4.1", "4.99999"), "isn't a number up to 65535"),
        (all.replace("'security'", "'securty'"), "line 7: `lane` is \"securty\" | did you mean `security`?"),
        (all.replace("lane", "lain"), "unknown key `lain` | did you mean `lane`?"),
        (format!("{all}\nbundle = 'a.plb'"), "release `a` is a bundle file and described as well"),
        ("bundle = 'a.plb'\npayload = false".to_owned(), "is a bundle file and described as well"),
        (String::new(), "lacks `lane`, `baseline`, `level`, `firmware` | add it, or name a `bundle`"),
    ] {
        assert!(release(&keys).contains(says), "{keys}: {}", release(&keys));
    }
    let bundle = format!("{HEAD}[release.a]\nbundle = 'a.plb'\n{step}");
    let read = Scenario::parse(&bundle).unwrap();
    assert!(matches!(&read.release["a"].source, Source::Bundle(path) if path.as_os_str() == "a.plb"));
    let other = with("restart = true").replace("'off'", "'sometimes'");
    assert!(told(&other).contains("line 4: `security` is \"sometimes\""), "{}", told(&other));
    let first = with("restart = true").replace("first = 'a'", "first = 'aa'");
    assert!(
        told(&first).contains("line 2: there is no release `aa` | did you mean `a`?"),
        "{}",
        told(&first)
    );
    assert!(told(&format!("{HEAD}{RELEASE}")).contains("`step` is missing"));
    assert!(told(&format!("step = []\n{HEAD}{RELEASE}")).contains("has no [[step]]"));
    assert!(told("not TOML").starts_with("line 1: "));
    assert!(told("").contains("`title` is missing"));
}

#[test]
fn what_can_go_together_is_said() {
    let step = "[[step]]\nrestart = true\n";
    let mixed = format!("{HEAD}{RELEASE}[release.b]\nbundle = 'b.plb'\n{step}");
    let error = Scenario::parse(&mixed).unwrap().has_files().unwrap_err();
    assert!(error.what.contains("no root trusts both"), "{error:?}");
    let rooted = with("restart = true").replace("first", "root = 'r.plr'\nfirst");
    assert!(Scenario::parse(&rooted).unwrap().has_files().unwrap_err().what.contains("has a root"));
    assert_eq!(Scenario::parse(&with("restart = true")).unwrap().has_files(), Ok(false));
}
