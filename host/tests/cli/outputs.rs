//! What is printed where: JSON under its schema, colours, quiet, no questions.

#[cfg(unix)]
use super::bench::{Bench, GRANTS};
use super::desk::Desk;
#[cfg(unix)]
use super::pty::Terminal;
use super::schema;
use clap::CommandFactory;
use patchlane::Code;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Every verb of the command line, as definitions are named.
fn verbs() -> BTreeSet<String> {
    let mut cli = patchlane::cli::Cli::command();
    cli.build();
    let mut all = BTreeSet::new();
    for verb in cli.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let below: Vec<_> = verb.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
        // `lint` is a verb, and has one below it.
        if below.is_empty() || verb.is_args_conflicts_with_subcommands_set() {
            all.insert(verb.get_name().to_owned());
        }
        all.extend(below.iter().map(|sub| format!("{}-{}", verb.get_name(), sub.get_name())));
    }
    all
}

/// Names that a piece of the schema refers to.
fn named(piece: &Value) -> BTreeSet<String> {
    match piece {
        Value::Object(map) => {
            let own = map.get("$ref").and_then(|name| name.as_str()?.strip_prefix("#/$defs/"));
            map.values().flat_map(named).chain(own.map(str::to_owned)).collect()
        }
        Value::Array(items) => items.iter().flat_map(named).collect(),
        _ => BTreeSet::new(),
    }
}

/// A new verb needs a definition in host/schema/output.schema.json, and nothing there is for nobody.
#[test]
fn every_verb_has_a_definition() {
    let text: Value = serde_json::from_str(include_str!("../../schema/output.schema.json")).unwrap();
    // Who reads the schema without a verb finds every answer.
    let listed = named(&text["anyOf"]);
    let beside = ["error", "journal-entry"].map(str::to_owned);
    assert_eq!(listed, verbs().into_iter().chain(beside).collect());
    let mut used = listed;
    loop {
        let more: BTreeSet<String> = used.iter().flat_map(|name| named(&text["$defs"][name])).collect();
        if more.is_subset(&used) {
            break;
        }
        used.extend(more);
    }
    let defined: BTreeSet<String> = schema::definitions().keys().cloned().collect();
    assert_eq!(defined, used, "definitions on the left, what is used on the right");
}

#[test]
fn the_schema_knows_every_code_and_exit_code() {
    let error = &schema::definitions()["failure"]["properties"];
    let names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(error["code"]["enum"], json!(names));
    let exits: BTreeSet<_> = Code::ALL.iter().map(|code| code.exit()).collect();
    assert_eq!(error["exit"]["enum"], json!(exits));
}

/// Real outputs of every verb that needs no device; those of `device` are checked where there is one (`Desk::ok`).
fn outputs(desk: &Desk) -> Vec<(String, Value)> {
    let roles = "--root k.pub --security i.pub --feature e.pub --sign k.pem";
    std::fs::write(desk.path("p"), "correct horse").unwrap();
    std::fs::write(desk.path("two"), "two").unwrap();
    let [root, next] = ["r.plr", "r2.plr --follows r.plr"]
        .map(|out| format!("root new -o {out} {roles} --passphrase-env SECRET"));
    let lines = [
        "init p1 --vendor example.com --class pump --board virt",
        "key new k.pem --passphrase-env SECRET",
        "key new d.pem --development",
        "key new e.pem --passphrase-env SECRET",
        "key import e.pem -o j.pem --passphrase-env SECRET",
        "key new i.pem --passphrase-env SECRET",
        "key passwd i.pem --passphrase-env SECRET --new-passphrase-file two",
        "key show k.pub",
        "key show k.pem --passphrase-file p",
        &root,
        &next,
        "root show",
        "root show r.plr",
        "build security --baseline 4.1 --level 9 --open 3,4 --image b.bin -o c.plb --closes 9:CVE-2027-1:high \
         --message hello --support-end 2030-03-17",
        "build security --baseline 4.1 --level 9 --image b.bin -o n.plb --no-payload",
        "build feature --baseline 5.0 --level 9 --image b.bin --combined not-feasible --because tangled -o f.plb",
        "sign c.plb",
        "sign f.plb --key trust/development-security.pem --partial",
        "sign f.plb",
        "inspect f.plb",
        "verify f.plb",
        "extract f.plb -o e.bin --manifest e.m --signatures e.s",
        "extract n.plb --manifest n.m --unverified",
        "diff a.plb b.plb",
        "diff b.plb n.plb",
        "layout",
        "layout --image a.bin",
        "layout --list",
        "lint --list",
        "layout --board stm32f407 --emit memory-x",
        "layout --emit c-header -o map.h",
        "provision a.plb -o flash.bin --development",
        "provision a.plb -o flash.hex --development",
        "simulate a.plb b.plb f.plb --development --approve",
        "ledger init --before 9",
        "ledger baseline add 4.1 --name pump --support-end 2032-12-31",
        "ledger open CVE-2027-2 --title read --severity high --exploited --aware 2027-01-15T07:00Z --affects 4.1",
        "ledger affects CVE-2027-2 affected 4.1",
        "ledger amend CVE-2027-2 --early-warning 2027-01-15T08:00Z --notification 2027-01-15T08:00Z",
        "build security --baseline 4.1 --image b.bin --fixes CVE-2027-2 -o l.plb",
        "sign l.plb",
        "ledger release l.plb",
        "ledger amend CVE-2027-2 --final-report 2027-01-15T09:00Z",
        "ledger show",
        "ledger close CVE-2027-2",
        "ledger check --development",
        "completions bash",
        "man",
        "man -o pages",
    ];
    lines.iter().map(|line| ((*line).to_owned(), desk.ok(line))).collect()
}

