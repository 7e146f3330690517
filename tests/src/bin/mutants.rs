//! `mutants [--area A]… [--only TEXT]… [--survivors] [--write]`: breaks the device's trust code in every way that cargo-mutants
//! knows, and sees that a test minds each or that tests/mutants.txt says why none can. Launched by `cargo xtask mutants`.

use patchlane_tests::broken::{root, source};
use patchlane_tests::mutants::explained::{Counts, Explained, compare, parse};
use patchlane_tests::mutants::list::{AREAS, Mutant, list};
use patchlane_tests::mutants::run::{Copy, Fate, Kills, Test, judge};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;
use std::{fs, thread};

/// What is asked.
#[derive(Default)]
struct Asked {
    areas: Vec<String>,
    only: Vec<String>,
    survivors: bool,
    write: bool,
}

impl Asked {
    /// True if no mutant of the areas asked for is left out.
    fn is_whole(&self) -> bool {
        self.only.is_empty() && !self.survivors
    }

    /// True if this area is asked for.
    fn wants(&self, area: &str) -> bool {
        self.areas.is_empty() || self.areas.iter().any(|wanted| wanted == area)
    }
}

const USAGE: &str = "mutants [--area A]… [--only TEXT]… [--survivors] [--write] | --list";

fn arguments(words: &[String]) -> Option<Asked> {
    let mut asked = Asked::default();
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--area" => {
                let area = words.next().filter(|a| AREAS.iter().any(|(area, _)| area == a))?;
                asked.areas.push(area.into());
            }
            "--only" => asked.only.push(words.next()?.into()),
            "--survivors" => asked.survivors = true,
            "--write" => asked.write = true,
            _ => return None,
        }
    }
    Some(asked)
}

/// Runs every test with nothing broken. Those that take too long are left out, and named.
fn measure(tests: Vec<Test>) -> Result<Vec<Test>, String> {
    let queue = Mutex::new(tests);
    let done = Mutex::new(Vec::new());
    let worker = |number: usize| -> Result<(), String> {
        let note = root().join(format!("target/mutants-met-{number}"));
        loop {
            let Some(mut test) = queue.lock().map_err(|e| e.to_string())?.pop() else { return Ok(()) };
            let quick = test.measure(&note)?;
            if quick {
                done.lock().map_err(|e| e.to_string())?.push(test);
            } else {
                println!("left out, for it takes too long: {}", test.name);
            }
        }
    };
    both(worker)?;
    done.into_inner().map_err(|e| e.to_string())
}

/// Two at a time.
fn both(worker: impl Fn(usize) -> Result<(), String> + Sync) -> Result<(), String> {
    thread::scope(|scope| {
        let workers = [0, 1].map(|number| {
            scope.spawn({
                let worker = &worker;
                move || worker(number)
            })
        });
        workers.into_iter().try_for_each(|w| w.join().unwrap_or_else(|_| Err("a worker panicked".into())))
    })
}

/// What became of each, as far as it was tried.
fn judge_all(all: &[Mutant], chosen: Vec<usize>, tests: &[Test]) -> Result<BTreeMap<usize, Fate>, String> {
    let (begun, count) = (Instant::now(), chosen.len());
    let queue = Mutex::new(chosen.into_iter().rev().collect::<Vec<_>>());
    let state = Mutex::new((BTreeMap::new(), Kills::new()));
    both(|_| {
        loop {
            let Some(mutant) = queue.lock().map_err(|e| e.to_string())?.pop() else { return Ok(()) };
            let kills = state.lock().map_err(|e| e.to_string())?.1.clone();
            let (since, fate) = (Instant::now(), judge(mutant, tests, &kills)?);
            let mut state = state.lock().map_err(|e| e.to_string())?;
            if let Fate::Caught(test) = &fate {
                *state.1.entry(test.clone()).or_default() += 1;
            }
            let name = &all[mutant].name;
            println!(
                "{} of {count}, {} s: {name}: {}",
                state.0.len() + 1,
                begun.elapsed().as_secs(),
                said(&fate, since)
            );
            state.0.insert(mutant, fate);
        }
    })?;
    state.into_inner().map(|(fates, _)| fates).map_err(|e| e.to_string())
}

