//! The story, told with the real command line: keys, bundles, and a device that takes a patch and holds a feature.
//!
//! `demo PATCHLANE FOLDER (BOARD|sim)`; launched by `cargo xtask demo`, which builds what it needs.

use patchlane::bundle::Bundle;
use patchlane::config::Config;
use patchlane::flash::{Chip, Cut, When};
use patchlane_device::{
    Boot, Cause, Config as DeviceConfig, Device, Done, NoCounter, NoWatchdog, Running, Window,
};
use patchlane_protocol::link::Outcome;
use patchlane_protocol::{OwnerDocument, Refusal, Request, Target, limits};
use patchlane_tests::board::{Board, Model, firmware};
use patchlane_tests::scenario::{OnBoard as Player, Plan};
use patchlane_tests::sim::world::image;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

type Res<T> = Result<T, String>;

fn say(text: &str) {
    println!("\n{text}");
}

/// An argument as a shell wants it.
fn quoted(argument: &str) -> String {
    let plain = argument.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:".contains(c));
    if plain { argument.to_owned() } else { format!("'{argument}'") }
}

/// Shows a command as it can be typed in the demo's folder.
fn show(arguments: &[&str]) {
    let words: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
    println!("  $ patchlane {}", words.join(" "));
}

/// The command line, run in the demo's folder.
struct Cli {
    program: PathBuf,
    folder: PathBuf,
}

impl Cli {
    /// Runs a command that has to succeed, and shows it.
    fn run(&self, arguments: &[&str]) -> Res<Value> {
        let value = self.answer(arguments)?;
        if value["ok"] == true { Ok(value) } else { Err(format!("patchlane {arguments:?}: {value}")) }
    }

    /// Runs a command, shows it, and returns what it answers, also if that is a refusal.
    fn answer(&self, arguments: &[&str]) -> Res<Value> {
        show(arguments);
        let out = Command::new(&self.program)
            .current_dir(&self.folder)
            .args(["--json", "--no-input"])
            .args(arguments)
            .output()
            .map_err(|e| format!("{}: {e}", self.program.display()))?;
        let text = String::from_utf8_lossy(&out.stdout);
        serde_json::from_str(&text)
            .map_err(|e| format!("{e}: {text}{}", String::from_utf8_lossy(&out.stderr)))
    }
}

/// A device that the story can happen to. What it answers is `taken` or a refusal, in words.
trait Stage {
    fn send(&mut self, cli: &Cli, bundle: &str, cut: bool) -> Res<String>;
    fn approve(&mut self, cli: &Cli, bundle: &str, serial: u64) -> Res<String>;
    fn restart(&mut self, cli: &Cli, cut: bool) -> Res<()>;
    fn installed(&mut self, cli: &Cli) -> Res<(String, String)>;
    fn ask(&mut self, line: &str) -> Res<Option<String>>;
    /// The image in the primary slot, `length` bytes of it.
    fn primary(&mut self, length: usize) -> Res<Vec<u8>>;
    /// Writes what can be looked at afterwards.
    fn leave(&mut self, folder: &Path) -> Res<()>;
}

const READY: &str = "taken: goes in at the restart";

/// A refusal as a decision.
fn refused(refusal: Refusal) -> String {
    match refusal {
        Refusal::Held => "held until it is approved".to_owned(),
        other => format!("refused: {other}"),
    }
}

/// What `patchlane --json device …` says about a decision.
fn decision(value: &Value) -> Res<String> {
    let code = value["refusal"].as_u64().and_then(|code| u8::try_from(code).ok());
    match (value["ok"] == true, value["outcome"].as_str(), code.and_then(Refusal::from_code)) {
        (true, Some("ready"), _) => Ok(READY.to_owned()),
        (true, outcome, _) => Ok(outcome.unwrap_or("taken").to_owned()),
        (false, _, Some(refusal)) => Ok(refused(refusal)),
        _ => Err(format!("that is no decision: {value}")),
    }
}

struct OnBoard(Player);