#[test]
fn every_verb_prints_what_the_schema_says() {
    let desk = Desk::signed("schema");
    std::fs::create_dir(desk.path("pages")).unwrap();
    let outputs = outputs(&desk);
    let seen: BTreeSet<String> = outputs.iter().map(|(line, _)| schema::name_of(line)).collect();
    // Those that need a device, or a whole change, are checked where there is one.
    let whole_change = [
        "lint-waive",
        "lint-inventory",
        "ledger-settle",
        "replay",
        "report",
        "attest",
        "archive-create",
        "archive-add",
        "verify-evidence",
    ];
    let elsewhere = |verb: &String| verb.starts_with("device-") || whole_change.contains(&&verb[..]);
    let wanted: BTreeSet<String> = verbs().into_iter().filter(|verb| !elsewhere(verb)).collect();
    assert_eq!(seen, wanted, "a verb has no line here");
    for (line, value) in &outputs {
        notices_what_is_wrong(&schema::name_of(line), value);
    }
    let failed = |line: &str, code: &str, name: &str| {
        let out = desk.run(&format!("{line} --json"));
        let value = desk.fails_as(line, &out, i32::from(out.status.code() == Some(3)) * 2 + 1, code);
        notices_what_is_wrong(name, &value);
    };
    failed("verify none.plb", "missing-file", "error");
    failed("simulate b.plb a.plb --development", "refused", "simulate-refused");
    failed("ledger check", "ledger-findings", "ledger-check-failed");
}

