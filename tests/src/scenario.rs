//! Scenarios: stories as data, played on any machine. `tests/scenarios/README.md` is the schema.

use crate::board::{Board, firmware};
use crate::sim::chip::Geometry;
use crate::sim::power::{Cut, Torn, When};
use crate::sim::world::{self, Release};
use crate::sim::{SimDevice, sweep};
use patchlane::flash::Chip;
use patchlane::link::{Answer, Link};
use patchlane_device::{
    Boot, Cause, Config, Device, Factory, Layout, NoCounter, NoWatchdog, Place, Running, Window,
};
use patchlane_protocol::link::{Command, Outcome};
use patchlane_protocol::{FeaturePolicy, Kind, Policy, Refusal, SecurityPolicy, Status, Version, limits};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One line on what it shows.
    pub title: String,
    /// How the device leaves the factory.
    pub device: Start,
    /// Releases by name.
    pub release: BTreeMap<String, ReleaseEntry>,
    /// What happens, in order.
    pub step: Vec<Step>,
}

/// How the device leaves the factory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The release it runs.
    pub first: String,
    /// off, notify, stage-only, apply-in-window.
    pub security: String,
    /// never, local, owner-key, auto.
    pub feature: String,
    /// True if it has an owner.
    #[serde(default)]
    pub owner: bool,
}

/// A release.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseEntry {
    /// security or feature: who signs.
    pub lane: String,
    /// LINE.STEP.
    pub baseline: String,
    /// The security level.
    pub level: u32,
    /// The program on a board, under target/firmware.
    pub firmware: String,
    /// False for a release that hangs when it runs.
    #[serde(default = "yes")]
    pub works: bool,
    /// False for a patch without payload.
    #[serde(default = "yes")]
    pub payload: bool,
    /// What is wrong with the bundle: a byte is flipped in its `manifest`, `signatures` or `payload`.
    pub damage: Option<String>,
}

fn yes() -> bool {
    true
}

/// One thing that happens; exactly one of `send`, `approve`, `owner`, `restart`, `status`, `ask`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// Sends this release's bundle.
    pub send: Option<String>,
    /// Sends the owner's approval of this release.
    pub approve: Option<String>,
    /// The approval's serial.
    pub serial: u64,
    /// Restarts the device, and lets it come to rest.
    pub restart: bool,
    /// Compares the status report.
    pub status: Option<Expected>,
    /// Sends a line to the application (boards only).
    pub ask: Option<String>,
    /// Power fails at this commit point: `receiving` (half of the bundle is sent), `moving` (blocks are being moved),
    /// `trial` (the new release starts for the first time).
    pub cut: Option<String>,
    /// What the device answers: an outcome, a refusal, or the application's line.
    pub answer: Option<String>,
}

/// What a status report has to say; what isn't named isn't compared.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expected {
    /// The confirmed version.
    pub installed: Option<String>,
    /// The held version; empty for none.
    pub held: Option<String>,
    /// Whether what is held is superseded.
    pub superseded: Option<bool>,
    /// What it is doing.
    pub activity: Option<String>,
}

