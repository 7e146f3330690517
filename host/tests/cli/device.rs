//! `device`: what happens between this machine and a device, over a real pty.

use super::bench::{Bench, GRANTS, Nature};
use super::desk::Desk;
use patchlane_protocol::status::Activity;
use serde_json::Value;

/// a.plb: 4.1 s7; b.plb: 4.1 s8; f.plb: 5.0 s8; old.plb: 5.0 s7.
fn desk(name: &str) -> Desk {
    let desk = Desk::signed(name);
    for (level, file) in [("8", "f.plb"), ("7", "old.plb")] {
        desk.ok(&format!("build feature --baseline 5.0 --level {level} --image b.bin -m More -o {file}"));
        desk.ok(&format!("sign {file}"));
    }
    desk
}

#[test]
fn a_patch_is_staged_applied_and_confirmed() {
    let desk = desk("dev-patch");
    let bench = Bench::provisioned(&desk, "a.plb", GRANTS);
    let pushed = bench.ok(&desk, "push b.plb");
    assert_eq!(pushed["outcome"], "staged");
    assert_eq!(pushed["next"], format!("patchlane device request apply b.plb --port {}", bench.port));
    let status = bench.ok(&desk, "status");
    assert_eq!((&status["activity"], &status["candidate"]), (&"staged".into(), &"4.1 s8".into()));
    bench.ok(&desk, "request apply b.plb");
    bench.ok(&desk, "reboot");
    assert_eq!(bench.ok(&desk, "status")["confirmed"], "4.1 s8");
    // Once more: nothing to do.
    let again = bench.fails(&desk, "push b.plb", 1, "refused");
    assert_eq!((&again["refusal"], &again["place"]), (&44.into(), &"b.plb".into()));
}

/// Push, held, approve, push, reboot, status: with the owner's key, over a line that loses frames both ways.
#[test]
fn a_held_update_is_approved_by_the_owner_over_a_noisy_line() {
    let desk = desk("dev-owner");
    desk.ok("key new owner.pem --development");
    desk.ok("key new thief.pem --development");
    let nature = Nature { grants: false, window: true, noise: Some(9), chatty: true, ..GRANTS };
    let owned = "a.plb --owner-key owner.pub --feature-policy owner-key --security-policy apply-in-window";
    let bench = Bench::provisioned(&desk, owned, nature);
    let quick = |line: &str| format!("--timeout 2 {line}");
    let held = bench.fails(&desk, &quick("push f.plb"), 1, "refused");
    assert_eq!(held["refusal"], 50);
    let next = held["next"].as_str().unwrap();
    assert!(next.starts_with("patchlane device approve f.plb --owner-key FILE --port"), "{next}");
    assert_eq!(bench.status().held.unwrap().release.version.to_string(), "5.0 s8");
    // Without the key, with another, with a spent serial: each has its own way on.
    let bare = bench.fails(&desk, &quick("approve f.plb"), 1, "refused");
    assert!(bare["next"].as_str().unwrap().contains("--owner-key FILE"), "{bare}");
    let thief = bench.fails(&desk, &quick("approve f.plb --owner-key thief.pem"), 1, "refused");
    assert_eq!(thief["refusal"], 65);
    // What the cable claims isn't signed for if it isn't the device on the label.
    let other = "approve f.plb --owner-key owner.pem --device-id 00112233445566778899aabbccddeeff";
    let other = bench.fails(&desk, &quick(other), 1, "refused");
    assert!(other["what"].as_str().unwrap().contains("nothing was signed"), "{other}");
    let own = format!("approve f.plb --owner-key owner.pem --device-id {}", bench.status().device);
    let approved = bench.ok(&desk, &quick(&own));
    assert_eq!((&approved["owner_serial"], bench.status().serial), (&1.into(), 1));
    let spent = bench.fails(&desk, &quick("approve f.plb --owner-key owner.pem --serial 1"), 1, "refused");
    assert_eq!(spent["refusal"], 66);
    let pushed = bench.ok(&desk, &quick("push f.plb"));
    assert!(matches!(pushed["outcome"].as_str(), Some("ready" | "staged")), "{pushed}");
    // Nobody grants a restart over this link: it is done at the device. A restart is asked for once, whatever the line does.
    let out = desk.run(&format!("device --port {} --timeout 1 reboot", bench.port));
    assert!(matches!(out.status.code(), Some(1 | 3)), "{out:?}");
    assert!(bench.damaged.load(std::sync::atomic::Ordering::Relaxed) >= 4, "the line was too good");
    let device = bench.unplug();
    let bench = Bench::plugged(device, Nature { noise: None, ..nature });
    let status = bench.ok(&desk, "status");
    assert_eq!((&status["confirmed"], &status["owner_serial"]), (&"5.0 s8".into(), &1.into()));
    assert_eq!(status["held"], Value::Null);
}

