//! `simulate`: scenarios played, swept and replayed; and what is no scenario.

use super::desk::Desk;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A desk with the example, and a scenario that a cut changes: a patch goes in, and what was sent away is taken.
fn started(name: &str) -> Desk {
    let desk = Desk::new(name);
    let example = desk.ok("simulate --example");
    std::fs::write(desk.path("story.toml"), example["example"].as_str().unwrap()).unwrap();
    std::fs::write(desk.path("busy.toml"), busy()).unwrap();
    desk
}

fn busy() -> String {
    let release = |name: &str, lane: &str, baseline: &str, level: u8| {
        format!(
            "[release.'{name}']\nlane = '{lane}'\nbaseline = '{baseline}'\nlevel = {level}\nfirmware = '{name}'\n"
        )
    };
    let releases = release("old", "security", "4.1", 7)
        + &release("fix", "security", "4.1", 8)
        + &release("new", "feature", "5.0", 8);
    format!(
        "title = 'A feature that comes while a patch waits is sent away'\n\
         [device]\nfirst = 'old'\nsecurity = 'apply-in-window'\nfeature = 'auto'\n{releases}\
         [[step]]\nsend = 'fix'\nanswer = 'ready'\n[[step]]\nsend = 'new'\nanswer = 'Busy'\n\
         [[step]]\nrestart = true\n[[step]]\nstatus = {{ installed = '4.1 s8' }}\n"
    )
}