/// Something that plays a device.
pub trait Player {
    /// What it calls itself.
    fn name(&self) -> &'static str;
    /// Sends a bundle; power may fail on the way, and then it is sent again.
    ///
    /// # Errors
    /// A defect, in words. What the device answers is no defect.
    fn send(&mut self, bundle: &[u8], cut: bool) -> Result<String, String>;
    /// Sends an owner document.
    ///
    /// # Errors
    /// A defect, in words.
    fn owner(&mut self, document: &[u8]) -> Result<String, String>;
    /// Restarts, and waits until an application runs and nothing is on trial.
    ///
    /// # Errors
    /// A defect, in words.
    fn restart(&mut self, cut: Option<&str>) -> Result<(), String>;
    /// Asks for the status report.
    ///
    /// # Errors
    /// A defect, in words.
    fn status(&mut self) -> Result<Status, String>;
    /// Sends a line to the application, if there is one.
    ///
    /// # Errors
    /// A defect, in words.
    fn ask(&mut self, line: &str) -> Result<Option<String>, String>;
    /// Deepest stack of bootloader and application so far, in bytes, where it can be measured.
    ///
    /// # Errors
    /// A defect, in words.
    fn stack(&mut self) -> Result<Option<(usize, usize)>, String>;
    /// The image in the primary slot, `length` bytes of it.
    ///
    /// # Errors
    /// A defect, in words.
    fn primary(&mut self, length: usize) -> Result<Vec<u8>, String>;
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let scenario: Self = toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        for step in &scenario.step {
            let kinds = [
                step.send.is_some(),
                step.approve.is_some(),
                step.restart,
                step.status.is_some(),
                step.ask.is_some(),
            ];
            if kinds.iter().filter(|kind| **kind).count() != 1 {
                return Err(format!("{}: a step does exactly one thing: {step:?}", path.display()));
            }
            let names = step.send.iter().chain(&step.approve).chain([&scenario.device.first]);
            if let Some(name) = names.into_iter().find(|name| !scenario.release.contains_key(*name)) {
                return Err(format!("{}: there is no release `{name}`", path.display()));
            }
        }
        Ok(scenario)
    }

    /// Every scenario of the folder, by name.
    ///
    /// # Errors
    /// What is wrong with a file.
    pub fn all() -> Result<BTreeMap<String, Self>, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut all = BTreeMap::new();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_some_and(|e| e == "toml") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                all.insert(name, Self::read(&path)?);
            }
        }
        Ok(all)
    }

    fn factory(&self) -> Result<Factory, String> {
        let security = match self.device.security.as_str() {
            "off" => SecurityPolicy::Off,
            "notify" => SecurityPolicy::Notify,
            "stage-only" => SecurityPolicy::StageOnly,
            "apply-in-window" => SecurityPolicy::ApplyInWindow,
            other => return Err(format!("`{other}` is no security policy")),
        };
        let feature = match self.device.feature.as_str() {
            "never" => FeaturePolicy::Never,
            "local" => FeaturePolicy::Local,
            "owner-key" => FeaturePolicy::OwnerKey,
            "auto" => FeaturePolicy::Auto,
            other => return Err(format!("`{other}` is no feature policy")),
        };
        Ok(world::factory(Policy { security, feature }, self.device.owner))
    }

    /// A release with the image that `image` gives it.
    fn release(
        &self,
        name: &str,
        image: &dyn Fn(&ReleaseEntry) -> Result<Vec<u8>, String>,
    ) -> Result<Release, String> {
        let entry = self.release.get(name).ok_or_else(|| format!("there is no release `{name}`"))?;
        let (line, step) = entry.baseline.split_once('.').ok_or("a baseline is LINE.STEP")?;
        let number = |text: &str| text.parse::<u16>().map_err(|e| format!("baseline {text}: {e}"));
        let kind = if entry.lane == "feature" { Kind::FeatureUpdate } else { Kind::SecurityPatch };
        let mut release = Release::patch(number(line)?, number(step)?, entry.level, image(entry)?);
        release.kind = kind;
        release.payload = entry.payload;
        Ok(release)
    }
}

/// A bundle's file, damaged where the scenario says so.
fn bytes_of(entry: &ReleaseEntry, release: &Release) -> Result<Vec<u8>, String> {
    let bundle = release.bundle();
    let mut bytes = release.bytes();
    let manifest = patchlane_protocol::Header::WIDTH;
    let signatures = manifest + bundle.manifest_bytes().len();
    let payload = bytes.len() - bundle.payload().len();
    let at = match entry.damage.as_deref() {
        None => return Ok(bytes),
        Some("manifest") => signatures - 3,
        Some("signatures") => payload - 5,
        Some("payload") => payload + bundle.payload().len() / 2,
        Some(other) => return Err(format!("`{other}` can't be damaged")),
    };
    bytes[at] ^= 0x10;
    Ok(bytes)
}

/// Where a machine's images come from.
type Images<'a> = Box<dyn Fn(&ReleaseEntry) -> Result<Vec<u8>, String> + 'a>;

/// A machine for a scenario, and how it gets images.
pub struct Stage<'a> {
    /// The machine.
    pub player: Box<dyn Player + 'a>,
    images: Images<'a>,
}

/// Plays a scenario and says each step. Returns the steps played.
///
/// # Errors
/// The first step that went otherwise, and how.
pub fn play(scenario: &Scenario, stage: &mut Stage<'_>, say: &mut dyn FnMut(&str)) -> Result<usize, String> {
    let mut versions: Vec<(Version, Vec<u8>)> = Vec::new();
    for name in scenario.release.keys() {
        let release = scenario.release(name, &stage.images)?;
        versions.push((release.version, release.image));
    }
    for (number, step) in scenario.step.iter().enumerate() {
        let told =
            step_on(scenario, step, stage, &versions).map_err(|e| format!("step {}: {e}", number + 1))?;
        say(&told);
    }
    Ok(scenario.step.len())
}

