//! `replay`: adapters that work, and all the ways in which they don't; what is refused, by name.

use super::desk::{Desk, listing};
use super::schema;
use serde_json::{Value, json};

const CHANGE: &str = "format = 1\nbase = \"a.plb\"\nlevel = 8\nimages = [\"b.bin\"]\n\
    [[closes]]\nindex = 8\nid = \"CVE-2027-1\"\nseverity = \"high\"\n[proof]\nrecording = \"recording.toml\"\n";

const RECORDING: &str = r#"format = 1
[[session]]
name = "plant"
input = [{ name = "pressure", text = "get 1" }, { name = "any", text = "get {0..9}" }]
[[session]]
name = "exploit"
input = [{ name = "over-read", text = "get 99", advisories = ["CVE-2027-1"], safe = { text = "no" } }]
"#;

/// What the device answers to `$data`; `$1` is the side.
const DEVICE: &str = "case $1-$data in base-'get 99') a='text secret';; *-'get 99') a='text no';; *) a=\"text $data\";; esac\n";

/// A product whose adapter is a shell script around this device.
fn desk(name: &str, device: &str) -> Desk {
    let desk = Desk::signed(&format!("replay-{name}"));
    write(&desk, "change.toml", CHANGE);
    write(&desk, "recording.toml", RECORDING);
    adapter(&desk, device);
    let config = std::fs::read_to_string(desk.path("patchlane.toml")).unwrap();
    let section = "\n[replay]\ncommand = [\"sh\", \"adapter.sh\", \"{side}\", \"{inputs}\", \"{outputs}\", \"{image}\"]\n";
    write(&desk, "patchlane.toml", &(config + section));
    desk
}

fn adapter(desk: &Desk, device: &str) {
    let script =
        format!("while read -r number kind data; do\n{device}echo \"$number $a\"\ndone < \"$2\" > \"$3\"\n");
    write(desk, "adapter.sh", &script);
}

fn write(desk: &Desk, name: &str, text: &str) {
    std::fs::write(desk.path(name), text).unwrap();
}

fn edit(desk: &Desk, name: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(desk.path(name)).unwrap();
    assert!(text.contains(from), "{name}: {from}");
    write(desk, name, &text.replace(from, to));
}

fn read(desk: &Desk, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(desk.path(name)).unwrap()).unwrap()
}

