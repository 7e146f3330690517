//! Skips instructions of the bootloader, one at a time: `cargo xtask skips`.

use patchlane_tests::board::Model;
use patchlane_tests::skips::cases::{Case, cases};
use patchlane_tests::skips::program::Lines;
use patchlane_tests::skips::search::{Searched, search};
use patchlane_tests::skips::trace::Extent;
use patchlane_tests::skips::{Known, Tally, Target, report};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

const USAGE: &str = "\
cargo xtask skips [--quick] [--case C] [--every] [--each N] [--functions] [--board microbit]
  skips every branch, call and result of what runs in a bootloader's decisions, at the first and the last time that it runs
  --quick             a sample of the decisions themselves: what cargo xtask test runs
  --every             every instruction
  --each N            at up to N of the times that it runs
  --functions         the functions' rows, too
  --count             skips nothing: how many there are to skip, and how many of them are out of reach
  --list              cases
cargo xtask skips --replay CASE@ADDRESS:NUMBER
  one skip again, as the command that found it printed it";

/// Of the times that an instruction runs, unless told otherwise: what tests/skips.txt speaks of.
const EACH: usize = 2;

type Found = Result<Searched, String>;

/// Skips of a case in a sample.
const SAMPLE: usize = 36;

struct Wanted {
    board: &'static Model,
    extent: Extent,
    case: Option<String>,
    replay: Option<(u32, usize)>,
    functions: bool,
    list: bool,
}

fn wanted() -> Result<Wanted, String> {
    let whole = Extent { each: EACH, every: false, core: false, most: usize::MAX, count: false };
    let board = Model::named("microbit").ok_or("no microbit")?;
    let mut wanted = Wanted { board, extent: whole, case: None, replay: None, functions: false, list: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--quick" => (wanted.extent.core, wanted.extent.most) = (true, SAMPLE),
            "--functions" => wanted.functions = true,
            "--count" => wanted.extent.count = true,
            "--list" => wanted.list = true,
            "--case" => wanted.case = Some(value()?),
            "--every" => wanted.extent.every = true,
            "--each" => wanted.extent.each = value()?.parse().map_err(|_| "--each takes a number")?,
            "--board" => {
                let name = value()?;
                wanted.board = Model::named(&name).ok_or_else(|| format!("there is no board `{name}`"))?;
            }
            "--replay" => {
                let text = value()?;
                let parts = text.split_once('@').and_then(|(case, rest)| Some((case, rest.split_once(':')?)));
                let (case, (at, number)) = parts.ok_or("--replay takes CASE@ADDRESS:NUMBER")?;
                let at = u32::from_str_radix(at.trim_start_matches("0x"), 16);
                wanted.replay = Some((
                    at.map_err(|_| "--replay: the address is hexadecimal")?,
                    number.parse().map_err(|_| "--replay: the number is decimal")?,
                ));
                wanted.case = Some(case.to_owned());
            }
            _ => return Err(format!("`{word}` isn't understood")),
        }
    }
    Ok(wanted)
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("skips.txt")
}

/// Two machines at a time, each with a case of its own; what was found is told as it comes.
fn search_all(target: &Target, cases: &[Case], wanted: &Wanted, tell: &mut dyn FnMut(&Case, Found)) {
    let next = AtomicUsize::new(0);
    let (send, receive) = channel();
    let work = |send: Sender<(usize, Found)>| {
        while let Some((number, case)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, cases.get(n)?)))
        {
            let begun = Instant::now();
            let progress = |done: usize, all: usize| {
                if done.is_multiple_of(500) {
                    println!("{}: {done} of {all} after {:.0} s", case.name, begun.elapsed().as_secs_f64());
                }
            };
            let _ = send.send((number, search(target, case, wanted.extent, wanted.replay, &progress)));
        }
    };
    std::thread::scope(|scope| {
        for send in [send.clone(), send] {
            scope.spawn(move || work(send));
        }
        receive.into_iter().for_each(|(number, found)| tell(&cases[number], found));
    });
}

/// What is told at the end.
#[derive(Default)]
struct Report {
    table: String,
    unreached: String,
    beyond: usize,
    total: Tally,
    wrong: Vec<String>,
}

impl Report {
    fn take(
        &mut self,
        on: &Target,
        lines: &Lines,
        known: &Known,
        wanted: &Wanted,
        case: &Case,
        found: Found,
    ) {
        let searched = match found {
            Ok(searched) => searched,
            Err(problem) => return self.wrong.push(problem),
        };
        let (program, board) = (&on.program, on.model.name);
        self.table += &report::rows(program, case.name, &searched, wanted.functions);
        searched.skips.iter().for_each(|skip| self.total.count(&skip.verdict));
        let bad = report::bad(program, lines, &searched);
        print!("{}", report::told((board, case.name), &bad, &|at| report::place(program, lines, at)));
        if !bad.is_empty() {
            println!("    flash: {}", kept(on, case));
        }
        self.unreached += &report::unreached(program, lines, case.name, &searched);
        self.beyond += searched.out_of_reach.len();
        let Extent { each, every, core, count, .. } = wanted.extent;
        let all = each == EACH && !every && !core && wanted.replay.is_none();
        self.wrong.extend(known.differs(board, case.name, &bad, all && !count));
        if all {
            self.wrong.extend(known.reaches(board, case.name, searched.out_of_reach.len()));
        }
        if let (Some(_), [skip]) = (wanted.replay, &searched.skips[..]) {
            println!("{}: {:?}", report::place(program, lines, skip.at), skip.verdict);
        }
    }
}

/// What a bad skip leaves: the flash that it starts from.
fn kept(target: &Target, case: &Case) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/qemu");
    let path = folder.join(format!("skips-{}-{}.flash", target.model.name, case.name));
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, &case.start.flash));
    written.map_or_else(|e| e.to_string(), |()| path.display().to_string())
}

fn run() -> Result<bool, String> {
    let wanted = wanted().map_err(|problem| format!("{problem}\n{USAGE}"))?;
    let mut cases = cases(wanted.board)?;
    if wanted.list {
        cases.iter().for_each(|case| println!("--case {:16} {}", case.name, case.about));
        return Ok(true);
    }
    cases.retain(|case| wanted.case.as_ref().is_none_or(|name| name == case.name));
    if cases.is_empty() {
        return Err("there is no such case: --list shows them".into());
    }
    let (target, lines) = Target::new(wanted.board)?;
    let known = Known::read(&std::fs::read_to_string(file()).map_err(|e| e.to_string())?)?;
    let begun = Instant::now();
    let mut report = Report::default();
    search_all(&target, &cases, &wanted, &mut |case, found| {
        report.take(&target, &lines, &known, &wanted, case, found)
    });
    let Report { table, unreached, beyond, total, wrong } = report;
    println!("\n{}{table}\n{unreached}", report::head());
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{}: {} skips in {seconds:.0} s, {} let something in; {beyond} were out of reach",
        wanted.board.name,
        total.total(),
        total.bad
    );
    wrong.iter().for_each(|line| eprintln!("{line}"));
    Ok(wrong.is_empty())
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("that isn't what tests/skips.txt lists");
            ExitCode::FAILURE
        }
        Err(problem) => {
            eprintln!("skips: {problem}");
            ExitCode::from(2)
        }
    }
}