fn compare(what: &str, wanted: Option<&String>, got: &str) -> Result<(), String> {
    match wanted {
        Some(wanted) if wanted != got => Err(format!("{what} is `{got}`, and should be `{wanted}`")),
        _ => Ok(()),
    }
}

fn step_on(
    scenario: &Scenario,
    step: &Step,
    stage: &mut Stage<'_>,
    versions: &[(Version, Vec<u8>)],
) -> Result<String, String> {
    let cut = step.cut.as_ref().map(|cut| format!(", power fails while {cut}")).unwrap_or_default();
    if let Some(name) = &step.send {
        let release = scenario.release(name, &stage.images)?;
        let bytes = bytes_of(&scenario.release[name], &release)?;
        let answer = stage.player.send(&bytes, step.cut.is_some())?;
        compare("the answer", step.answer.as_ref(), &answer)?;
        return Ok(format!("send {} ({}){cut}: {answer}", release.version, scenario.release[name].lane));
    }
    if let Some(name) = &step.approve {
        let release = scenario.release(name, &stage.images)?;
        let answer = stage.player.owner(&world::approval(step.serial, release.digest()))?;
        compare("the answer", step.answer.as_ref(), &answer)?;
        return Ok(format!("the owner approves {} (serial {}): {answer}", release.version, step.serial));
    }
    if let Some(line) = &step.ask {
        return Ok(match stage.player.ask(line)? {
            Some(reply) => {
                compare("the reply", step.answer.as_ref(), &reply)?;
                format!("ask {line}: {reply}")
            }
            None => format!("ask {line}: no application here"),
        });
    }
    if step.restart {
        stage.player.restart(step.cut.as_deref())?;
    }
    let status = stage.player.status()?;
    // Whatever happened: what runs is whole, and is what the record says.
    let image =
        versions.iter().find(|(version, _)| *version == status.confirmed.version).map(|(_, image)| image);
    let image =
        image.ok_or_else(|| format!("{} is confirmed, and nobody made it", status.confirmed.version))?;
    if stage.player.primary(image.len())? != *image {
        return Err(format!("the primary slot doesn't hold {}", status.confirmed.version));
    }
    let installed = status.confirmed.version.to_string();
    if let Some(expected) = &step.status {
        compare("installed", expected.installed.as_ref(), &installed)?;
        let held = status.held.map(|held| held.release.version.to_string()).unwrap_or_default();
        compare("held", expected.held.as_ref(), &held)?;
        let superseded = status.held.is_some_and(|held| held.superseded);
        if expected.superseded.is_some_and(|wanted| wanted != superseded) {
            return Err(format!("superseded is {superseded}"));
        }
        compare("activity", expected.activity.as_ref(), &format!("{:?}", status.activity))?;
        let note = if superseded { " (superseded)" } else { "" };
        let held = if held.is_empty() { String::new() } else { format!(", holds {held}{note}") };
        return Ok(format!("status: {installed} runs{held}"));
    }
    Ok(format!("restart{cut}: {installed} runs"))
}

/// The answer's name in scenario files.
fn told(result: Result<Outcome, Refusal>) -> String {
    match result {
        Ok(outcome) => format!("{outcome:?}").to_lowercase(),
        Err(refusal) => format!("{refusal:?}"),
    }
}

struct Sim {
    device: SimDevice,
    broken: Vec<patchlane_protocol::Digest>,
}