#[test]
fn a_held_update_is_approved_at_the_device() {
    let desk = desk("dev-local");
    let bench = Bench::provisioned(&desk, "a.plb", Nature { window: true, ..GRANTS });
    bench.fails(&desk, "push f.plb", 1, "refused");
    let approved = bench.ok(&desk, "approve f.plb");
    assert_eq!(approved["action"], "approve");
    assert_eq!(bench.ok(&desk, "push f.plb")["outcome"], "ready");
    bench.ok(&desk, "reboot");
    assert_eq!(bench.ok(&desk, "status")["confirmed"], "5.0 s8");
    // Back is a rollback, and never without approval; a patch of the old baseline isn't one.
    assert_eq!(bench.fails(&desk, "push b.plb", 1, "refused")["refusal"], 46);
}

#[test]
fn every_refusal_has_its_own_way_on() {
    let desk = desk("dev-refusals");
    let bench = Bench::provisioned(&desk, "a.plb", GRANTS);
    let next = |value: &Value| value["next"].as_str().unwrap_or_default().to_owned();
    bench.ok(&desk, "push b.plb");
    // A patch is staged: a feature update of equal level ranks below it, approved or not.
    bench.ok(&desk, "approve f.plb");
    let busy = bench.fails(&desk, "push f.plb", 1, "refused");
    assert_eq!(busy["refusal"], 54);
    assert!(next(&busy).contains("4.1 s8 goes first") && next(&busy).contains("request withdraw"), "{busy}");
    bench.ok(&desk, "request withdraw b.plb");
    assert_eq!(bench.status().activity, Activity::Idle);
    // What it names isn't there any more.
    let gone = bench.fails(&desk, "request apply b.plb", 1, "refused");
    assert!(next(&gone).contains("device status"), "{gone}");
    bench.fails(&desk, "request keep b.plb", 1, "refused");
    // Unsigned, foreign, made under a later root.
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin -o u.plb");
    bench.fails(&desk, "push u.plb", 1, "not-enough-signatures");
    let other = Desk::signed("dev-refusals-other");
    let toml = std::fs::read_to_string(other.path("patchlane.toml")).unwrap();
    std::fs::write(other.path("patchlane.toml"), toml.replace("hardware = [1]", "hardware = [2, 3]"))
        .unwrap();
    other.ok("build security --baseline 4.1 --level 9 --image b.bin -o h.plb");
    other.ok("sign h.plb");
    std::fs::copy(other.path("h.plb"), desk.path("foreign.plb")).unwrap();
    assert_eq!(bench.fails(&desk, "push foreign.plb", 1, "refused")["refusal"], 32);
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    std::fs::write(desk.path("patchlane.toml"), toml.replace("hardware = [1]", "hardware = [2, 3]")).unwrap();
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin -o h.plb");
    desk.ok("sign h.plb");
    let wrong = bench.fails(&desk, "push h.plb", 1, "refused");
    assert_eq!(
        next(&wrong),
        "it is for revision 2, 3, and the device is 1: choose the bundle for this board"
    );
    let status = bench.ok(&desk, "status");
    assert_eq!((&status["rejections"], &status["last_refusal"]), (&5.into(), &42.into()));
}