/// The same of `device`, and of `diff` against one.
#[cfg(unix)]
#[test]
fn every_verb_of_device_prints_what_the_schema_says() {
    let desk = Desk::signed("schema-device");
    let bench = Bench::provisioned(&desk, "a.plb --feature-policy auto", GRANTS);
    let port = format!("--port {}", bench.port);
    desk.ok("build feature --baseline 5.0 --level 7 --image b.bin -o old.plb");
    let mut seen = BTreeSet::new();
    let mut see = |line: &str| {
        let value = desk.ok(line);
        let name = schema::name_of(line);
        notices_what_is_wrong(&name, &value);
        seen.insert(name);
        value
    };
    for verb in ["status", "list", "list --probe", "push b.plb", "status", "request apply b.plb"] {
        see(&format!("device {verb} {port}"));
    }
    for verb in ["approve b.plb", "policy --feature never", "reboot"] {
        see(&format!("device {verb} {port}"));
    }
    let status = see(&format!("device status {port}"));
    std::fs::write(desk.path("status.json"), status.to_string()).unwrap();
    desk.ok("build security --baseline 4.1 --level 9 --image b.bin -o next.plb");
    desk.ok("sign next.plb");
    see("diff next.plb --status status.json");
    see(&format!("diff next.plb {port}"));
    let out = desk.run("diff old.plb --status status.json --json");
    let refused = desk.fails_as("diff", &out, 1, "not-enough-signatures");
    notices_what_is_wrong("diff-refused", &refused);
    // A line of a journal is an object, too.
    let out = desk.run(&format!("device log --for 1 {port} --json"));
    let text = String::from_utf8(out.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (end, entries) = lines.split_last().unwrap();
    notices_what_is_wrong("device-log", end);
    seen.insert("device-log".into());
    assert_eq!(end["entries"].as_u64(), Some(entries.len() as u64));
    assert!(!entries.is_empty(), "{text}");
    entries.iter().for_each(|entry| notices_what_is_wrong("journal-entry", entry));
    let wanted = verbs().into_iter().filter(|verb| verb.starts_with("device-") || verb == "diff");
    assert_eq!(seen, wanted.collect());
}

/// A schema that lets everything pass would be none.
fn notices_what_is_wrong(name: &str, value: &Value) {
    assert_eq!(schema::violations(name, value), [""; 0], "{name}");
    let mut more = value.clone();
    more["surprise"] = json!(1);
    assert!(!schema::violations(name, &more).is_empty(), "{name}: an unknown field passes");
    for (field, content) in value.as_object().unwrap() {
        let mut changed = value.clone();
        changed[field] = json!({ "of": "another type" });
        assert!(
            !schema::violations(name, &changed).is_empty(),
            "{name}: {field} = {content} may be anything"
        );
        changed.as_object_mut().unwrap().remove(field);
        assert!(!schema::violations(name, &changed).is_empty(), "{name}: {field} may be left out");
    }
}

/// Every verb fails in JSON as it fails in words: one object, on stdout, with the exit code it states.
#[test]
fn every_verb_fails_under_the_schema() {
    let desk = Desk::signed("schema-fails");
    desk.fails("init", 3, "file-exists");
    desk.fails("key new trust/development-root.pem --development", 3, "file-exists");
    desk.fails("key import none.pem", 3, "missing-file");
    desk.fails("key passwd a.plb", 4, "key");
    desk.fails("key show none.pem", 3, "missing-file");
    desk.fails("root new -o r.plr", 2, "usage");
    desk.fails("root show a.plb", 3, "malformed");
    desk.fails("build security --baseline 4.1 --level 9 --image none.bin", 3, "missing-file");
    desk.fails("sign none.plb", 3, "missing-file");
    desk.fails("inspect patchlane.toml", 3, "malformed");
    desk.fails("verify a.plb --root none.plr", 3, "missing-file");
    desk.fails("extract a.plb -o a.bin", 3, "file-exists");
    desk.fails("diff a.plb none.plb", 3, "missing-file");
    desk.fails("layout --image patchlane.toml", 3, "image");
    desk.fails("provision a.plb -o f.bin", 1, "development-trust");
    desk.fails("simulate a.plb", 1, "development-trust");
    desk.fails("device list --port /dev/nowhere --probed", 2, "usage");
    for verb in [
        "status",
        "push a.plb",
        "approve a.plb",
        "request keep a.plb",
        "policy --feature never",
        "reboot",
        "log",
    ] {
        desk.fails(&format!("device {verb} --port /dev/nowhere"), 3, "device-link");
        desk.fails(&format!("device {verb}"), 2, "usage");
    }
    for verb in ["show", "check", "open A --title t --severity low", "close A", "release a.plb"] {
        desk.fails(&format!("ledger {verb}"), 3, "missing-file");
    }
    desk.fails("ledger init --before x", 2, "usage");
    desk.fails("ledger baseline retire 4.1 --because old", 3, "missing-file");
    desk.fails("ledger affects A affected 4.1", 3, "missing-file");
    desk.fails("ledger amend A --exploited", 3, "missing-file");
    desk.fails("completions klingon", 2, "usage");
    desk.fails("man -o none", 3, "missing-file");
}

#[test]
fn data_is_on_stdout_and_the_rest_on_stderr() {
    let desk = Desk::signed("streams");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let out = desk.run("verify a.plb");
    assert!(text(&out.stdout).starts_with("release"), "{out:?}");
    assert!(text(&out.stderr).starts_with("Verified under root 1"), "{out:?}");
    for line in ["--quiet verify a.plb", "verify a.plb -q"] {
        let quiet = desk.run(line);
        assert_eq!((text(&quiet.stdout), text(&quiet.stderr)), (text(&out.stdout), String::new()));
    }
    let wrong = desk.run("verify none.plb --quiet");
    assert_eq!(text(&wrong.stderr), "error: none.plb isn't there\n  next: check the path\n");
    assert!(wrong.stdout.is_empty());
    // One object, one line, nothing beside it.
    let json = desk.run("verify a.plb --json");
    assert_eq!((text(&json.stdout).lines().count(), text(&json.stderr)), (1, String::new()));
}

/// Escapes that colour. Nothing else here begins with ESC.
fn coloured(text: &str) -> bool {
    text.contains('\u{1b}')
}

#[test]
fn nothing_is_coloured_that_goes_into_a_file() {
    let desk = Desk::signed("plain");
    for line in ["verify a.plb", "verify none.plb", "verify", "--help", "key show trust/development-root.pub"]
    {
        let out = desk.run(line);
        let all = [out.stdout, out.stderr].concat();
        assert!(!coloured(&String::from_utf8_lossy(&all)), "{line}");
        let out = desk.run(&format!("--color always {line}"));
        let all = [out.stdout, out.stderr].concat();
        assert!(coloured(&String::from_utf8_lossy(&all)), "{line}: --color always");
    }
    // JSON is for programs, whatever is asked for.
    let out = desk.run("verify a.plb --json --color always");
    assert!(!coloured(&String::from_utf8_lossy(&out.stdout)));
}

#[cfg(unix)]
#[test]
fn a_terminal_is_coloured_unless_somebody_doesnt_want_it() {
    let desk = Desk::signed("colour");
    let shown = |line: &str, variable: Option<(&str, &str)>| {
        let mut command = desk.command();
        command
            .args(line.split_whitespace())
            .env("TERM", "xterm")
            .env("CI", "true")
            .env_remove("NO_COLOR")
            .envs(variable);
        let (status, shown) = Terminal::run(&command).end();
        assert!(status.code().is_some(), "{line}: {status}");
        shown
    };
    for line in ["verify a.plb", "verify none.plb", "verify", "--help"] {
        assert!(coloured(&shown(line, None)), "{line}");
        assert!(coloured(&shown(line, Some(("NO_COLOR", "")))), "{line}: an empty NO_COLOR is none");
        assert!(!coloured(&shown(line, Some(("NO_COLOR", "1")))), "{line}: NO_COLOR");
        assert!(!coloured(&shown(line, Some(("TERM", "dumb")))), "{line}: TERM=dumb");
        assert!(!coloured(&shown(&format!("--color never {line}"), None)), "{line}: --color never");
        assert!(!coloured(&shown(&format!("--color=never {line}"), None)), "{line}: --color=never");
        let anyway = shown(&format!("--color always {line}"), Some(("NO_COLOR", "1")));
        assert!(coloured(&anyway), "{line}: --color always is said later than NO_COLOR");
    }
}

/// What a file says about itself doesn't steer the terminal that shows it.
#[test]
fn texts_cannot_steer_the_terminal() {
    let desk = Desk::started("steer");
    let escape = "harmless\u{1b}]0;owned\u{7}\u{1b}[2J";
    let build = ["build", "security", "--baseline", "4.1", "--level", "8", "--image", "a.bin", "-o", "a.plb"];
    let out = desk.command().args(build).args(["--message", escape]).output().unwrap();
    if out.status.success() {
        let shown = desk.run("inspect a.plb");
        assert!(!coloured(&String::from_utf8_lossy(&shown.stdout)), "{shown:?}");
    } else {
        assert_eq!(out.status.code(), Some(3), "{out:?}");
    }
    let out = desk.command().args(["verify", escape]).output().unwrap();
    assert_eq!(out.status.code(), Some(3));
    assert!(!coloured(&String::from_utf8_lossy(&out.stderr)), "{out:?}");
}