/// How long the board stands still until its power is cut: a command that still listens may have heard the word of it.
const STANDS: Duration = Duration::from_secs(5);

impl OnBoard {
    fn port(&mut self) -> Res<String> {
        self.0.serve()?;
        Ok(self.0.board.port()?.display().to_string())
    }

    fn status(&mut self, cli: &Cli) -> Res<Value> {
        let port = self.port()?;
        let status = cli.run(&["device", "--port", &port, "status"])?;
        let (runs, held) = summary(&status["confirmed"], &status["held"], status["superseded"] == true);
        let held = if held.is_empty() { held } else { format!(", holds {held}") };
        println!("    runs {runs}{held}; {}", status["activity"].as_str().unwrap_or_default());
        Ok(status)
    }

    /// Pushes, and cuts power during a flash operation on the way.
    fn push_and_cut(&mut self, cli: &Cli, bundle: &str) -> Res<()> {
        let port = self.port()?;
        self.0.ask_for(Plan::at(HALF_WAY, 1))?;
        show(&["device", "--port", &port, "push", bundle]);
        let pushed = Command::new(&cli.program)
            .current_dir(&cli.folder)
            .args(["-q", "device", "--timeout", "2", "--port", &port, "push", bundle])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|e| e.to_string())?;
        if pushed.success() {
            return Err("the payload went in, and power never failed".into());
        }
        self.0.board.cut()?;
        println!("    ## power fails half way: QEMU is killed, and started again on the same flash");
        self.0.start()?;
        // A cut that came too early or too late would show nothing.
        let status = self.status(cli)?;
        expect("after the cut the device", status["activity"].as_str().unwrap_or_default(), "receiving")
    }
}

/// Flash operations until power fails: records and receipt are written, the payload isn't whole.
const HALF_WAY: u16 = 40;

impl Stage for OnBoard {
    fn send(&mut self, cli: &Cli, bundle: &str, cut: bool) -> Res<String> {
        if cut {
            self.push_and_cut(cli, bundle)?;
        }
        let port = self.port()?;
        decision(&cli.answer(&["device", "--port", &port, "push", bundle])?)
    }
    fn approve(&mut self, cli: &Cli, bundle: &str, serial: u64) -> Res<String> {
        let (port, serial) = (self.port()?, serial.to_string());
        let device = ["device", "--port", &port, "approve", bundle];
        decision(&cli.answer(&[&device[..], &["--owner-key", "owner.pem", "--serial", &serial]].concat())?)
    }
    fn restart(&mut self, cli: &Cli, cut: bool) -> Res<()> {
        let port = self.port()?;
        if cut {
            self.0.ask_for(Plan::moves(1))?;
        }
        self.0.board.skip();
        cli.run(&["device", "--port", &port, "reboot"])?;
        self.0.restarted();
        if cut {
            let _ = self.0.board.wait_for("# power fails", STANDS);
            self.0.board.cut()?;
            self.0.board.power_on()?;
            let line = self.0.board.wait_for("bootloader: ", STANDS)?;
            expect("after the cut the bootloader", &line, "PowerOn, Swap")?;
            println!("    ## power fails while blocks are moved: QEMU is killed, and started again");
            println!("    {line}   (it finds itself in the middle of the swap, and goes on)");
        }
        if let Ok(line) = self.0.board.wait_for("is confirmed", 2 * STANDS) {
            println!("    {line}");
        }
        Ok(())
    }
    fn installed(&mut self, cli: &Cli) -> Res<(String, String)> {
        let status = self.status(cli)?;
        Ok(summary(&status["confirmed"], &status["held"], status["superseded"] == true))
    }
    fn ask(&mut self, line: &str) -> Res<Option<String>> {
        self.0.run()?;
        self.0.board.ask(line).map(Some)
    }
    fn primary(&mut self, length: usize) -> Res<Vec<u8>> {
        let primary = self.0.board.model.primary.0;
        self.0.board.contents(u64::from(primary), length)
    }
    fn leave(&mut self, folder: &Path) -> Res<()> {
        self.0.board.cut()?;
        let said = self.0.board.said().join("\n") + "\n";
        std::fs::write(folder.join("console.txt"), said).map_err(|e| e.to_string())?;
        println!("  flash.bin                  the board's flash as it is now");
        println!("  console.txt                every line the board said");
        Ok(())
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
        let (layout, media) = (*self.device.engine().layout(), self.device.media.clone());
        media.power.restore();
        if let Some(at) = self.cut.take() {
            media.power.plan(Cut { at, when: When::Middle });
        }
        self.device = Device::new(layout, SIM, media, NoWatchdog, NoCounter);
    }