#[test]
fn policies_that_refuse_are_named() {
    let desk = desk("dev-policies");
    let bench = Bench::provisioned(&desk, "a.plb --security-policy notify --feature-policy never", GRANTS);
    let notify = bench.fails(&desk, "push b.plb", 1, "refused");
    assert!(notify["next"].as_str().unwrap().contains("security policy"), "{notify}");
    let never = bench.fails(&desk, "push f.plb", 1, "refused");
    assert!(never["next"].as_str().unwrap().contains("feature policy"), "{never}");
    assert_eq!(bench.ok(&desk, "status")["held"], "4.1 s8");
    // And can be changed: here, where there is no owner, by whoever the application grants it.
    assert!(notify["next"].as_str().unwrap().contains("device policy --security POLICY --port"), "{notify}");
    let set = bench.ok(&desk, "policy --security stage-only");
    assert_eq!((&set["security_policy"], &set["feature_policy"]), (&"stage-only".into(), &"never".into()));
    assert_eq!(bench.ok(&desk, "push b.plb")["outcome"], "staged");
    for (line, exit, code) in [
        ("policy", 2, "usage"),
        ("policy --security sometimes", 2, "usage"),
        ("policy --feature auto --owner-key none.pem", 3, "missing-file"),
        ("policy --feature auto --owner-key trust/development-root.pem", 1, "refused"),
    ] {
        bench.fails(&desk, line, exit, code);
    }
}

/// With an owner, only his word changes it.
#[test]
fn the_owner_sets_the_policy() {
    let desk = desk("dev-owner-policy");
    desk.ok("key new owner.pem --development");
    let bench = Bench::provisioned(&desk, "a.plb --owner-key owner.pub --feature-policy never", GRANTS);
    let never = bench.fails(&desk, "push f.plb", 1, "refused");
    assert!(never["next"].as_str().unwrap().contains("policy --feature POLICY --owner-key FILE"), "{never}");
    assert_eq!(bench.fails(&desk, "policy --feature local", 1, "refused")["refusal"], 65);
    assert_eq!(bench.ok(&desk, "policy --feature local --owner-key owner.pem")["owner_serial"], 1);
    assert_eq!(bench.ok(&desk, "status")["feature_policy"], "local");
    assert_eq!(bench.fails(&desk, "push f.plb", 1, "refused")["refusal"], 50);
}

/// A trial gives way to a patch: push restarts the device and sends it again, by itself.
#[test]
fn a_patch_ends_a_trial_by_itself() {
    let desk = desk("dev-trial");
    let soaking = Nature { soak: 5, window: true, ..GRANTS };
    let bench =
        Bench::provisioned(&desk, "a.plb --feature-policy auto --security-policy apply-in-window", soaking);
    assert_eq!(bench.ok(&desk, "push old.plb")["outcome"], "ready");
    bench.ok(&desk, "reboot");
    assert_eq!(bench.ok(&desk, "status")["activity"], "soak");
    // It would move the baseline of what soaks: it has to wait, and is told how.
    desk.ok("build feature --baseline 6.0 --level 8 --image b.bin -o six.plb");
    desk.ok("sign six.plb");
    let waits = bench.fails(&desk, "push six.plb", 1, "refused");
    assert!(
        waits["next"].as_str().unwrap().contains("5.0 s7 soaks: patchlane device request keep"),
        "{waits}"
    );
    desk.ok("build security --baseline 5.0 --level 8 --image b.bin -o five.plb");
    desk.ok("sign five.plb");
    assert_eq!(bench.ok(&desk, "push five.plb")["outcome"], "ready");
    assert_eq!(bench.status().confirmed.version.to_string(), "5.0 s7");
    // Where nobody grants a restart, that is what is asked for.
    let device = bench.unplug();
    let bench = Bench::plugged(device, Nature { grants: false, unsure: true, ..soaking });
    bench.fails(&desk, "reboot", 1, "refused");
}

