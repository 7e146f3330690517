//! Differential replay of the demo application on a board in QEMU.
//!
//! `replay adapter BOARD IMAGE INPUTS OUTPUTS` is the adapter: it plays one session. `replay demo PATCHLANE FOLDER BOARD`
//! is the whole way, from the recording to lint's checks 24 and 25; `cargo xtask replay` launches it.

use patchlane::scenario::{Cast, Scenario};
use patchlane_tests::board::{Model, firmware};
use patchlane_tests::scenario::on_board;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

type Res<T> = Result<T, String>;

/// How long the application may take for an answer; without load it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// A device that left the factory with this image, under throw-away keys.
const DEVICE: &str = r#"
title = "replay"
[device]
first = "played"
security = "apply-in-window"
feature = "never"
[release.played]
lane = "security"
baseline = "4.1"
level = 7
firmware = "image"
[[step]]
restart = true
"#;

fn model(name: &str) -> Res<&'static Model> {
    Model::named(name).ok_or_else(|| format!("there is no board `{name}`"))
}

fn bytes(digits: &str) -> Res<Vec<u8>> {
    let pair = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let all: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(pair).collect();
    all.ok_or_else(|| format!("`{digits}` isn't hex"))
}

/// Plays one session: a fresh device with this image boots, and is asked line by line.
fn adapter(board: &str, image: &Path, inputs: &Path, outputs: &Path) -> Res<()> {
    let read = |path: &Path| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let (image, inputs) = (read(image)?, read(inputs)?);
    let inputs = String::from_utf8(inputs).map_err(|e| e.to_string())?;
    let scenario = Scenario::parse(DEVICE).map_err(|e| e.to_string())?;
    let cast = Cast::of(&scenario, None, &[], &|_| Ok(image.clone())).map_err(|e| e.to_string())?;
    let mut device = on_board(model(board)?, &cast, &outputs.with_extension("flash"))?;
    device.start()?;
    let mut answers = String::new();
    for line in inputs.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(number), Some(kind), Some(data)) = (words.next(), words.next(), words.next()) else {
            return Err(format!("`{line}` is no input"));
        };
        let sent = match kind {
            "text" => [data.as_bytes(), b"\r\n"].concat(),
            "hex" => bytes(data)?,
            other => return Err(format!("`{other}` is no kind of input")),
        };
        let answer = match device.board.hears(&sent, PATIENCE)? {
            None => "silence".to_owned(),
            Some(said) if said.starts_with(':') => format!("text {said}"),
            Some(said) => format!("gone {said}"),
        };
        let _ = writeln!(answers, "{number} {answer}");
        if answer.starts_with("gone") {
            break;
        }
    }
    std::fs::write(outputs, answers).map_err(|e| format!("{}: {e}", outputs.display()))
}

/// The command line, run in the demo's folder.
struct Cli {
    program: PathBuf,
    folder: PathBuf,
}

impl Cli {
    fn answer(&self, words: &[&str]) -> Res<Value> {
        println!("  $ patchlane {}", words.join(" "));
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).args(["--json", "--no-input"]).args(words);
        let out = command.output().map_err(|e| format!("{}: {e}", self.program.display()))?;
        serde_json::from_slice(&out.stdout)
            .map_err(|e| format!("{words:?}: {e}: {}", String::from_utf8_lossy(&out.stderr)))
    }

    fn ok(&self, words: &[&str]) -> Res<Value> {
        let value = self.answer(words)?;
        if value["ok"] == true { Ok(value) } else { Err(format!("{words:?}: {value}")) }
    }

    fn write(&self, name: &str, text: &str) -> Res<()> {
        std::fs::write(self.folder.join(name), text).map_err(|e| format!("{name}: {e}"))
    }
}

fn change(image: &Path, statement: &str) -> String {
    format!(
        "format = 1\nbase = \"4.1-s7.plb\"\nlevel = 8\nimages = [{image:?}]\nsupport_end = 2032-12-31\n\
         message = \"Bounds check of register requests\"\n\n[[closes]]\nindex = 8\nid = \"CVE-2027-4108\"\n\
         severity = \"high\"\nexploited = true\n\n[proof]\nrecording = \"registers.toml\"\nreplay = \"{statement}.json\"\n\
         exploit = [\"{statement}.exploit-base.json\", \"{statement}.exploit-patch.json\"]\n"
    )
}

