//! Plays scenarios on boards in QEMU. Launched by `cargo xtask qemu`, which builds the firmware.

use patchlane::flash::mix;
use patchlane::scenario::{Cast, Played, Scenario, Stage, Step};
use patchlane_tests::board::{MODELS, Model};
use patchlane_tests::scenario::cost::{self, Table};
use patchlane_tests::scenario::cuts::{self, Cut, Tally};
use patchlane_tests::scenario::{OnBoard, all, board_cast, on_board};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

type Res<T> = Result<T, String>;

const USAGE: &str = "\
usage: cargo xtask qemu [--board NAME|all] [--scenario NAME] [--list]
  plays scenarios on boards, with the power cuts that they name
  --cuts N            and as many more per board, sampled over all flash operations; --seed N: others
  --replay CUTS       plays one scenario on one board with these cuts only: STEP:OPERATION:HOW,…
  --cost [--write]    counts instructions and compares them with tests/qemu/cost.txt, or writes it";

/// How much a number of tests/qemu/cost.txt may change: compilers differ, and constants of keys and images.
const TOLERANCE: u64 = 5;

struct Wanted {
    boards: Vec<&'static Model>,
    scenarios: BTreeMap<String, Scenario>,
    /// The one board and the one scenario that were named, if any was.
    board: Option<String>,
    scenario: Option<String>,
    list: bool,
    cuts: usize,
    seed: u64,
    replay: Vec<Cut>,
    cost: bool,
    write: bool,
}

impl Wanted {
    /// True if it was asked for, also if there is no such board or scenario any more.
    fn asks_for(&self, board: &str, scenario: &str) -> bool {
        let is = |named: &Option<String>, it: &str| named.as_deref().is_none_or(|named| named == it);
        is(&self.board, board) && is(&self.scenario, scenario)
    }
}

fn wanted() -> Res<Wanted> {
    let boards = MODELS.iter().collect();
    let mut wanted = Wanted {
        boards,
        scenarios: all()?,
        board: None,
        scenario: None,
        list: false,
        cuts: 0,
        seed: 1,
        replay: Vec::new(),
        cost: false,
        write: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} wants a value\n{USAGE}"));
        let number = |text: String| text.parse().map_err(|_| format!("`{text}` is no number"));
        match argument.as_str() {
            "--list" => wanted.list = true,
            "--cost" => wanted.cost = true,
            "--write" => wanted.write = true,
            "--cuts" => wanted.cuts = number(value()?)? as usize,
            "--seed" => wanted.seed = number(value()?)?,
            "--replay" => wanted.replay = value()?.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--board" => match value()?.as_str() {
                "all" => {}
                name => {
                    let known = || MODELS.map(|model| model.name).join(", ");
                    wanted.boards = vec![Model::named(name).ok_or_else(|| format!("boards: {}", known()))?];
                    wanted.board = Some(name.to_owned());
                }
            },
            "--scenario" => {
                let name = value()?;
                wanted.scenarios.retain(|known, _| *known == name);
                wanted.scenario = Some(name);
            }
            other => return Err(format!("`{other}` isn't understood\n{USAGE}")),
        }
    }
    match (wanted.scenarios.len(), wanted.replay.is_empty()) {
        (0, _) => Err("there is no such scenario: --list shows them".into()),
        (1, false) if wanted.boards.len() == 1 => Ok(wanted),
        (_, false) => Err("--replay wants one board and one scenario".into()),
        (_, true) => Ok(wanted),
    }
}

/// Where flash files lie while they are played, and stay if something goes otherwise.
fn flash(model: &Model, name: &str) -> Res<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/qemu");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let folder = folder.canonicalize().unwrap_or(folder);
    Ok(folder.join(format!("{}-{name}-{}.flash", model.name, std::process::id())))
}