impl Sim {
    fn rest(&mut self, mut cut: Option<&str>) -> Result<(), String> {
        for _ in 0..20 {
            if cut == Some("moving") {
                // The moves come after the record that announces them: erase, three writes.
                self.device.power.plan(Cut { at: 12, when: When::Middle });
                cut = None;
            }
            if self.device.power.is_off() {
                self.device.power.restore();
                self.device.restart(Cause::PowerOn);
            } else {
                self.device.restart(Cause::Requested);
            }
            while let Some(Boot::Run(Running::Trial)) = self.device.booted {
                if cut.take() == Some("trial") {
                    self.device.restart(Cause::PowerOn);
                    continue;
                }
                let hangs = self.device.machine.open().is_ok()
                    && self.device.machine.engine().state().is_some_and(|state| {
                        state.candidate.is_some_and(|c| self.broken.contains(&c.release.manifest))
                    });
                if hangs {
                    self.device.restart(Cause::Watchdog);
                    continue;
                }
                self.device.machine.confirm().map_err(|e| format!("confirm: {e}"))?;
                break;
            }
            if !self.device.power.is_off() && !self.device.machine.engine().needs_restart() {
                return Ok(());
            }
        }
        Err("the device never comes to rest".into())
    }
}

impl Player for Sim {
    fn name(&self) -> &'static str {
        "sim"
    }
    fn send(&mut self, bundle: &[u8], cut: bool) -> Result<String, String> {
        if cut {
            let _ = self.device.push(&bundle[..bundle.len() / 2], 512);
            self.device.restart(Cause::PowerOn);
        }
        let answer = self.device.push(bundle, 512);
        // A plant whose window is open.
        self.device.machine.window(Window::Open).map_err(|e| format!("window: {e}"))?;
        let ready = answer == Ok(Outcome::Staged) && self.device.machine.engine().needs_restart();
        Ok(told(if ready { Ok(Outcome::Ready) } else { answer }))
    }
    fn owner(&mut self, document: &[u8]) -> Result<String, String> {
        Ok(told(self.device.machine.owner(document)))
    }
    fn restart(&mut self, cut: Option<&str>) -> Result<(), String> {
        self.rest(cut)?;
        let violations = self.device.power.violations();
        if violations.is_empty() { Ok(()) } else { Err(format!("{violations:?}")) }
    }
    fn status(&mut self) -> Result<Status, String> {
        self.device.machine.status().map_err(|e| format!("status: {e}"))
    }
    fn ask(&mut self, _: &str) -> Result<Option<String>, String> {
        Ok(None)
    }
    fn stack(&mut self) -> Result<Option<(usize, usize)>, String> {
        Ok(None)
    }
    fn primary(&mut self, length: usize) -> Result<Vec<u8>, String> {
        Ok(self.device.machine.media.primary.contents(0, length))
    }
}

/// A scenario on simulated flash.
///
/// # Errors
/// What is wrong with the scenario.
pub fn on_sim(scenario: &Scenario, geometry: [Geometry; 3]) -> Result<Stage<'static>, String> {
    let size = geometry[1].length - 100;
    let images = move |entry: &ReleaseEntry| {
        let seed = entry.firmware.bytes().fold(7u64, |seed, byte| (seed * 31 + u64::from(byte)) & 0xffff);
        Ok(world::image(seed, size))
    };
    let first = scenario.release(&scenario.device.first, &images)?;
    let mut device = SimDevice::new(geometry, &first, scenario.factory()?, 1, Torn::Stable);
    let mut broken = Vec::new();
    for (name, entry) in &scenario.release {
        let release = scenario.release(name, &images)?;
        device.expect(&release);
        if !entry.works {
            broken.push(release.digest());
        }
    }
    device.restart(Cause::PowerOn);
    Ok(Stage { player: Box::new(Sim { device, broken }), images: Box::new(images) })
}

/// The simulator's usual geometry.
pub const SIM: [Geometry; 3] = sweep::uniform(4, 4096, 8, 3);

struct OnBoard {
    board: Board,
}

const PATIENCE: Duration = Duration::from_secs(30);

impl OnBoard {
    fn link(&mut self) -> Result<Link, String> {
        self.board.drain();
        Link::open(&self.board.port()?, 115_200).map_err(|e| e.to_string())
    }

    fn power_on(&mut self) -> Result<(), String> {
        self.board.power_on()?;
        self.settled()
    }

    /// Waits until a confirmed release runs.
    fn settled(&mut self) -> Result<(), String> {
        self.board.wait_for("is confirmed", PATIENCE).map(|_| ())
    }
}