/// A product, its base, its recording, and this program as its adapter.
fn prepare(cli: &Cli, board: &str, programs: &Path) -> Res<()> {
    cli.ok(&["init", "--vendor", "example.com", "--class", "valve"])?;
    let config = std::fs::read_to_string(cli.folder.join("patchlane.toml")).map_err(|e| e.to_string())?;
    // The map in it is a generic one; the images are linked for the board.
    let config = config.split("# Where things lie in flash").next().unwrap_or_default().to_owned();
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let command = [&own.display().to_string(), "adapter", board, "{image}", "{inputs}", "{outputs}"];
    cli.write("patchlane.toml", &format!("{config}\n[replay]\ncommand = {command:?}\ntimeout = 300\n"))?;
    cli.write("registers.toml", include_str!("../../replay/registers.toml"))?;
    let base = programs.join("app-4.1-s7").display().to_string();
    let build =
        ["build", "security", "--baseline", "4.1", "--level", "7", "--image", &base, "-o", "4.1-s7.plb"];
    cli.ok(&build)?;
    cli.ok(&["sign", "4.1-s7.plb"]).map(|_| ())
}

/// What a refusal says, all of it.
fn problems(value: &Value) -> Vec<String> {
    let all = value["problems"].as_array().into_iter().flatten();
    all.filter_map(|problem| problem["what"].as_str()).map(str::to_owned).collect()
}

/// A change that has to be refused, for a reason that says this.
fn refused(cli: &Cli, name: &str, image: &Path, words: &[&str]) -> Res<()> {
    let record = format!("{name}.toml");
    cli.write(&record, &change(image, name))?;
    let value = cli.answer(&["replay", &record, "-o", &format!("{name}.json")])?;
    let told = problems(&value);
    let first = told.first().ok_or_else(|| format!("{name} isn't refused: {value}"))?;
    println!("    refused: {first}; {} more", told.len() - 1);
    if value["code"] != "separation" {
        return Err(format!("{name}: {value}"));
    }
    for word in words {
        if !told.iter().any(|what| what.contains(word)) {
            return Err(format!("{name}: nothing says `{word}`: {told:#?}"));
        }
    }
    // And lint doesn't take it for evidence.
    let found = check(cli, &record, 25)?;
    if found.0 == "fail" { Ok(()) } else { Err(format!("{name}: check 25 says {found:?}")) }
}

/// Result and detail of a check.
fn check(cli: &Cli, record: &str, number: usize) -> Res<(String, String)> {
    let value = cli.answer(&["lint", record, "--no-rebuild"])?;
    let row = &value["checks"][number - 1];
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    Ok((text("result"), text("detail")))
}

fn demo(program: &str, folder: &str, board: &str) -> Res<()> {
    let begun = Instant::now();
    let cli = Cli { program: program.into(), folder: folder.into() };
    let model = model(board)?;
    let programs = firmware(model)?.canonicalize().map_err(|e| e.to_string())?;
    println!("\nOn {} in QEMU ({}): base 4.1 s7, patch 4.1 s8.", model.name, model.about);
    prepare(&cli, board, &programs)?;
    println!("\nThe fix: both answer the same, but for what CVE-2027-4108 is about.");
    cli.write("fix.toml", &change(&programs.join("app-4.1-s8"), "fix"))?;
    let played = cli.ok(&["replay", "fix.toml", "-o", "fix.json"])?;
    let (inputs, shown) = (&played["inputs"], &played["shown"]["CVE-2027-4108"]);
    let differences = played["differences"].as_array().map_or(0, Vec::len);
    println!(
        "    {inputs} inputs in {} sessions, {} times to each: {differences} answered otherwise, {shown} of them by the fix",
        played["sessions"], played["runs"]
    );
    if shown.as_u64() != Some(differences as u64) || differences == 0 {
        return Err(format!("a difference isn't the fix's: {played}"));
    }
    for number in [24, 25] {
        let (result, detail) = check(&cli, "fix.toml", number)?;
        println!("    check {number}: {result}, {detail}");
        if result != "pass" {
            return Err(format!("check {number}: {result}: {detail}"));
        }
    }
    println!("\nA feature dressed as a patch: the fix, and the register `flow` of 5.0.");
    let words = [
        "`memory behind the registers`",
        "`request 04 01` (CVE-2027-4108) is answered `:D002a` by the patch",
    ];
    refused(&cli, "feature", &programs.join("app-5.0-s8"), &words[1..])?;
    println!("\nA patch that fixes nothing: the base once more.");
    refused(&cli, "nothing", &programs.join("app-4.1-s7"), &["nothing shows the exploit", words[0]])?;
    println!("\n{}: replayed in {} s", model.name, begun.elapsed().as_secs());
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result =
        match words[..] {
            ["adapter", board, image, inputs, outputs] => {
                adapter(board, Path::new(image), Path::new(inputs), Path::new(outputs))
            }
            ["demo", program, folder, board] => demo(program, folder, board),
            _ => Err("usage: replay adapter BOARD IMAGE INPUTS OUTPUTS | replay demo PATCHLANE FOLDER BOARD"
                .into()),
        };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("replay: {problem}");
            ExitCode::FAILURE
        }
    }
}