fn said(fate: &Fate, since: Instant) -> String {
    let took = since.elapsed().as_millis();
    match fate {
        Fate::Caught(test) => format!("caught by {test} ({took} ms)"),
        Fate::RanOn(test) => format!("{test} runs on ({took} ms)"),
        Fate::Survived => format!("SURVIVES ({took} ms)"),
        Fate::Unmet => "SURVIVES: no test comes there".to_owned(),
        Fate::Constant => "not tried: a constant".to_owned(),
    }
}

const fn survives(fate: &Fate) -> bool {
    matches!(fate, Fate::Survived | Fate::Unmet | Fate::Constant)
}

/// What the mutants of each area came to.
fn count(
    all: &[Mutant],
    unviable: &BTreeSet<usize>,
    fates: &BTreeMap<usize, Fate>,
) -> BTreeMap<&'static str, Counts> {
    let mut areas: BTreeMap<&'static str, Counts> = BTreeMap::new();
    for (index, mutant) in all.iter().enumerate() {
        let counts = areas.entry(mutant.area).or_default();
        counts.mutants += 1;
        counts.unviable += usize::from(unviable.contains(&index));
        counts.caught += usize::from(fates.get(&index).is_some_and(|fate| !survives(fate)));
        counts.survive += usize::from(fates.get(&index).is_some_and(survives));
    }
    areas
}

/// The file with other counts.
fn rewritten(text: &str, counts: &BTreeMap<&str, String>) -> String {
    let mut new = String::new();
    for line in text.lines() {
        let area = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map(|(area, _)| area);
        match area.and_then(|area| counts.get(area).map(|counts| (area, counts))) {
            Some((area, counts)) => _ = writeln!(new, "[{area}] {counts}"),
            None => _ = writeln!(new, "{line}"),
        }
    }
    new
}

fn check(asked: &Asked, all: &[Mutant], copy: &Copy, fates: &BTreeMap<usize, Fate>) -> Result<(), String> {
    let text = source("tests/mutants.txt")?;
    let Explained { areas, reasons } = parse(&text)?;
    let named = |choose: &dyn Fn(&Fate) -> bool| -> BTreeSet<&str> {
        fates.iter().filter(|(_, fate)| choose(fate)).map(|(index, _)| all[*index].name.as_str()).collect()
    };
    let (judged, survive) = (named(&|_| true), named(&survives));
    let mut wrong = compare(&reasons, &judged, &survive, asked.is_whole() && asked.areas.is_empty());
    if asked.is_whole() {
        let counts = count(all, &copy.unviable, fates);
        let asked_for = counts.iter().filter(|(area, _)| asked.wants(area));
        let counts: BTreeMap<&str, String> =
            asked_for.map(|(area, counts)| (*area, counts.to_string())).collect();
        counts.iter().for_each(|(area, counts)| println!("[{area}] {counts}"));
        if asked.write {
            let file: PathBuf = root().join("tests/mutants.txt");
            fs::write(file, rewritten(&text, &counts)).map_err(|e| e.to_string())?;
        } else {
            let old = |area: &str| areas.get(area).map_or("nothing", String::as_str);
            let differ = counts.iter().filter(|(area, counts)| old(area) != counts.as_str());
            wrong.extend(
                differ.map(|(area, _)| format!("tests/mutants.txt says of {area}: {} (--write)", old(area))),
            );
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn mutants(asked: &Asked) -> Result<(), String> {
    let all = list()?;
    let copy = Copy::make(&all)?;
    println!("{} mutants, {} of them don't compile", all.len(), copy.unviable.len());
    let tests = measure(copy.tests()?)?;
    println!("{} tests", tests.len());
    let explained = parse(&source("tests/mutants.txt")?)?.reasons;
    let wanted = |index: &usize| {
        let mutant = &all[*index];
        !copy.unviable.contains(index)
            && asked.wants(mutant.area)
            && (asked.only.is_empty() || asked.only.iter().any(|text| mutant.name.contains(text.as_str())))
            && (!asked.survivors || explained.contains_key(&mutant.name))
    };
    let (constant, rest): (Vec<usize>, Vec<usize>) =
        (0..all.len()).filter(wanted).partition(|n| all[*n].constant);
    let mut fates = judge_all(&all, rest, &tests)?;
    fates.extend(constant.into_iter().map(|n| (n, Fate::Constant)));
    check(asked, &all, &copy, &fates)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == ["--list"] {
        AREAS.iter().for_each(|(area, files)| println!("{area}: {}", files.join(" ")));
        return ExitCode::SUCCESS;
    }
    let Some(asked) = arguments(&words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match mutants(&asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