/// What a failure leaves: the flash image, what the board said, and the command that shows it again.
fn left(player: &OnBoard, name: &str, how: &str, number: usize, what: &str) -> String {
    let (board, path) = (player.board.model.name, player.board.flash());
    let console = path.with_extension("console");
    let _ = std::fs::write(&console, player.board.said().join("\n") + "\n");
    format!(
        "{board}: {name}: step {}: {what}\n  flash: {}\n  said:  {}\n  again: cargo xtask qemu --board {board} \
         --scenario {name}{how}",
        number + 1,
        path.display(),
        console.display()
    )
}

/// How a case is played again with these cuts.
fn again(cuts: &[Cut]) -> String {
    if cuts.is_empty() { String::new() } else { format!(" --replay {}", cuts::spelt(cuts)) }
}

/// Of the command that counts.
const COUNTED: &str = " --cost";

struct Case<'a> {
    model: &'static Model,
    name: &'a str,
    scenario: &'a Scenario,
    cast: Cast,
}

impl<'a> Case<'a> {
    fn new(model: &'static Model, name: &'a str, scenario: &'a Scenario) -> Res<Self> {
        Ok(Self { model, name, scenario, cast: board_cast(model, scenario)? })
    }

    fn board(&self, counted: bool) -> Res<OnBoard> {
        let mut player = on_board(self.model, &self.cast, &flash(self.model, self.name)?)?;
        player.board.counted = counted;
        match player.start() {
            Ok(()) => Ok(player),
            Err(what) => {
                let _ = player.board.cut();
                let how = if counted { COUNTED } else { "" };
                Err(left(&player, self.name, how, 0, &what))
            }
        }
    }

    /// Ends well, and nothing is left; unless a driver refused an operation on the way.
    fn close(&self, mut player: OnBoard, cuts: &[Cut]) -> Res<()> {
        if let Some(line) = player.board.said().iter().find(|line| line.starts_with("# flash:")) {
            let _ = player.board.cut();
            return Err(left(&player, self.name, &again(cuts), 0, line));
        }
        let path = player.board.flash().to_path_buf();
        drop(player);
        let _ = std::fs::remove_file(path);
        Ok(())
    }

    /// Plays it as it is written; returns the flash operations of each step that could be cut.
    fn play(&self) -> Res<Vec<u64>> {
        let begun = Instant::now();
        let mut stage = Stage::new(self.scenario, &self.cast, self.board(false)?);
        let mut operations = Vec::new();
        let played = self.steps(&mut stage, &mut operations);
        match played.and_then(|()| self.asked(&mut stage.player)) {
            Ok((boot, app)) => println!(
                "{:11} {}: {} steps in {:.1} s; stack: bootloader {boot}, application {app} bytes",
                self.model.name,
                self.name,
                operations.len(),
                begun.elapsed().as_secs_f64()
            ),
            Err(what) => {
                // What it was doing has to be on flash before it is left.
                let _ = stage.player.board.cut();
                // What is asked behind the last step belongs to that one.
                let number = operations.len().min(self.scenario.step.len().saturating_sub(1));
                return Err(left(&stage.player, self.name, "", number, &what));
            }
        }
        self.fill(&mut operations);
        self.close(stage.player, &[]).map(|()| operations)
    }

    /// All steps, and the operations of each that was done.
    fn steps(&self, stage: &mut Stage<'_, OnBoard>, operations: &mut Vec<u64>) -> Res<()> {
        for (number, step) in self.scenario.step.iter().enumerate() {
            let before = stage.player.operations()?;
            let played = stage.step(number)?;
            let after = stage.player.operations()?;
            let flat = matches!(step, Step::Status(_) | Step::Ask { .. });
            operations.push(if flat || played.cut.is_some() { 0 } else { after - before });
            self.say(&played);
        }
        Ok(())
    }