    fn start(&mut self, cause: Cause) -> Res<()> {
        self.session();
        let boot = self.device.boot(cause);
        if self.device.media.power.is_off() {
            println!("    ## power fails while blocks are moved; it comes back");
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
            println!("  send {name}\n    ## power fails half way; it comes back");
            let _ = self.push(&bytes[..bytes.len() / 2]);
            self.start(Cause::PowerOn)?;
        }
        println!("  send {name}");
        let outcome = self.push(&bytes);
        self.device.window(Window::Open).map_err(|e| e.to_string())?;
        Ok(match outcome {
            Ok(_) if self.device.engine().needs_restart() => READY.to_owned(),
            Ok(outcome) => format!("{outcome:?}").to_lowercase(),
            Err(refusal) => refused(refusal),
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
        Ok(self.device.owner(&signed).map_or_else(refused, |_| "taken".to_owned()))
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
    fn primary(&mut self, length: usize) -> Res<Vec<u8>> {
        Ok(self.device.media.primary(length))
    }
    fn leave(&mut self, folder: &Path) -> Res<()> {
        std::fs::write(folder.join("flash.bin"), self.device.media.bytes()).map_err(|e| e.to_string())?;
        println!("  flash.bin                  the simulated flash as it is now");
        Ok(())
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

/// The board and its firmware, if the story happens on one.
type On<'a> = Option<(&'static Model, &'a Path)>;

fn prepare(cli: &Cli, on: On<'_>) -> Res<()> {
    say("1. A release engineer starts a product. (Development keys: production devices refuse them.)");
    cli.run(&["init", "--vendor", "example.com", "--class", "valve"])?;
    if let Some((model, _)) = on {
        let path = cli.folder.join("patchlane.toml");
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        let kept = text.split("# Where things lie in flash").next().unwrap_or_default();
        let kept = kept.replace("# address = 0x08010000", &format!("address = {:#x}", model.address));
        std::fs::write(&path, format!("{kept}{}", model.flash_section())).map_err(|e| e.to_string())?;
    }
    cli.run(&["key", "new", "owner.pem", "--development"])?;
    say("2. Five releases become bundles; each is signed, and judged by the device's own verifier.");
    for (name, lane, baseline, level, program, more) in RELEASES {
        let image = match on {
            Some((_, folder)) => folder.join(program),
            None => {
                let path = cli.folder.join(format!("{program}.bin"));
                let seed = program.bytes().fold(7, |seed: u64, byte| (seed * 31 + u64::from(byte)) & 0xffff);
                std::fs::write(&path, image(seed, 60_000)).map_err(|e| e.to_string())?;
                path
            }
        };
        let image = image.display().to_string();
        let build = ["build", lane, "--baseline", baseline, "--level", level, "--image", &image, "-o", name];
        cli.run(&[&build, more].concat())?;
        let signed = cli.run(&["sign", name])?;
        println!("    {} bytes; all that isn't payload: {}", signed["bytes"], signed["overhead_bytes"]);
    }
    say(
        "3. The factory makes a device: security patches go in at once, feature updates need the owner's key.",
    );
    let policy =
        ["--security-policy", "apply-in-window", "--feature-policy", "owner-key", "--owner-key", "owner.pub"];
    cli.run(&[&["provision", "4.1-s7.plb", "--development", "-o", "factory.bin"], &policy[..]].concat())?;
    Ok(())
}

struct Row {
    sent: String,
    decided: String,
    installed: String,
    held: String,
}

/// The device, and what was sent to it so far.
struct Story<'a> {
    stage: Box<dyn Stage + 'a>,
    cli: &'a Cli,
    rows: Vec<Row>,
}

impl Story<'_> {
    /// Notes what was decided; it has to be this.
    fn note(&mut self, sent: &str, decided: String, wanted: &str) -> Res<()> {
        println!("    the device: {decided}");
        expect(sent, &decided, wanted)?;
        if decided == READY {
            return Ok(());
        }
        self.row(sent, decided)
    }

    fn row(&mut self, sent: &str, decided: String) -> Res<()> {
        let (installed, held) = self.stage.installed(self.cli)?;
        self.rows.push(Row { sent: sent.into(), decided, installed, held });
        Ok(())
    }

    /// Sends a bundle, and restarts the device if it took it.
    fn deliver(&mut self, name: &str, cut: bool, wanted: &str) -> Res<()> {
        let decided = self.stage.send(self.cli, name, cut)?;
        self.note(name, decided, wanted)?;
        if wanted == READY {
            self.stage.restart(self.cli, cut)?;
            self.row(name, READY.to_owned())?;
        }
        Ok(())
    }

    fn approve(&mut self, name: &str, serial: u64, wanted: &str) -> Res<()> {
        let decided = self.stage.approve(self.cli, name, serial)?;
        self.note(&format!("owner's approval {serial}, of {name}"), decided, wanted)
    }

    fn ask(&mut self, line: &str, wanted: &str, meaning: &str) -> Res<()> {
        if let Some(reply) = self.stage.ask(line)? {
            println!("  ask the application {line} -> {reply}   {meaning}");
            expect("the application's reply", &reply, wanted)?;
        }
        Ok(())
    }
}

fn expect(what: &str, got: &str, wanted: &str) -> Res<()> {
    if got.contains(wanted) { Ok(()) } else { Err(format!("{what}: `{got}`, and it should be `{wanted}`")) }
}

const HELD: &str = "held until it is approved";
const LOSES: &str = "lose a security fix";

fn play(story: &mut Story<'_>) -> Res<()> {
    say(
        "4. The plant runs 4.1 s7. It has a hole: a request for register 4 is answered, and there are four, 0 to 3.",
    );
    story.ask(":R0401", ":Ddead", "(CVE-2027-4108: memory behind the registers)")?;
    say(
        "5. A feature update arrives. Nobody asked for it: the device holds its name, and stores nothing of it.",
    );
    story.deliver("5.0-s7.plb", false, HELD)?;
    say("6. The patch arrives over the same cable and goes straight in, through two power cuts.");
    story.deliver("4.1-s8.plb", true, READY)?;
    story.ask(":R0401", ":E02", "(no such register: fixed, and no feature came with it)")?;
    say(
        "7. The feature update that was held would bring the hole back. The device won't have it, approved or not.",
    );
    story.deliver("5.0-s7.plb", false, LOSES)?;
    say("8. 5.0 s8 has feature and fix. The owner does the due diligence, and signs an approval.");
    story.deliver("5.0-s8.plb", false, HELD)?;
    story.approve("5.0-s8.plb", 1, "taken")?;
    story.deliver("5.0-s8.plb", false, READY)?;
    story.ask(":R0401", ":D002a", "(the new register)")?;
    say("9. A week later the owner goes back to the old features, and keeps the fix.");
    story.deliver("4.1-s8-full.plb", false, HELD)?;
    story.approve("4.1-s8-full.plb", 2, "taken")?;
    story.deliver("4.1-s8-full.plb", false, READY)?;
    story.ask(":R0401", ":E02", "(the register is gone, the hole is closed)")?;
    say("10. Someone replays the first release, replays an approval, and flips one bit of a genuine bundle.");
    story.deliver("4.1-s7.plb", false, LOSES)?;
    story.approve("5.0-s8.plb", 1, "refused")?;
    let path = story.cli.folder.join("5.0-s8.plb");
    let mut bytes = std::fs::read(&path).map_err(|e| e.to_string())?;
    let payload = Bundle::parse(&bytes).map_err(|e| e.to_string())?.payload().len();
    let at = bytes.len() - payload - 5;
    bytes[at] ^= 1;
    std::fs::write(story.cli.folder.join("altered.plb"), bytes).map_err(|e| e.to_string())?;
    story.deliver("altered.plb", false, "refused")
}

/// What runs at the end is what the release engineer linked, byte for byte.
fn compare(story: &mut Story<'_>) -> Res<usize> {
    let bytes = std::fs::read(story.cli.folder.join("4.1-s8-full.plb")).map_err(|e| e.to_string())?;
    let image = Bundle::parse(&bytes).and_then(|bundle| bundle.image_for(None)).map_err(|e| e.to_string())?;
    let image = image.ok_or("4.1 s8 has no image")?;
    if story.stage.primary(image.len())? == image {
        Ok(image.len())
    } else {
        Err("the primary slot doesn't hold 4.1 s8".into())
    }
}

fn close(story: &mut Story<'_>, place: &str) -> Res<()> {
    let length = compare(story)?;
    let rows = &story.rows;
    say(&format!("What was sent to the {place}, what it decided, and what runs then:\n"));
    let width = |f: &dyn Fn(&Row) -> usize, least: usize| rows.iter().map(f).max().unwrap_or(0).max(least);
    let (a, b) = (width(&|r| r.sent.len(), 4), width(&|r| r.decided.len(), 7));
    println!("  {:a$}  {:b$}  {:6}  held", "sent", "decided", "runs");
    for row in rows {
        let line = format!("  {:a$}  {:b$}  {:6}  {}", row.sent, row.decided, row.installed, row.held);
        println!("{}", line.trim_end());
    }
    println!(
        "\nPower failed twice on the way. What runs is 4.1 s8 as it was linked: {length} bytes compared."
    );
    println!("\nLook around in {}", story.cli.folder.display());
    println!("  *.plb                      bundles: patchlane inspect 4.1-s8.plb");
    println!("  patchlane.toml, trust/     the product: its root and development keys");
    println!("  owner.pem, owner.pub       the owner's key");
    println!("  factory.bin                flash as it left the factory");
    story.stage.leave(&story.cli.folder)?;
    println!("  the command itself is {}", story.cli.program.display());
    Ok(())
}

fn run() -> Res<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, folder, kind] = &arguments[..] else {
        return Err("usage: demo PATCHLANE FOLDER (virt|sim)".into());
    };
    let cli = Cli { program: program.into(), folder: folder.into() };
    let model = Model::named(kind);
    if model.is_none() && kind != "sim" {
        return Err(format!("there is no board `{kind}`"));
    }
    let folder = model.map(firmware).transpose()?.map(|f| f.canonicalize().unwrap_or(f));
    let firmware: On<'_> = model.zip(folder.as_deref());
    let place = if model.is_some() { "board" } else { "simulator" };
    let on = model.map_or("simulated flash".to_owned(), |model| {
        format!("a board in QEMU ({}: {}), its flash in a file", model.name, model.about)
    });
    println!(
        "\nThe story happens on {on}. A version has two axes: in `4.1 s7`, 4.1 counts features, s7 security fixes."
    );
    prepare(&cli, firmware)?;
    let contents = std::fs::read(cli.folder.join("factory.bin")).map_err(|e| e.to_string())?;
    let stage: Box<dyn Stage> = match firmware {
        Some((model, folder)) => {
            let flash = cli.folder.join("flash.bin");
            let mut player = Player::new(Board::new(model, &folder.join("boot"), &flash, &contents)?);
            player.start()?;
            Box::new(OnBoard(player))
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
    let mut story = Story { stage, cli: &cli, rows: Vec::new() };
    play(&mut story)?;
    close(&mut story, place)
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