#[test]
fn a_device_that_falls_silent_is_an_error_of_the_link_and_the_transfer_goes_on_later() {
    let desk = desk("dev-silent");
    let bench = Bench::provisioned(&desk, "a.plb", Nature { silent_after: Some(8), ..GRANTS });
    let silent = bench.fails(&desk, "--timeout 1 push b.plb", 3, "device-link");
    assert_eq!(
        (&silent["what"], &silent["place"]),
        (&"brings no answer within 1s".into(), &bench.port.as_str().into())
    );
    assert!(silent["next"].as_str().unwrap().contains("push it again"), "{silent}");
    bench.fails(&desk, "--timeout 1 status", 3, "device-link");
    bench.fails(&desk, "--timeout 1 approve b.plb", 3, "device-link");
    let device = bench.unplug();
    let bench = Bench::plugged(device, GRANTS);
    assert_eq!(bench.status().activity, Activity::Receiving);
    assert_eq!(bench.ok(&desk, "push b.plb")["outcome"], "staged");
}

#[test]
fn a_cable_that_is_pulled_is_noticed_at_once_and_costs_nothing() {
    let desk = desk("dev-pulled");
    let bench = Bench::provisioned(&desk, "a.plb", Nature { pulled_after: Some(10), ..GRANTS });
    let begun = std::time::Instant::now();
    bench.fails(&desk, "push b.plb", 3, "device-link");
    assert!(begun.elapsed().as_secs() < 15, "it waited for a device that is gone");
    let port = bench.port.clone();
    let device = bench.unplug();
    desk.fails(&format!("device --port {port} status"), 3, "device-link");
    let bench = Bench::plugged(device, GRANTS);
    assert_eq!(bench.ok(&desk, "push b.plb")["outcome"], "staged");
}

#[test]
fn ports_are_listed_and_asked() {
    let desk = desk("dev-list");
    let bench = Bench::provisioned(&desk, "a.plb", GRANTS);
    assert!(desk.ok("device list")["ports"].is_array());
    let asked = bench.ok(&desk, "list --probe");
    assert_eq!(
        (&asked["ports"][0]["answers"], &asked["ports"][0]["port"]),
        (&true.into(), &bench.port.as_str().into())
    );
    assert_eq!(asked["ports"][0]["device"]["confirmed"], "4.1 s7");
    let nobody = desk.ok("device --port /dev/null list --probe");
    assert_eq!(nobody["ports"][0]["answers"], false);
    desk.fails("device list --baud 0", 2, "usage");
    desk.fails("device list --probe --timeout 0", 2, "usage");
    desk.fails("device list b.plb", 2, "usage");
}

#[test]
fn misuse_of_device_is_told_before_the_port_is_touched() {
    let desk = desk("dev-misuse");
    std::fs::write(desk.path("noise.plb"), [7; 100]).unwrap();
    for (line, exit, code) in [
        ("device status", 2, "usage"),
        ("device reboot", 2, "usage"),
        ("device log", 2, "usage"),
        ("device push b.plb", 2, "usage"),
        ("device status --port /dev/nowhere", 3, "device-link"),
        ("device status --port a.bin", 3, "device-link"),
        ("device status --port trust", 3, "device-link"),
        ("device reboot --port /dev/null", 3, "device-link"),
        ("device log --port /dev/nowhere --for 1", 3, "device-link"),
        ("device log --for 0 --port x", 2, "usage"),
        ("device log --every none --port x", 2, "usage"),
        ("device push none.plb --port /dev/nowhere", 3, "missing-file"),
        ("device push noise.plb --port /dev/nowhere", 3, "malformed"),
        ("device push trust --port /dev/nowhere", 3, "file-access"),
        ("device approve --port x", 2, "usage"),
        ("device approve --manifest 00 --port x", 2, "usage"),
        ("device approve none.plb --port x", 3, "missing-file"),
        ("device approve f.plb --serial 3 --port x", 2, "usage"),
        ("device request dance f.plb --port x", 2, "usage"),
        ("device request apply --port x", 2, "usage"),
        ("device request apply noise.plb --port x", 3, "malformed"),
    ] {
        desk.fails(line, exit, code);
    }
    let bench = Bench::provisioned(&desk, "a.plb", GRANTS);
    bench.fails(&desk, "approve f.plb --owner-key none.pem", 3, "missing-file");
    bench.fails(&desk, "approve f.plb --owner-key f.plb", 4, "key");
    bench.fails(&desk, "approve f.plb --owner-key trust/development-root.pem", 1, "refused");
    bench.fails(&desk, "push b.plb extra", 2, "usage");
}