impl Player for OnBoard {
    fn name(&self) -> &'static str {
        "board"
    }
    fn send(&mut self, bundle: &[u8], cut: bool) -> Result<String, String> {
        if cut {
            let mut link = self.link()?;
            let mut answer = link.call(&Command::Begin).map_err(|e| e.to_string())?;
            while let Answer::Want(offset) = answer {
                let from = offset as usize;
                if from > bundle.len() / 2 {
                    break;
                }
                let bytes = &bundle[from..(from + limits::FRAME_DATA).min(bundle.len())];
                answer = link.call(&Command::Data { offset, bytes }).map_err(|e| e.to_string())?;
            }
            self.board.cut();
            self.power_on()?;
        }
        let sent = self.link()?.push(bundle, |_| {});
        match sent {
            Ok(outcome) => Ok(told(Ok(outcome))),
            Err(error) => error.refusal.map(|r| told(Err(r))).ok_or_else(|| error.to_string()),
        }
    }
    fn owner(&mut self, document: &[u8]) -> Result<String, String> {
        match self.link()?.request(&Command::Owner(document)) {
            Ok(outcome) => Ok(told(Ok(outcome))),
            Err(error) => error.refusal.map(|r| told(Err(r))).ok_or_else(|| error.to_string()),
        }
    }
    fn restart(&mut self, cut: Option<&str>) -> Result<(), String> {
        self.link()?.request(&Command::Reboot).map_err(|e| e.to_string())?;
        match cut {
            Some("moving") => {
                self.board.wait_for("moves blocks", PATIENCE)?;
                std::thread::sleep(Duration::from_millis(20));
            }
            Some("trial") => drop(self.board.wait_for("runs Trial", PATIENCE)?),
            Some(other) => return Err(format!("there is no commit point `{other}`")),
            None => return self.settled(),
        }
        self.board.cut();
        self.board.power_on()?;
        let met = if cut == Some("moving") { "PowerOn, Swap" } else { "PowerOn, Trial" };
        // A cut that came too late would show nothing.
        self.board.wait_for(met, PATIENCE)?;
        self.settled()
    }
    fn status(&mut self) -> Result<Status, String> {
        self.link()?.status().map_err(|e| e.to_string())
    }
    fn ask(&mut self, line: &str) -> Result<Option<String>, String> {
        self.board.ask(line).map(Some)
    }
    fn stack(&mut self) -> Result<Option<(usize, usize)>, String> {
        let bytes = |line: &String| {
            line.strip_prefix("# bootloader: ")?.strip_suffix(" bytes of stack")?.parse().ok()
        };
        let boot: usize =
            self.board.said.iter().filter_map(bytes).max().ok_or("the bootloader told no stack")?;
        let told = self.board.ask(":S")?;
        let app = told.strip_prefix(":D").and_then(|n| n.parse().ok()).ok_or(format!("no stack: {told}"))?;
        Ok(Some((boot, app)))
    }
    fn primary(&mut self, length: usize) -> Result<Vec<u8>, String> {
        self.board.contents(0x20_0000, length)
    }
}

/// A scenario on the board; its flash is this file.
///
/// # Errors
/// If the board can't be started, or the scenario is wrong.
pub fn on_board(scenario: &Scenario, flash: &Path) -> Result<Stage<'static>, String> {
    let folder = firmware()?;
    let bootloader = folder.join("boot");
    let images = move |entry: &ReleaseEntry| {
        let loaded = patchlane::image::read(&folder.join(&entry.firmware)).map_err(|e| e.to_string())?;
        Ok(loaded.bytes)
    };
    let first = scenario.release(&scenario.device.first, &images)?;
    let sector = 0x4_0000;
    let place = |offset, length| Place { offset, length, read: 1, write: 4, erase: sector };
    let layout =
        Layout::new(place(0, 8 * sector), place(8 * sector, 2 * sector), place(10 * sector, 3 * sector))
            .map_err(|e| e.to_string())?;
    let mut chip = Chip::new(layout);
    chip.program_primary(&first.image);
    let config = Config { address: None, soak: 0, fenced: false };
    let mut device = Device::new(layout, config, chip, NoWatchdog, NoCounter);
    let bundle = first.bundle();
    let set = bundle.signature_bytes().map_err(|e| e.to_string())?;
    let root = world::Roles::default().document();
    device
        .provision(&root, bundle.manifest_bytes(), &set, scenario.factory()?)
        .map_err(|e| format!("provisioning: it {e}"))?;
    let mut board = OnBoard { board: Board::new(&bootloader, flash, &device.media.bytes())? };
    board.power_on()?;
    Ok(Stage { player: Box::new(board), images: Box::new(images) })
}