/// Refused, and said why: all problems.
fn refused(desk: &Desk) -> Vec<String> {
    let out = desk.run("replay --json");
    let value = desk.fails_as("replay", &out, 1, "separation");
    assert_eq!(schema::violations("replay-refused", &value), [""; 0], "{value}");
    let all = value["problems"].as_array().unwrap();
    all.iter().map(|problem| problem["what"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_command_makes_what_lint_asks_for() {
    let desk = desk("whole", DEVICE);
    let told = desk.ok("replay -o replay.json");
    assert_eq!((&told["inputs"], &told["swept"], &told["runs"]), (&json!(12), &json!(10), &json!(2)));
    assert_eq!(told["differences"][0]["base"], "`secret`");
    assert_eq!(told["shown"], json!({ "CVE-2027-1": 1 }));
    assert_eq!(told["exploit"], json!(["replay.exploit-base.json", "replay.exploit-patch.json"]));
    let (base, patch) = (read(&desk, "replay.exploit-base.json"), read(&desk, "replay.exploit-patch.json"));
    let test = json!(["CVE-2027-1 over-read"]);
    assert_eq!((&base["predicate"]["failedTests"], &base["predicate"]["result"]), (&test, &json!("FAILED")));
    assert_eq!(
        (&patch["predicate"]["passedTests"], &patch["predicate"]["result"]),
        (&test, &json!("PASSED"))
    );
    edit(
        &desk,
        "change.toml",
        "[proof]\n",
        "[proof]\nreplay = \"replay.json\"\nexploit = [\"replay.exploit-base.json\", \"replay.exploit-patch.json\"]\n",
    );
    let value: Value = serde_json::from_slice(&desk.run("lint --json").stdout).unwrap();
    for check in [24, 25] {
        let row = &value["checks"][check - 1];
        assert_eq!(row["result"], "pass", "{row}");
    }
    // The adapter is in the evidence, with the script that it runs; and it is the same evidence each time.
    let statement = read(&desk, "replay.json");
    assert_eq!(statement["predicate"]["adapter"]["files"][0]["name"], "adapter.sh");
    assert_eq!(statement["predicate"]["verdict"], "passed");
    let first = listing(&desk.0);
    desk.ok("replay -o replay.json --force");
    assert_eq!(listing(&desk.0), first);
}

#[test]
fn a_feature_dressed_as_a_patch_is_refused_by_name() {
    let desk = desk("feature", DEVICE);
    // Nobody recorded it; the sweep meets it.
    adapter(&desk, &format!("{DEVICE}[ \"$1-$data\" = 'patch-get 7' ] && a='text flow 42'\n"));
    let found = refused(&desk);
    assert_eq!(
        found,
        [
            "`any 7` is answered `get 7` by the base and `flow 42` by the patch, and no vulnerability explains it"
        ]
    );
    // What is refused is kept, too; it signs nothing.
    let out = desk.run("replay -o replay.json");
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(read(&desk, "replay.json")["predicate"]["verdict"], "refused");
    // Behind a tag nothing hides: the patch has to answer what is safe.
    adapter(&desk, &DEVICE.replace("*-'get 99') a='text no'", "*-'get 99') a='text flow'"));
    let found = refused(&desk);
    assert!(
        found.iter().any(|what| what
            .contains("`over-read` (CVE-2027-1) is answered `flow` by the patch, and `no` is safe")),
        "{found:?}"
    );
    // A base that isn't vulnerable shows nothing.
    adapter(&desk, &DEVICE.replace("secret", "no"));
    assert!(refused(&desk)[0].contains("nothing shows the exploit of CVE-2027-1"));
    adapter(&desk, DEVICE);
    edit(&desk, "change.toml", "CVE-2027-1", "CVE-2027-2");
    assert!(refused(&desk)[0].contains("explained by CVE-2027-1, which this patch doesn't close"));
}

#[test]
fn crashes_silence_and_what_varies_are_told_apart() {
    let desk = desk("crash", &DEVICE.replace("text secret", "gone reset"));
    assert_eq!(desk.ok("replay")["differences"][0]["base"], "a crash (reset)");
    // Where the exploit isn't the last of its session, what follows wasn't played.
    edit(
        &desk,
        "recording.toml",
        "safe = { text = \"no\" } }",
        "safe = { text = \"no\" } }, { name = \"then\", text = \"get 2\" }",
    );
    adapter(
        &desk,
        &format!(
            "{}[ \"$1-$data\" = 'base-get 99' ] && {{ echo \"$number $a\"; break; }}\n",
            DEVICE.replace("text secret", "gone reset")
        ),
    );
    assert!(
        refused(&desk)[0].contains("`then` wasn't played to the base: after `over-read` there was no device")
    );
    edit(&desk, "recording.toml", ", { name = \"then\", text = \"get 2\" }", "");
    // Nothing but silence.
    adapter(&desk, &DEVICE.replace("a=\"text $data\"", "a=silence"));
    assert!(refused(&desk)[0].contains("silence is equal"));
    // A clock in an answer.
    adapter(&desk, &DEVICE.replace("a=\"text $data\"", "a=\"text 1 at $$\""));
    assert!(refused(&desk)[0].contains("`pressure` is answered by the base in several ways: `1 at"));
    let mask = "mask = [{ at = 5, length = 20, why = \"process\" }]";
    edit(&desk, "recording.toml", "text = \"get 1\"", &format!("text = \"get 1\", {mask}"));
    edit(&desk, "recording.toml", "text = \"get {0..9}\"", &format!("text = \"get {{0..9}}\", {mask}"));
    adapter(&desk, &DEVICE.replace("a=\"text $data\"", "a=\"text 1 at $(printf %05d $$)\""));
    desk.ok("replay -o replay.json");
    let rows = read(&desk, "replay.json")["predicate"]["images"][0]["rows"].clone();
    assert_eq!(
        (&rows[0]["masks"][0]["why"], &rows[0]["base"][0]["text"]),
        (&json!("process"), &json!("1 at *****"))
    );
}

/// Long answers are kept as their digest: masked wholly, they are all alike.
#[test]
fn a_mask_over_a_whole_long_answer_shows_nothing() {
    let desk = desk("long", &DEVICE.replace("a=\"text $data\"", "a=\"text $1 $(printf %0400d 0)\""));
    assert!(refused(&desk).iter().any(|what| what.contains("`pressure` is answered")));
    let mask = "mask = [{ at = 0, length = 9999, why = \"clock\" }]";
    edit(&desk, "recording.toml", "text = \"get 1\"", &format!("text = \"get 1\", {mask}"));
    edit(&desk, "recording.toml", "text = \"get {0..9}\"", &format!("text = \"get {{0..9}}\", {mask}"));
    adapter(
        &desk,
        &DEVICE.replace(
            "a=\"text $data\"",
            "a=\"text $( [ $1 = base ] && printf %0400d 0 || printf %0400d 1 )\"",
        ),
    );
    let all = refused(&desk);
    assert!(all.iter().any(|what| what.contains("masks leave nothing to compare")), "{all:?}");
}

#[test]
fn an_adapter_that_does_not_work_shows_nothing() {
    let desk = desk("broken", DEVICE);
    let says = |script: &str, word: &str| {
        write(&desk, "adapter.sh", script);
        let what = desk.fails("replay -o replay.json", 3, "replay-adapter");
        assert!(what.contains(word), "{script}: {what}");
    };
    says("exit 0\n", "wrote no outputs");
    says("echo no device >&2; exit 7\n", "no device");
    says("kill -9 $$\n", "failed");
    says(": > \"$3\"\n", "the outputs end after 0 of 11 inputs: there is no answer to `pressure`");
    says("echo '1 hello' > \"$3\"\n", "none of text");
    says("echo '2 silence' > \"$3\"\n", "comes where the answer to 1, `pressure`, should");
    says("printf '1 text \\377\\n' > \"$3\"\n", "aren't text");
    says("mkfifo \"$3\"\n", "aren't a regular file");
    says("ln -s /dev/zero \"$3\"\n", "aren't a regular file");
    // What it says at length is told in short.
    for script in [
        "head -c 30000000 /dev/zero | tr '\\0' x > \"$3\"\n",
        "(printf '1 '; head -c 3000000 /dev/zero | tr '\\0' x) > \"$3\"\n",
        "head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 7\n",
    ] {
        write(&desk, "adapter.sh", script);
        let what = desk.fails("replay -o replay.json", 3, "replay-adapter");
        assert!(what.len() < 600 && what.contains("xxx"), "{script}: {} bytes", what.len());
    }
    edit(&desk, "patchlane.toml", "\"sh\", ", "\"./no-such-program\", ");
    says("", "doesn't run");
}

#[test]
fn an_adapter_that_hangs_ends_with_all_that_it_started() {
    let desk = desk("hangs", DEVICE);
    write(&desk, "adapter.sh", "sleep 1000 &\necho $! > child\nsleep 1000\n");
    edit(&desk, "patchlane.toml", "[replay]\n", "[replay]\ntimeout = 1\n");
    let out = desk.run("replay --json");
    let value = desk.fails_as("replay", &out, 3, "replay-adapter");
    assert!(value["what"].as_str().unwrap().contains("longer than 1 second"), "{value}");
    let child = std::fs::read_to_string(desk.path("child")).unwrap();
    // A process that has ended may wait for its parent, but runs no more. On a busy machine its end takes a while.
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    let ended = || !cfg!(target_os = "linux") || stat().is_empty() || stat().contains(") Z ");
    let mut tries = (0..300).map(|_| std::thread::sleep(std::time::Duration::from_millis(100)));
    assert!(ended() || tries.any(|()| ended()), "{}", stat());
}

#[test]
fn what_is_missing_is_said_before_anything_is_played() {
    let desk = desk("missing", DEVICE);
    write(&desk, "adapter.sh", "touch played\nexit 1\n");
    write(&desk, "replay.exploit-patch.json", "{}");
    desk.fails("replay -o replay.json", 3, "file-exists");
    desk.fails("replay none.toml", 3, "missing-file");
    desk.fails("replay --recording none.toml", 3, "missing-file");
    desk.fails("replay --recording a.bin", 3, "config");
    desk.fails("replay --recording a.plb", 3, "malformed");
    desk.fails("replay --force", 2, "usage");
    let broken = |name: &str, from: &str, to: &str, exit: i32, code: &str, word: &str| {
        let before = std::fs::read_to_string(desk.path(name)).unwrap();
        edit(&desk, name, from, to);
        let what = desk.fails("replay", exit, code);
        assert!(what.contains(word), "{to}: {what}");
        write(&desk, name, &before);
    };
    let own = "patchlane.toml";
    broken(
        own,
        "\"{side}\", \"{inputs}\", \"{outputs}\", \"{image}\"",
        "\"{inputs}\", \"{outputs}\"",
        3,
        "config",
        "the same for base and patch",
    );
    broken(own, "\"{outputs}\"", "\"out\"", 3, "config", "lacks {inputs} or {outputs}");
    broken(own, "{image}", "{imag}", 3, "config", "names {imag}");
    broken(own, "\"sh\", ", "\"\", ", 3, "config", "command is empty");
    broken(own, "[replay]\n", "[replay]\nruns = 1\n", 3, "config", "runs is out of range");
    broken(own, "[replay]", "[replays]", 3, "config", "replays");
    broken("change.toml", "recording = ", "# recording = ", 3, "config", "names no [proof] recording");
    broken("change.toml", "[\"b.bin\"]", "[]", 3, "image", "nothing to play");
    broken("recording.toml", "name = \"any\"", "nam = \"any\"", 3, "config", "nam");
    assert!(!desk.path("played").exists());
}

/// A recording can be tried before the record names it.
#[test]
fn a_recording_may_be_given_by_name() {
    let desk = desk("given", DEVICE);
    edit(&desk, "change.toml", "recording = \"recording.toml\"", "");
    let told = desk.ok("replay --recording recording.toml");
    assert!(told["notes"][0].as_str().unwrap().contains("check 25 reads it"), "{told}");
}