/// Lines with the time, nothing that steers a terminal, and the changes between two looks.
#[test]
fn the_journal_is_plain_and_has_what_changed() {
    let desk = desk("dev-log");
    let bench = Bench::provisioned(&desk, "a.plb", Nature { chatty: true, ..GRANTS });
    let mut follower = desk.command();
    follower.args(["--json", "device", "--port", &bench.port, "log", "--for", "2", "--every", "1"]);
    let follower = follower.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let out = follower.wait_with_output().unwrap();
    assert!(out.status.success(), "{out:?}");
    let lines: Vec<Value> =
        String::from_utf8(out.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.last().unwrap()["event"], "end");
    assert_eq!(lines.last().unwrap()["ok"], true);
    let texts = |event: &str| -> Vec<&str> {
        lines.iter().filter(|l| l["event"] == event).filter_map(|l| l["text"].as_str()).collect()
    };
    let first = texts("status");
    assert!(first[0].contains("4.1 s7, nothing is under way; root 1"), "{first:?}");
    assert!(texts("text").iter().any(|line| line.starts_with("# tick ")), "{lines:?}");
    for line in &lines[..lines.len() - 1] {
        let at = line["at"].as_str().unwrap();
        assert!(at.len() == 24 && at.ends_with('Z') && at.starts_with("20"), "{at}");
    }
    // For people: an escape is spelt out.
    let out = desk.run(&format!("device --port {} log --for 1 --every 1", bench.port));
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("\\u{1b}[2J") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn the_journal_stays_through_changes_and_the_end_of_the_cable() {
    let desk = desk("dev-log2");
    let bench = Bench::provisioned(&desk, "a.plb --security-policy apply-in-window", GRANTS);
    bench.ok(&desk, "push b.plb");
    // The number of a pty is given away again at once; this name isn't.
    std::os::unix::fs::symlink(&bench.port, desk.path("port")).unwrap();
    let mut follower = desk.command();
    follower.args(["device", "--port", "port", "log", "--for", "4", "--every", "1"]);
    let follower =
        follower.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    // Two on one line would take each other's answers.
    let busy = bench.fails(&desk, "status", 3, "device-link");
    assert!(busy["what"] == "is in use" && busy["next"].as_str().unwrap().contains("device log"), "{busy}");
    // Another device takes its place at the same line only in real life; here the cable is pulled.
    std::fs::remove_file(desk.path("port")).unwrap();
    drop(bench.unplug());
    let out = follower.wait_with_output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{text}");
    assert!(text.contains("4.1 s7, staged"), "{text}");
    assert!(text.contains("link") && text.contains("unplugged"), "{text}");
}

/// Ctrl-C is how a journal ends: well. A second one ends it whatever it does.
#[test]
fn a_journal_ends_well_by_ctrl_c() {
    use rustix::process::{Pid, Signal, kill_process};
    let desk = desk("dev-log3");
    let bench = Bench::provisioned(&desk, "a.plb", GRANTS);
    for signals in 1..=2 {
        let mut follower = desk.command();
        follower.args(["--json", "device", "--port", &bench.port, "log"]);
        let mut follower = follower.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufReader::new(follower.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
        assert!(line.contains("4.1 s7"), "{line}");
        for _ in 0..signals {
            kill_process(Pid::from_child(&follower), Signal::INT).unwrap();
        }
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut lines, &mut rest).unwrap();
        let code = follower.wait().unwrap().code();
        let ended_well = code == Some(0) && rest.contains("\"event\":\"end\"");
        assert!(ended_well || (signals == 2 && code == Some(130)), "{code:?}: {rest}");
    }
}

/// A 32-bit Arm ELF with one segment: a vector table and a pattern.
fn elf(address: u32, fill: u8) -> Vec<u8> {
    let mut image = vec![fill; 6_000];
    image[..4].copy_from_slice(&0x2000_1000u32.to_le_bytes());
    image[4..8].copy_from_slice(&(address + 0x101).to_le_bytes());
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    let half = |n: u16| n.to_le_bytes().to_vec();
    let word = |n: u32| n.to_le_bytes().to_vec();
    for part in [half(2), half(40), word(1), word(address + 0x101), word(52), word(0), word(0)] {
        file.extend(part);
    }
    for part in [half(52), half(32), half(1), half(40), half(0), half(0)] {
        file.extend(part);
    }
    let size = image.len() as u32;
    for part in [word(1), word(84), word(address), word(address), word(size), word(size), word(5), word(4)] {
        file.extend(part);
    }
    file.extend(image);
    file
}

const SLOTS: [u32; 2] = [0x0802_0000, 0x0804_0000];

/// One release, one file: each device takes the image that is linked for its slot.
#[test]
fn a_device_takes_the_image_for_its_slot_and_another_refuses() {
    let desk = Desk::started("dev-slots");
    let toml = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    for (name, fill) in [("one", 0x11), ("two", 0x22)] {
        for (slot, address) in ["a", "b"].iter().zip(SLOTS) {
            std::fs::write(desk.path(&format!("{name}-{slot}.elf")), elf(address, fill)).unwrap();
        }
    }
    let addressed = |list: &str| {
        let line = format!("[build]\naddresses = [{list}]\n");
        std::fs::write(desk.path("patchlane.toml"), toml.replace("[build]\n", &line)).unwrap();
    };
    addressed("0x08020000, 0x08040000");
    desk.ok("build security --baseline 1.0 --level 1 --image one-a.elf --image one-b.elf -o one.plb");
    desk.ok("sign one.plb");
    desk.ok("build security --baseline 1.0 --level 2 --image two-b.elf --image two-a.elf -o two.plb");
    desk.ok("sign two.plb");
    let shown = desk.ok("inspect two.plb");
    assert_eq!(shown["components"][0]["alternatives"][1]["address"], SLOTS[1]);
    for (order, address) in [("0x08020000, 0x08040000", SLOTS[0]), ("0x08040000, 0x08020000", SLOTS[1])] {
        addressed(order);
        let nature = Nature { address: Some(address), window: true, ..GRANTS };
        let bench = Bench::provisioned(&desk, "one.plb --security-policy apply-in-window", nature);
        assert_eq!(bench.ok(&desk, "push two.plb")["outcome"], "ready");
        bench.ok(&desk, "reboot");
        assert_eq!(bench.ok(&desk, "status")["confirmed"], "1.0 s2");
        let device = bench.unplug();
        assert_eq!(device.media.primary(6_000), &elf(address, 0x22)[84..], "{address:#x}");
    }
    // A third slot: the first release was made for it, the second wasn't.
    std::fs::write(desk.path("one-c.elf"), elf(0x0806_0000, 0x33)).unwrap();
    addressed("0x08060000");
    desk.ok("build security --baseline 1.0 --level 1 --image one-c.elf -o one-c.plb");
    desk.ok("sign one-c.plb");
    let nature = Nature { address: Some(0x0806_0000), ..GRANTS };
    let bench = Bench::provisioned(&desk, "one-c.plb", nature);
    let refused = bench.fails(&desk, "push two.plb", 1, "refused");
    assert_eq!(refused["refusal"], 59);
    assert!(
        refused["next"].as_str().unwrap().starts_with("it holds images for 0x08020000 and 0x08040000"),
        "{refused}"
    );
    assert_eq!(bench.ok(&desk, "status")["activity"], "idle");
}
