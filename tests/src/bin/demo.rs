//! The story, told with the real command line: keys, bundles, and a device that takes a patch and holds a feature.
//!
//! `demo PATCHLANE FOLDER (virt|sim)`; launched by `cargo xtask demo`, which builds what it needs.

use patchlane::bundle::Bundle;
use patchlane::config::Config;
use patchlane::flash::Chip;
use patchlane_device::{
    Boot, Cause, Config as DeviceConfig, Device, Done, NoCounter, NoWatchdog, Running, Window,
};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{OwnerDocument, Request, Target, limits};
use patchlane_tests::board::{ADDRESS, Board, FLASH_SECTION};
use patchlane_tests::sim::world::image;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

type Res<T> = Result<T, String>;

fn say(text: &str) {
    println!("\n{text}");
}

/// The command line, run in the demo's folder.
struct Cli {
    program: PathBuf,
    folder: PathBuf,
}

impl Cli {
    /// Runs a command and shows it; `ok` says whether it should succeed.
    fn run(&self, arguments: &[&str], ok: bool) -> Res<Value> {
        println!("  $ patchlane {}", arguments.join(" "));
        let out = Command::new(&self.program)
            .current_dir(&self.folder)
            .args(["--json", "--no-input"])
            .args(arguments)
            .output()
            .map_err(|e| format!("{}: {e}", self.program.display()))?;
        let text = String::from_utf8_lossy(&out.stdout);
        let value: Value = serde_json::from_str(&text)
            .map_err(|e| format!("{e}: {text}{}", String::from_utf8_lossy(&out.stderr)))?;
        if out.status.success() == ok {
            Ok(value)
        } else {
            Err(format!("patchlane {arguments:?} ended with {}: {text}", out.status))
        }
    }
}

/// A device that the story can happen to.
trait Stage {
    fn send(&mut self, cli: &Cli, bundle: &str, cut: bool) -> Res<String>;
    fn approve(&mut self, cli: &Cli, bundle: &str, serial: u64) -> Res<String>;
    fn restart(&mut self, cli: &Cli, cut: bool) -> Res<()>;
    fn installed(&mut self, cli: &Cli) -> Res<(String, String)>;
    fn ask(&mut self, line: &str) -> Res<Option<String>>;
}

fn answer_of(value: &Value) -> String {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    text("outcome").or_else(|| text("what")).unwrap_or_else(|| "taken".into())
}

struct OnBoard(Board);

/// Where the board stages images: block 1 of the secondary slot.
const STAGED: u64 = 0x2c_0000;
const PATIENCE: Duration = Duration::from_secs(30);

impl OnBoard {
    fn device(&mut self, cli: &Cli, arguments: &[&str], ok: bool) -> Res<Value> {
        self.0.drain();
        let port = self.0.port()?.display().to_string();
        cli.run(&[&["device", "--port", &port], arguments].concat(), ok)
    }
}