    /// What the board is asked when all is done: that its driver refuses, and the stacks of bootloader and application.
    fn asked(&self, player: &mut OnBoard) -> Res<(usize, usize)> {
        // By whoever holds the driver: on a small part the bootloader.
        player.serve()?;
        match player.unrefused()? {
            0 => {}
            n => return Err(format!("its flash driver lets {n} broken rules pass")),
        }
        let (boot, app) = player.stack()?;
        let may = self.model.stack;
        if boot.max(app) > may {
            return Err(format!("the stack grew beyond {may} bytes: bootloader {boot}, application {app}"));
        }
        Ok((boot, app))
    }

    /// A step with a cut of its own has as many operations as the largest of its kind.
    fn fill(&self, operations: &mut [u64]) {
        let kind = std::mem::discriminant::<Step>;
        let steps = &self.scenario.step;
        let known: Vec<_> = steps.iter().map(kind).zip(operations.to_vec()).collect();
        for (step, count) in steps.iter().zip(operations) {
            let own = matches!(step, Step::Send { cut: true, .. } | Step::Restart { cut: Some(_) });
            if own {
                let like = known.iter().filter(|(other, _)| *other == kind(step));
                *count = like.map(|(_, count)| *count).max().unwrap_or(0).max(30);
            }
        }
    }

    /// Plays it on a board that counts.
    fn measure(&self) -> Res<cost::Cost> {
        let (mut player, result) = cost::measure(self.scenario, &self.cast, self.board(true)?);
        match result {
            Ok(cost) => {
                let _ = std::fs::remove_file(player.board.flash());
                Ok(cost)
            }
            Err(failure) => {
                let _ = player.board.cut();
                Err(left(&player, self.name, COUNTED, failure.number, &failure.what))
            }
        }
    }

    fn say(&self, played: &Played) {
        let cut = played.cut.map(|cut| format!(", power fails at {}", cut.name())).unwrap_or_default();
        let Played { action, subject, outcome, runs, .. } = played;
        println!("{:11} {}: {action} {subject}{cut}: {outcome}; {runs} runs", self.model.name, self.name);
    }

    /// Plays it with these cuts instead of its own.
    fn round(&self, cuts: &[Cut], most: usize, tally: &mut Tally) -> Res<()> {
        let scenario = cuts::stripped(self.scenario);
        let (mut player, result) =
            cuts::round((&scenario, &self.cast), self.board(false)?, cuts, most, tally);
        if let Err(failure) = result {
            let _ = player.board.cut();
            let upto = cuts.iter().filter(|cut| cut.step() <= failure.number).copied().collect::<Vec<_>>();
            return Err(left(&player, self.name, &again(&upto), failure.number, &failure.what));
        }
        self.close(player, cuts)
    }
}

/// What was played on one board.
#[derive(Default)]
struct Report {
    scenarios: Vec<String>,
    tally: Tally,
    problems: Vec<String>,
    costs: Table,
}

fn on(model: &'static Model, wanted: &Wanted) -> Report {
    let mut report = Report::default();
    let mut played = Vec::new();
    for (name, scenario) in &wanted.scenarios {
        let begun = Instant::now();
        let result = Case::new(model, name, scenario).and_then(|case| {
            if !wanted.replay.is_empty() {
                case.round(&wanted.replay, usize::MAX, &mut report.tally)?;
                return match report.tally.total() {
                    0 => Err(format!("none of the cuts came: {name} has {} steps", scenario.step.len())),
                    _ => Ok((case, Vec::new())),
                };
            }
            if wanted.cost {
                let cost = case.measure()?;
                report.costs.insert((model.name.into(), name.clone()), cost);
                return Ok((case, Vec::new()));
            }
            case.play().map(|operations| (case, operations))
        });
        let seconds = begun.elapsed().as_secs_f64();
        match result {
            Ok(case) => {
                report.scenarios.push(format!("{name} {seconds:.0} s"));
                played.push(case);
            }
            Err(problem) => report.problems.push(problem),
        }
    }
    sampled(model, wanted, &played, &mut report);
    report
}