/// What a command prints for people, with its exit code.
fn told(desk: &Desk, line: &str) -> (Option<i32>, String, String) {
    let out = desk.run(line);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

/// The scenarios of the repository, and of the help.
fn repository() -> Vec<PathBuf> {
    let host = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::fs::read_dir(host.join("../tests/scenarios")).unwrap().flatten().map(|e| e.path());
    let mut files: Vec<_> = folder.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.push(host.join("docs/scenario.toml"));
    assert!(files.len() >= 5, "{files:?}");
    files
}

#[test]
fn every_scenario_there_is_plays() {
    let desk = Desk::new("simulate-all");
    for file in repository() {
        let played = desk.ok(&format!("simulate {}", file.display()));
        let one = &played["scenarios"][0];
        assert!(one["steps"].as_array().unwrap().len() >= 7, "{one}");
        assert!(one["flash_operations"].as_u64().unwrap() > 50, "{one}");
        assert_eq!(one["power_cuts"], Value::Null);
    }
}

#[test]
fn a_timeline_says_each_step() {
    let desk = started("simulate-timeline");
    let (code, out, err) = told(&desk, "simulate story.toml");
    assert_eq!((code, err.as_str()), (Some(0), "1 scenario went as written.\n"), "{out}");
    let expected = "\
story.toml: The fix goes in at once; the feature waits for the owner
  flash   128 KiB slots, 4 KiB sectors, 4-byte words; as `patchlane init` writes it
  images  pseudo-random, 12188 bytes each

   #  step     what               runs    outcome
   1  send     5.0 s8 (feature)   4.1 s7  Held: is held until it is approved
   2  send     4.1 s8 (security)  4.1 s7  ready
      ~ power fails when half of it is sent; it comes back, and the bundle is sent again
   3  restart                     4.1 s8  took 4.1 s8 in
      ~ power fails while blocks are moved in; it comes back
   4  status                      4.1 s8  idle, holds 5.0 s8
   5  send     4.1 s7 (security)  4.1 s8  LosesFix: would lose a security fix
   6  approve  5.0 s8, serial 1   4.1 s8  done
   7  send     5.0 s8 (feature)   4.1 s8  ready
   8  restart                     5.0 s8  took 5.0 s8 in
   9  status                      5.0 s8  idle

as written: 9 steps, 2 power cuts, ";
    assert!(out.starts_with(expected), "{out}");
    assert!(out.ends_with(" flash operations; 5.0 s8 runs\n"), "{out}");
    assert!(!out.contains('\u{1b}'), "no colours into a pipe");
    let (_, coloured, _) = told(&desk, "simulate story.toml --color always");
    assert!(coloured.contains("\u{1b}[33m~ power fails"), "{coloured}");
    assert_eq!(told(&desk, "simulate story.toml"), (code, out, err), "the same twice");
}

#[test]
fn a_step_that_goes_otherwise_is_told_and_shown() {
    let desk = started("simulate-differs");
    std::fs::write(desk.path("bad.toml"), busy().replace("'Busy'", "'Held'")).unwrap();
    let what = desk.fails("simulate bad.toml", 1, "differs");
    assert_eq!(what, "step 2 (line 24): the answer is `Busy`, and should be `Held`");
    let (code, out, err) = told(&desk, "simulate story.toml bad.toml");
    assert_eq!(code, Some(1));
    assert!(out.contains("story.toml: ") && out.contains("\nas written: 9 steps"), "{out}");
    let row = "   2  send     new (5.0 s8, feature)           DIFFERS: the answer is `Busy`, and should be `Held`\n";
    assert!(out.contains(row) && out.ends_with("\ndiffers: step 2 (line 24)\n"), "{out}");
    assert!(err.starts_with("error: bad.toml step 2 (line 24): "), "{err}");
    for (from, to, what) in [
        ("4.1 s8", "4.1 s7", "installed is `4.1 s8`, and should be `4.1 s7`"),
        ("installed = '4.1 s8'", "superseded = true", "superseded is `false`, and should be `true`"),
        ("installed = '4.1 s8'", "activity = 'Trial'", "activity is `Idle`, and should be `Trial`"),
    ] {
        std::fs::write(desk.path("bad.toml"), busy().replace(from, to)).unwrap();
        assert_eq!(desk.fails("simulate bad.toml", 1, "differs"), format!("step 4 (line 29): {what}"));
    }
}

#[test]
fn junit_says_what_came_of_each_step_in_the_same_bytes() {
    let desk = started("simulate-junit");
    let name = "A <title> & \\\"quotes\\\"";
    let bad = busy()
        .replace("'Busy'", "'Held'")
        .replace("'A feature that comes while a patch waits is sent away'", &format!("\"{name}\""));
    std::fs::write(desk.path("bad.toml"), bad).unwrap();
    let out = desk.run("simulate story.toml bad.toml --junit report.xml");
    assert_eq!(out.status.code(), Some(1));
    let xml = std::fs::read_to_string(desk.path("report.xml")).unwrap();
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                <testsuites name=\"patchlane simulate\" tests=\"13\" failures=\"1\" errors=\"0\" skipped=\"2\">\n";
    assert!(xml.starts_with(head), "{xml}");
    assert!(xml.contains(
        "<testsuite name=\"A &lt;title&gt; &amp; &quot;quotes&quot;\" file=\"bad.toml\" tests=\"4\""
    ));
    let failure = "    <testcase classname=\"bad.toml\" name=\"2 send new (5.0 s8, feature)\">\n      \
                   <failure message=\"step 2 (line 24): the answer is `Busy`, and should be `Held`\" type=\"differs\">";
    assert!(xml.contains(failure), "{xml}");
    assert!(xml.contains("name=\"3 restart\">\n      <skipped/>"), "{xml}");
    let cases = xml.matches("<testcase ").count();
    assert_eq!((cases, xml.matches("</testcase>").count()), (13, 13));
    // An earlier report is replaced; anything else isn't.
    desk.run("simulate story.toml bad.toml --junit report.xml");
    assert_eq!(std::fs::read_to_string(desk.path("report.xml")).unwrap(), xml);
    let swept = desk.ok("simulate busy.toml --junit report.xml");
    assert_eq!(swept["junit"], "report.xml");
    desk.fails("simulate story.toml --junit story.toml", 3, "file-exists");
    desk.fails("simulate story.toml --junit nowhere/report.xml", 3, "missing-file");
    std::fs::create_dir(desk.path("folder")).unwrap();
    desk.fails("simulate story.toml --junit folder", 3, "file-access");
}

#[test]
fn a_sweep_cuts_power_at_every_operation_and_names_the_line_that_shows_it_again() {
    let desk = started("simulate-sweep");
    let swept = desk.ok("simulate story.toml --sweep");
    let one = &swept["scenarios"][0];
    assert_eq!(one["power_cuts"], one["flash_operations"]);
    let (_, out, _) = told(&desk, "simulate story.toml --sweep --points 7");
    assert!(
        out.contains("\npower cut at ") && out.ends_with("old or new, whole and verified, after each\n"),
        "{out}"
    );
    let few =
        desk.ok("simulate story.toml --sweep --points 7")["scenarios"][0]["power_cuts"].as_u64().unwrap();
    assert!((1..=7).contains(&few), "{few}");
    // The patch is whole when power fails, goes in as it comes back, and the feature isn't in its way any more.
    let (code, out, err) = told(&desk, "simulate busy.toml --sweep --junit report.xml");
    assert_eq!(code, Some(1), "{out}");
    let line = err.lines().find_map(|line| line.strip_prefix("  next: see it: patchlane ")).unwrap();
    assert!(line.starts_with("simulate busy.toml --replay 1:"), "{line}");
    let xml = std::fs::read_to_string(desk.path("report.xml")).unwrap();
    assert!(xml.contains("name=\"power cuts (") && xml.contains(line), "{xml}");
    std::fs::remove_file(desk.path("report.xml")).unwrap();
    let what = desk.fails(line, 1, "differs");
    assert!(what.starts_with("with power cut at flash operation "), "{what}");
    assert!(what.ends_with("step 4 (line 29): installed is `5.0 s8`, and should be `4.1 s8`"), "{what}");
    assert!(err.contains(&what), "the sweep said the same");
    let (_, out, _) = told(&desk, line);
    assert!(
        out.contains("      ~ power fails during flash operation ") && out.contains("has it already"),
        "{out}"
    );
    assert!(out.contains(" (not judged: the device is ahead of the story)"), "{out}");
    // The seed is the sweep's own unless it is said.
    let short = line.rsplit_once(':').unwrap().0;
    assert_eq!(desk.fails(short, 1, "differs"), what);
    let replayed = desk.ok("simulate busy.toml --replay 1:3");
    assert_eq!(replayed["scenarios"][0]["steps"][0]["cut_operation"], 3);
}

/// The scenario's own cut is told where it came, and only there.
#[test]
fn a_replay_tells_the_cuts_that_came() {
    let desk = started("simulate-cuts");
    let count = |line: &str| {
        let played = desk.ok(line);
        let steps = played["scenarios"][0]["steps"].as_array().unwrap().clone();
        (steps[2]["cut"].clone(), steps[2]["cut_operation"].clone())
    };
    assert_eq!(count("simulate story.toml"), ("moving".into(), Value::Null));
    let (_, _, err) = told(&desk, "simulate story.toml --replay 3:9999");
    let operations = err.split("it has ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let operations: u64 = operations.parse().unwrap();
    let told: Vec<_> =
        (0..operations).step_by(4).map(|at| count(&format!("simulate story.toml --replay 3:{at}"))).collect();
    assert_eq!(told[0], (Value::Null, 0.into()), "power fails before blocks are moved");
    let early = told.iter().take_while(|(cut, _)| cut.is_null()).count();
    assert!(early < told.len() && told[early..].iter().all(|(cut, _)| cut == "moving"), "{told:?}");
}

#[test]
fn a_replay_out_of_range_says_what_there_is() {
    let desk = started("simulate-replay");
    assert_eq!(desk.fails("simulate busy.toml --replay 5:0", 2, "usage"), "--replay: there is no step 5");
    let (_, _, err) = told(&desk, "simulate busy.toml --replay 1:4000");
    assert!(err.contains("step 1 has no flash operation 4000\n  next: it has "), "{err}");
    let (_, _, err) = told(&desk, "simulate busy.toml --replay 4:0");
    assert!(err.contains("next: it has none; --sweep finds"), "{err}");
    for wrong in ["0:1", "1", "1:", "a:1", "1:2:3:4", "1:2:4294967296", "-1:2", ""] {
        let out =
            desk.command().args(["simulate", "busy.toml", "--json", &format!("--replay={wrong}")]).output();
        assert_eq!(out.unwrap().status.code(), Some(2), "{wrong}");
    }
    desk.fails("simulate busy.toml story.toml --replay 1:0", 2, "usage");
    desk.fails("simulate busy.toml --sweep --replay 1:0", 2, "usage");
    desk.fails("simulate busy.toml --points 3", 2, "usage");
    desk.fails("simulate busy.toml --sweep --points 0", 2, "usage");
}

#[test]
fn bundle_files_are_judged_under_the_configurations_root() {
    let desk = Desk::signed("simulate-bundles");
    let scenario = "title = 'ours'\n[device]\nfirst = 'a'\nsecurity = 'apply-in-window'\nfeature = 'never'\n\
                    [release.a]\nbundle = 'a.plb'\n[release.b]\nbundle = 'b.plb'\n\
                    [release.bad]\nbundle = 'b.plb'\ndamage = 'signatures'\n\
                    [[step]]\nsend = 'bad'\nanswer = 'BadSignature'\n[[step]]\nsend = 'b'\nanswer = 'ready'\n\
                    [[step]]\nrestart = true\ncut = 'moving'\n[[step]]\nstatus = { installed = '4.1 s8' }\n";
    std::fs::write(desk.path("ours.toml"), scenario).unwrap();
    assert_eq!(desk.ok("simulate ours.toml")["scenarios"][0]["installed"], "4.1 s8");
    // The same from another folder, with the root named in the file: bundles and root lie beside the scenario.
    let rooted = scenario.replace("first", "root = 'trust/root-1.plr'\nfirst");
    std::fs::write(desk.path("rooted.toml"), rooted).unwrap();
    let elsewhere = Desk::new("simulate-elsewhere");
    let file = desk.path("rooted.toml");
    elsewhere.ok(&format!("simulate {}", file.display()));
    elsewhere.fails(&format!("simulate {}", desk.path("ours.toml").display()), 1, "no-trust-anchor");
    // Another product's root.
    elsewhere.ok("init --class valve");
    elsewhere.fails(&format!("simulate {}", desk.path("ours.toml").display()), 1, "refused");
    for (from, to, exit, code) in [
        ("'b.plb'", "'none.plb'", 3, "missing-file"),
        ("'b.plb'", "'a.bin'", 3, "malformed"),
        (
            "bundle = 'a.plb'",
            "lane = 'security'\nbaseline = '4.1'\nlevel = 7\nfirmware = 'x'",
            3,
            "malformed",
        ),
        ("4.1 s8", "4.1 s9", 3, "malformed"),
    ] {
        std::fs::write(desk.path("ours.toml"), scenario.replace(from, to)).unwrap();
        desk.fails("simulate ours.toml", exit, code);
    }
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin -o c.plb");
    std::fs::write(desk.path("ours.toml"), scenario.replace("'b.plb'", "'c.plb'")).unwrap();
    desk.fails("simulate ours.toml", 1, "not-enough-signatures");
}

#[test]
fn images_and_flash_are_taken_from_where_they_are_said_to_be() {
    let desk = Desk::new("simulate-images");
    let text = busy().replace("firmware = 'fix'", "firmware = 'fix.bin'");
    std::fs::write(desk.path("busy.toml"), &text).unwrap();
    // The name of a file isn't that of a pseudo-random image.
    desk.fails("simulate busy.toml", 3, "missing-file");
    std::fs::write(desk.path("fix.bin"), vec![7; 9000]).unwrap();
    let (code, out, _) = told(&desk, "simulate busy.toml");
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("  images  files: 1; pseudo-random, 12188 bytes each: 2\n"), "{out}");
    let flash = "[flash]\nwrite_size = 8\nerase_size = 2048\nstate = { offset = 0, size = 0x8000 }\n\
                 primary = { offset = 0x8000, size = 0x2000 }\nsecondary = { offset = 0x10000, size = 0x2800 }\n";
    std::fs::write(
        desk.path("busy.toml"),
        text.replace("[release.'old']", &format!("{flash}[release.'old']")),
    )
    .unwrap();
    let what = desk.fails("simulate busy.toml", 3, "image");
    assert_eq!(what, "release `fix` has an image of 9000 bytes, and the primary slot 8192");
    std::fs::write(desk.path("fix.bin"), vec![7; 8000]).unwrap();
    let (_, out, _) = told(&desk, "simulate busy.toml");
    assert!(out.contains("  flash   8 KiB slots, 2 KiB sectors, 8-byte words; the scenario's\n"), "{out}");
    let small = flash.replace("size = 0x2800", "size = 0x2000");
    std::fs::write(
        desk.path("busy.toml"),
        text.replace("[release.'old']", &format!("{small}[release.'old']")),
    )
    .unwrap();
    desk.fails("simulate busy.toml", 3, "config");
    // A product's own flash.
    std::fs::write(desk.path("busy.toml"), busy()).unwrap();
    desk.ok("init --board stm32f407 --class pump");
    let (code, out, err) = told(&desk, "simulate busy.toml");
    assert!(code == Some(0) && out.contains("patchlane.toml's\n"), "{out}{err}");
    std::fs::write(desk.path("patchlane.toml"), "[product]\n").unwrap();
    desk.fails("simulate busy.toml", 3, "config");
}

#[test]
fn what_is_no_scenario_is_refused_before_anything_is_played() {
    let desk = started("simulate-wrong");
    desk.fails("simulate none.toml", 3, "missing-file");
    desk.fails("simulate story.toml none.toml --junit report.xml", 3, "missing-file");
    for (name, text) in
        [("empty", ""), ("words", "not TOML\n"), ("binary", "\u{0}\u{1}"), ("list", "[[device]]\n")]
    {
        std::fs::write(desk.path("bad.toml"), text).unwrap();
        let what = desk.fails("simulate bad.toml", 3, "malformed");
        assert!(what.starts_with("line "), "{name}: {what}");
    }
    std::fs::write(desk.path("bad.toml"), [0xff, 0xfe, 0x00]).unwrap();
    desk.fails("simulate bad.toml", 3, "malformed");
    std::fs::create_dir(desk.path("folder.toml")).unwrap();
    desk.fails("simulate folder.toml", 3, "file-access");
    for (from, to, what) in [
        ("first =", "frist =", "line 3: unknown key `frist`"),
        ("send = 'fix'", "send = 'fxi'", "line 21: there is no release `fxi`"),
        (
            "send = 'fix'",
            "send = 'fix'\nrestart = true",
            "line 21: this step does two things: send and restart",
        ),
        ("restart = true", "restart = true\ncut = 'movng'", "line 29: `cut` is \"movng\""),
        ("'Busy'", "'busy'", "line 24: no device answers `busy`"),
        ("'4.1 s8'", "'4.1 s80'", "line 29: no release has the version `4.1 s80`"),
        ("baseline = '5.0'", "baseline = '5'", "a baseline is LINE.STEP, such as 4.12"),
        ("level = 7", "level = -7", "line 9: `level` is -7"),
    ] {
        std::fs::write(desk.path("bad.toml"), busy().replacen(from, to, 1)).unwrap();
        let told = desk.fails("simulate bad.toml", 3, "malformed");
        assert!(told.contains(what), "{told}");
    }
    std::fs::write(
        desk.path("bad.toml"),
        busy().replacen("restart = true", "restart = true\ncut = 'reverting'", 1),
    )
    .unwrap();
    let what = desk.fails("simulate bad.toml", 1, "differs");
    assert!(what.ends_with("the device never came to `reverting`"), "{what}");
}

#[test]
fn scenarios_and_bundles_keep_apart() {
    let desk = Desk::signed("simulate-apart");
    std::fs::write(desk.path("busy.toml"), busy()).unwrap();
    desk.fails("simulate busy.toml a.plb", 2, "usage");
    desk.fails("simulate a.plb busy.toml", 2, "usage");
    desk.fails("simulate", 2, "usage");
    desk.fails("simulate --example busy.toml", 2, "usage");
    for option in
        ["--approve", "--cut 3", "--root trust/root-1.plr", "--development", "--security-policy off"]
    {
        desk.fails(&format!("simulate busy.toml {option}"), 2, "usage");
    }
    for option in ["--sweep", "--replay 1:1", "--junit report.xml"] {
        desk.fails(&format!("simulate a.plb b.plb --development {option}"), 2, "usage");
    }
    // Power fails in the middle of the patch, wherever that is.
    let whole = desk.ok("simulate a.plb b.plb --development");
    let count = whole["bundles"][0]["flash_operations"].as_u64().unwrap();
    for cut in (0..count).step_by(9) {
        let cut = desk.ok(&format!("simulate a.plb b.plb --development --cut {cut}"));
        assert_eq!((&cut["installed"], &cut["image_sha256"]), (&whole["installed"], &whole["image_sha256"]));
        assert!(cut["events"].to_string().contains("fails during flash operation"), "{cut}");
    }
    desk.fails("simulate b.bin a.plb --development", 3, "malformed");
    desk.fails("simulate a.plb none.plb --development", 3, "missing-file");
    desk.fails("simulate a.plb b.plb", 1, "development-trust");
}