impl Stage for OnBoard {
    fn send(&mut self, cli: &Cli, bundle: &str, cut: bool) -> Res<String> {
        if cut {
            let port = self.0.port()?.display().to_string();
            println!("  $ patchlane device --port {port} push {bundle}   (and power fails half way)");
            let mut child = Command::new(&cli.program)
                .current_dir(&cli.folder)
                .args(["-q", "device", "--timeout", "2", "--port", &port, "push", bundle])
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .map_err(|e| e.to_string())?;
            // Power fails once 16 KiB of the payload lie in the secondary slot.
            let until = Instant::now() + PATIENCE;
            while self.0.contents(STAGED + 0x4000, 16)?.iter().all(|byte| *byte == 0xff) {
                if Instant::now() > until {
                    return Err("the payload never arrived".into());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            self.0.cut();
            let _ = child.wait();
            self.0.power_on()?;
            self.0.wait_for("is confirmed", PATIENCE)?;
            // A cut that came too early or too late would show nothing.
            let status = self.device(cli, &["status"], true)?;
            expect("after the cut the device", status["activity"].as_str().unwrap_or_default(), "Receiving")?;
        }
        self.0.drain();
        let port = self.0.port()?.display().to_string();
        println!("  $ patchlane device --port {port} push {bundle}");
        let out = Command::new(&cli.program)
            .current_dir(&cli.folder)
            .args(["--json", "device", "--port", &port, "push", bundle])
            .output()
            .map_err(|e| e.to_string())?;
        serde_json::from_slice(&out.stdout).map(|value| answer_of(&value)).map_err(|e| e.to_string())
    }
    fn approve(&mut self, cli: &Cli, bundle: &str, serial: u64) -> Res<String> {
        let serial = serial.to_string();
        let arguments = ["approve", bundle, "--owner-key", "owner.pem", "--serial", &serial];
        self.device(cli, &arguments, true).map(|_| "approved".to_owned())
    }
    fn restart(&mut self, cli: &Cli, cut: bool) -> Res<()> {
        self.device(cli, &["reboot"], true)?;
        if cut {
            self.0.wait_for("moves blocks", PATIENCE)?;
            std::thread::sleep(Duration::from_millis(20));
            self.0.cut();
            println!("  (power fails while blocks are moved; it comes back)");
            self.0.power_on()?;
            let line = self.0.wait_for("PowerOn, Swap", PATIENCE)?;
            println!("  {line}");
        }
        let line = self.0.wait_for("is confirmed", PATIENCE)?;
        println!("  {line}");
        Ok(())
    }
    fn installed(&mut self, cli: &Cli) -> Res<(String, String)> {
        let status = self.device(cli, &["status"], true)?;
        Ok(summary(&status["confirmed"], &status["held"], status["superseded"] == true))
    }
    fn ask(&mut self, line: &str) -> Res<Option<String>> {
        self.0.ask(line).map(Some)
    }
}

fn summary(confirmed: &Value, held: &Value, superseded: bool) -> (String, String) {
    let held = held.as_str().map_or(String::new(), str::to_owned);
    let note = if superseded { " (superseded)" } else { "" };
    (
        confirmed.as_str().unwrap_or_default().to_owned(),
        if held.is_empty() { held } else { format!("{held}{note}") },
    )
}

struct OnSim {
    device: Device<Chip>,
    folder: PathBuf,
    cut: Option<u64>,
}

const SIM: DeviceConfig = DeviceConfig { address: None, soak: 0, fenced: false };

impl OnSim {
    fn session(&mut self) {
        let (layout, mut media) = (*self.device.engine().layout(), self.device.media.clone());
        media.off = false;
        media.cut = self.cut.take().map(|cut| media.operations + cut);
        self.device = Device::new(layout, SIM, media, NoWatchdog, NoCounter);
    }

    fn start(&mut self, cause: Cause) -> Res<()> {
        self.session();
        let boot = self.device.boot(cause);
        if self.device.media.off {
            println!("  (power fails while blocks are moved; it comes back)");
            return self.start(Cause::PowerOn);
        }
        match boot {
            Ok(Boot::Run(Running::Trial)) => {
                self.session();
                self.device.confirm().map(|_| ()).map_err(|e| e.to_string())
            }
            Ok(Boot::Run(_)) => {
                self.session();
                Ok(())
            }
            other => Err(format!("the device doesn't start: {other:?}")),
        }
    }

    fn bundle(&self, name: &str) -> Res<(Bundle, Vec<u8>)> {
        let bytes = std::fs::read(self.folder.join(name)).map_err(|e| format!("{name}: {e}"))?;
        Ok((Bundle::parse(&bytes).map_err(|e| e.to_string())?, bytes))
    }

    fn push(&mut self, bytes: &[u8]) -> Result<Outcome, patchlane_protocol::Refusal> {
        let mut offset = self.device.begin()? as usize;
        loop {
            let piece = bytes.get(offset..).unwrap_or(&[]);
            match self.device.push(offset as u32, &piece[..piece.len().min(limits::FRAME_DATA)])? {
                Done::Want(want) if !piece.is_empty() => offset = want as usize,
                Done::Outcome(outcome) => return Ok(outcome),
                _ => return Err(patchlane_protocol::Refusal::NotInService),
            }
        }
    }
}

impl Stage for OnSim {
    fn send(&mut self, _: &Cli, name: &str, cut: bool) -> Res<String> {
        let (_, bytes) = self.bundle(name)?;
        if cut {
            println!("  send {name} (and power fails half way)");
            let _ = self.push(&bytes[..bytes.len() / 2]);
            self.start(Cause::PowerOn)?;
        }
        println!("  send {name}");
        let outcome = self.push(&bytes);
        self.device.window(Window::Open).map_err(|e| e.to_string())?;
        Ok(match outcome {
            Ok(_) if self.device.engine().needs_restart() => "ready".into(),
            Ok(outcome) => format!("{outcome:?}").to_lowercase(),
            Err(refusal) => refusal.to_string(),
        })
    }
    fn approve(&mut self, _: &Cli, name: &str, serial: u64) -> Res<String> {
        println!("  the owner approves {name}, serial {serial}");
        let (bundle, _) = self.bundle(name)?;
        let owner = patchlane::keys::Passphrase { no_input: true, ..Default::default() };
        let key =
            patchlane::keys::read(&self.folder.join("owner.pem"), &owner).map_err(|e| e.to_string())?.key;
        let status = self.device.status().map_err(|e| e.to_string())?;
        let action = patchlane_protocol::Action::Approve;
        let request = Request::Release { action, manifest: bundle.digest() };
        let document = OwnerDocument { product: status.product, target: Target::All, serial, request };
        let signed = patchlane::owner::sign(&document, &[&key]).map_err(|e| e.to_string())?;
        self.device.owner(&signed).map(|_| "approved".to_owned()).map_err(|e| e.to_string())
    }
    fn restart(&mut self, _: &Cli, cut: bool) -> Res<()> {
        self.cut = cut.then_some(12);
        self.start(Cause::Requested)
    }
    fn installed(&mut self, _: &Cli) -> Res<(String, String)> {
        let status = self.device.status().map_err(|e| e.to_string())?;
        let held = status.held.map_or(Value::Null, |held| Value::from(held.release.version.to_string()));
        let superseded = status.held.is_some_and(|held| held.superseded);
        Ok(summary(&Value::from(status.confirmed.version.to_string()), &held, superseded))
    }
    fn ask(&mut self, _: &str) -> Res<Option<String>> {
        Ok(None)
    }
}

/// Name, lane, baseline, level, program, further arguments.
type Entry = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

/// The releases of the story.
const RELEASES: [Entry; 5] = [
    ("4.1-s7.plb", "security", "4.1", "7", "app-4.1-s7", &["-m", "First release"]),
    ("5.0-s7.plb", "feature", "5.0", "7", "app-5.0-s7", &["-m", "Flow register"]),
    (
        "4.1-s8.plb",
        "security",
        "4.1",
        "8",
        "app-4.1-s8",
        &["-m", "Bounds check of register requests", "--closes", "8:CVE-2027-4108:high:exploited"],
    ),
    ("5.0-s8.plb", "feature", "5.0", "8", "app-5.0-s8", &["-m", "Flow register, with the fix"]),
    ("4.1-s8-full.plb", "feature", "4.1", "8", "app-4.1-s8", &["-m", "4.1 s8 once more, as a full image"]),
];

fn prepare(cli: &Cli, firmware: Option<&Path>) -> Res<()> {
    say("1. A release engineer starts a product. (Development keys: production devices refuse them.)");
    cli.run(&["init", "--vendor", "example.com", "--class", "valve"], true)?;
    if firmware.is_some() {
        let path = cli.folder.join("patchlane.toml");
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        let kept = text.split("# Where things lie in flash").next().unwrap_or_default();
        let kept = kept.replace("# address = 0x08010000", &format!("address = {ADDRESS}"));
        std::fs::write(&path, format!("{kept}{FLASH_SECTION}")).map_err(|e| e.to_string())?;
    }
    cli.run(&["key", "new", "owner.pem", "--development"], true)?;
    say("2. Five releases become bundles; each is signed, and judged by the device's own verifier.");
    for (name, lane, baseline, level, program, more) in RELEASES {
        let image = match firmware {
            Some(folder) => folder.join(program),
            None => {
                let path = cli.folder.join(format!("{program}.bin"));
                let seed = program.bytes().fold(7, |seed: u64, byte| (seed * 31 + u64::from(byte)) & 0xffff);
                std::fs::write(&path, image(seed, 60_000)).map_err(|e| e.to_string())?;
                path
            }
        };
        let image = image.display().to_string();
        let build = ["build", lane, "--baseline", baseline, "--level", level, "--image", &image, "-o", name];
        cli.run(&[&build, more].concat(), true)?;
        let signed = cli.run(&["sign", name], true)?;
        println!("    {} bytes, {} of them not payload", signed["bytes"], signed["overhead_bytes"]);
    }
    say(
        "3. The factory makes a device: security patches go in at once, feature updates need the owner's key.",
    );
    let policy =
        ["--security-policy", "apply-in-window", "--feature-policy", "owner-key", "--owner-key", "owner.pub"];
    cli.run(
        &[&["provision", "4.1-s7.plb", "--development", "-o", "factory.bin"], &policy[..]].concat(),
        true,
    )?;
    Ok(())
}

struct Row {
    sent: String,
    decided: String,
    installed: String,
    held: String,
}

/// Sends one bundle, restarts if it is ready, and notes what came of it.
fn deliver(stage: &mut dyn Stage, cli: &Cli, name: &str, cut: bool, rows: &mut Vec<Row>) -> Res<String> {
    let decided = stage.send(cli, name, cut)?;
    println!("  the device: {decided}");
    if decided == "ready" {
        stage.restart(cli, cut)?;
    }
    let (installed, held) = stage.installed(cli)?;
    rows.push(Row { sent: name.into(), decided: decided.clone(), installed, held });
    Ok(decided)
}

fn expect(what: &str, got: &str, wanted: &str) -> Res<()> {
    if got.contains(wanted) { Ok(()) } else { Err(format!("{what}: `{got}`, and it should be `{wanted}`")) }
}

fn ask(stage: &mut dyn Stage, line: &str, wanted: &str, meaning: &str) -> Res<()> {
    if let Some(reply) = stage.ask(line)? {
        println!("  {line} -> {reply}   {meaning}");
        expect("the application's reply", &reply, wanted)?;
    }
    Ok(())
}

fn play(stage: &mut dyn Stage, cli: &Cli) -> Res<Vec<Row>> {
    let mut rows = Vec::new();
    say("4. The plant runs 4.1 s7. It has a hole: one request reads beyond its four registers.");
    ask(stage, ":R0401", ":Ddead", "(CVE-2027-4108: that is no register)")?;
    say("5. A feature update arrives. Nobody asked for it; it is held, not stored.");
    expect("5.0 s7", &deliver(stage, cli, "5.0-s7.plb", false, &mut rows)?, "held until it is approved")?;
    say("6. The patch arrives over the same cable and goes straight in, through two power cuts.");
    expect("4.1 s8", &deliver(stage, cli, "4.1-s8.plb", true, &mut rows)?, "ready")?;
    ask(stage, ":R0401", ":E02", "(fixed; no new feature came with it)")?;
    say("7. The held feature update would lose the fix now.");
    expect("5.0 s7 again", &deliver(stage, cli, "5.0-s7.plb", false, &mut rows)?, "lose a security fix")?;
    say("8. 5.0 s8 has the fix. The owner does the due diligence, and approves it.");
    expect("5.0 s8", &deliver(stage, cli, "5.0-s8.plb", false, &mut rows)?, "held until it is approved")?;
    stage.approve(cli, "5.0-s8.plb", 1)?;
    expect("5.0 s8 approved", &deliver(stage, cli, "5.0-s8.plb", false, &mut rows)?, "ready")?;
    ask(stage, ":R0401", ":D002a", "(the new register)")?;
    say("9. A week later the owner goes back to the old features, and keeps the fix.");
    expect(
        "rollback",
        &deliver(stage, cli, "4.1-s8-full.plb", false, &mut rows)?,
        "held until it is approved",
    )?;
    stage.approve(cli, "4.1-s8-full.plb", 2)?;
    expect("rollback approved", &deliver(stage, cli, "4.1-s8-full.plb", false, &mut rows)?, "ready")?;
    say("10. Someone replays the old release, and alters one byte of the new one.");
    expect("4.1 s7", &deliver(stage, cli, "4.1-s7.plb", false, &mut rows)?, "lose a security fix")?;
    let mut bytes = std::fs::read(cli.folder.join("4.1-s8.plb")).map_err(|e| e.to_string())?;
    bytes[100] ^= 1;
    std::fs::write(cli.folder.join("altered.plb"), bytes).map_err(|e| e.to_string())?;
    let refused = cli.run(&["verify", "altered.plb"], false)?;
    println!("    {} {}", refused["place"].as_str().unwrap_or_default(), answer_of(&refused));
    Ok(rows)
}

fn table(rows: &[Row], place: &str) {
    say(&format!("What was sent to the {place}, what it decided, and what runs:"));
    let width = |f: &dyn Fn(&Row) -> usize, least: usize| rows.iter().map(f).max().unwrap_or(0).max(least);
    let (a, b) = (width(&|r| r.sent.len(), 4), width(&|r| r.decided.len(), 7));
    println!("  {:a$}  {:b$}  {:6}  held", "sent", "decided", "runs");
    for row in rows {
        println!("  {:a$}  {:b$}  {:6}  {}", row.sent, row.decided, row.installed, row.held);
    }
}

fn run() -> Res<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, folder, kind] = &arguments[..] else {
        return Err("usage: demo PATCHLANE FOLDER (virt|sim)".into());
    };
    let cli = Cli { program: program.into(), folder: folder.into() };
    let firmware = if kind == "virt" { Some(patchlane_tests::board::firmware()?) } else { None };
    let firmware = firmware.map(|f| f.canonicalize().unwrap_or(f));
    prepare(&cli, firmware.as_deref())?;
    let contents = std::fs::read(cli.folder.join("factory.bin")).map_err(|e| e.to_string())?;
    let place = if kind == "virt" { "board" } else { "simulator" };
    let mut stage: Box<dyn Stage> = match &firmware {
        Some(folder) => {
            let mut board = Board::new(&folder.join("boot"), &cli.folder.join("flash.bin"), &contents)?;
            board.power_on()?;
            board.wait_for("is confirmed", PATIENCE)?;
            Box::new(OnBoard(board))
        }
        None => {
            let config = Config::read(&cli.folder.join("patchlane.toml")).map_err(|e| e.to_string())?;
            let layout = config.flash.ok_or("no [flash]")?.layout().map_err(|e| e.to_string())?;
            let chip = Chip::holding(layout, &contents);
            let device = Device::new(layout, SIM, chip, NoWatchdog, NoCounter);
            let mut sim = OnSim { device, folder: cli.folder.clone(), cut: None };
            sim.start(Cause::PowerOn)?;
            Box::new(sim)
        }
    };
    let rows = play(stage.as_mut(), &cli)?;
    table(&rows, place);
    println!("\nLook around: {} (bundles, keys, root, flash image)", cli.folder.display());
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("demo: {problem}");
            ExitCode::FAILURE
        }
    }
}