/// Rounds of sampled cuts, until there were enough.
fn sampled(model: &Model, wanted: &Wanted, played: &[(Case<'_>, Vec<u64>)], report: &mut Report) {
    let mut seed = wanted.seed;
    let begun = Instant::now();
    while report.tally.total() < wanted.cuts && report.problems.is_empty() && !played.is_empty() {
        // Each scenario has its share.
        let share = wanted.cuts.div_ceil(played.len());
        for (case, operations) in played {
            let left = wanted.cuts.saturating_sub(report.tally.total()).min(share);
            if left == 0 {
                break;
            }
            seed += 1;
            let cuts = cuts::sample(operations, mix(seed));
            if let Err(problem) = case.round(&cuts, left, &mut report.tally) {
                report.problems.push(problem);
            }
            let so_far = report.tally.total();
            println!("{:11} {so_far} cuts after {:.0} s", model.name, begun.elapsed().as_secs_f64());
        }
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("qemu/cost.txt")
}

const HEADER: &str = "\
# Thousands of instructions on QEMU's boards, as `cargo xtask qemu --cost --write` counted them (no cycles; rustc 1.96,
# opt-level z). `cargo xtask qemu --cost` compares: a number that differs by more than 5 % is a failure.
# head: verify, judge and record one, the dearest of the scenario (a feature update bears two signatures, a patch without
# payload is verified twice); payload KiB: all other answers of a transfer; boot: the dearest start that moves nothing; block
# moved: of the board's size, both ways.
# bad-release also moves a release that hangs in and back, which is smaller: less is copied for each block.
";

fn compare(table: &Table, wanted: &Wanted) -> Res<()> {
    print!("\n{}", cost::written(table));
    let path = file();
    if wanted.write {
        // What wasn't asked for now stays as it was.
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let mut all = cost::read(&kept)?;
        all.retain(|(board, scenario), _| !wanted.asks_for(board, scenario));
        all.extend(table.clone());
        let text = format!("{HEADER}{}", cost::written(&all));
        return std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()));
    }
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let asked = |board: &str, scenario: &str| wanted.asks_for(board, scenario);
    let lines = cost::drift(&cost::read(&text)?, table, TOLERANCE, asked);
    if lines.is_empty() {
        println!("as in tests/qemu/cost.txt, within {TOLERANCE} %");
        return Ok(());
    }
    let again = "if that is meant to be so: cargo xtask qemu --cost --write";
    Err(format!("beyond {TOLERANCE} % of tests/qemu/cost.txt:\n{}\n{again}", lines.join("\n")))
}

fn run() -> Res<()> {
    let wanted = wanted()?;
    if wanted.list {
        MODELS.iter().for_each(|model| println!("--board {:12}  {}", model.name, model.about));
        wanted.scenarios.iter().for_each(|(name, s)| println!("--scenario {name:12} {}", s.title));
        return Ok(());
    }
    let reports: Vec<_> = std::thread::scope(|scope| {
        let boards = wanted.boards.iter().map(|model| scope.spawn(|| on(model, &wanted)));
        let boards: Vec<_> = boards.collect();
        boards.into_iter().map(|board| board.join().unwrap_or_default()).collect()
    });
    let (mut problems, mut costs) = (Vec::new(), Table::new());
    println!();
    for (model, report) in wanted.boards.iter().zip(reports) {
        let Tally { cuts: [before, middle, after], spared, taken } = report.tally;
        println!("{:11} {} played: {}", model.name, report.scenarios.len(), report.scenarios.join(", "));
        if report.tally.total() + spared > 0 {
            println!(
                "{:11} {} cuts: {before} before an operation, {middle} torn, {after} after one; {taken} times all \
                 was in already; {spared} steps ended before",
                "",
                report.tally.total()
            );
        }
        if report.scenarios.len() + report.problems.len() < wanted.scenarios.len() {
            problems.push(format!("{}: not every scenario was played", model.name));
        }
        problems.extend(report.problems);
        costs.extend(report.costs);
    }
    if wanted.cost && problems.is_empty() {
        problems.extend(compare(&costs, &wanted).err());
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
