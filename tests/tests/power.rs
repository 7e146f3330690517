//! Power cuts at every operation of everything that an operator does (I14), and a harness that is shown to notice.

use patchlane::flash::{Cut, Power, Torn, When, mix};
use patchlane_device::{Boot, Cause, Running};
use patchlane_flash::{Bank, Case, Options, Run, Search, Subject};
use patchlane_protocol::status::Activity;
use patchlane_tests::cuts::world::Instant;
use patchlane_tests::cuts::{Extent, Lie, PLANS, Report, SHAPES, Story, Title};
use patchlane_tests::sim::SimDevice;
use patchlane_tests::sim::cases::{SMALL, patch};
use patchlane_tests::sim::world;
use std::cell::RefCell;
use std::process::Command;

#[test]
fn every_single_cut_is_survived_and_a_sample_of_pairs_and_chains() {
    let report = Report::of(Extent { full: false, seed: 1 }, None, None).unwrap();
    println!("{report}");
    assert_eq!(report.failed(), 0);
    assert!(report.cases() >= 100_000, "{}", report.cases());
}

/// What a search over a driver that lies finds: nothing without a cut, and then something.
fn caught(lie: Lie, plan: &str, shape: &str) -> Vec<String> {
    let plan = PLANS.iter().find(|p| p.name == plan).unwrap();
    let shape = SHAPES.iter().find(|s| s.name == shape).unwrap();
    let story = Story::new(plan, shape, Some(lie));
    let mut search = Search::new(&story);
    // Few tears look whole and aren't.
    let seeds = if lie == Lie::TrustsOneCopy { 8 } else { 1 };
    search.explore(&Options { seeds, ..Options::default() });
    let cases = search.tally().cases();
    assert!(search.failed() > 0 && cases > 0, "{lie:?} isn't noticed in {cases} cases");
    // Each of them is a case that repeats.
    for (case, problem) in search.failures().iter().take(3) {
        assert_eq!(search.replay(case).unwrap_err(), *problem, "{case}");
    }
    search.failures().iter().map(|(_, problem)| problem.clone()).collect()
}

/// One plan, as it should be: known-bad rules are held against this.
#[test]
fn no_update_is_lost_to_power() {
    let plan = PLANS.iter().find(|p| p.name == "patch").unwrap();
    let shape = SHAPES.iter().find(|s| s.name == "8w-4K-one-block").unwrap();
    let story = Story::new(plan, shape, None);
    let mut search = Search::new(&story);
    search.explore(&Options { seeds: 1, ..Options::default() });
    assert!(search.tally().cases() > 100, "{}", search.tally().cases());
    assert_eq!(search.failed(), 0, "{:?}", search.failures());
}

#[track_caller]
fn all_say(problems: &[String], what: &str) {
    assert!(problems.iter().all(|problem| problem.contains(what)), "{problems:?}");
}

#[test]
fn a_driver_that_drops_a_write_is_caught() {
    // Of two images in flight one comes out damaged, and no watchdog was to blame.
    let problems = caught(Lie::DropsWrites(25), "half-received-displaced", "4w-4K");
    all_say(&problems, "an accepted update was lost");
}

#[test]
fn an_erase_that_is_said_to_be_done_is_caught() {
    all_say(&caught(Lie::SkipsErases(8), "patch", "8w-4K-one-block"), "programmed twice");
}

#[test]
fn a_driver_that_answers_before_it_has_written_is_caught() {
    // What it said it holds, and then what it said is confirmed.
    let problems = caught(Lie::AnswersEarly, "held-superseded", "8w-4K-one-block");
    let lost = ["a held update was forgotten", "4.1 s8 was confirmed, and now 4.1 s7"];
    assert!(lost.iter().all(|lost| problems.iter().any(|problem| problem == lost)), "{problems:?}");
}

#[test]
fn a_step_that_isnt_recorded_before_it_erases_is_caught() {
    all_say(&caught(Lie::ForgetsSteps, "patch", "4w-4K"), "an accepted update was lost");
}

#[test]
fn a_log_that_trusts_one_copy_is_caught() {
    all_say(&caught(Lie::TrustsOneCopy, "patch", "8w-4K-one-block"), "4.1 s8 was confirmed, and now 4.1 s7");
}

/// A story that remembers what flash held at the end.
struct Ends(Story, RefCell<Option<[(u64, bool); 3]>>);

impl Subject for Ends {
    type Left = Instant;
    fn begin(&self) -> Instant {
        self.0.begin()
    }
    fn perform(&self, left: Instant, _: &Power, run: &mut Run<'_, Instant>) -> Result<(), String> {
        let end = self.0.live(left, run)?.chip;
        self.1.replace(Some([&end.state, &end.primary, &end.secondary].map(Bank::fingerprint)));
        Ok(())
    }
}

/// A search doesn't do again what came before a cut: it goes on from what the cut left. That has to be the same as a
/// device whose supply fails under it.
#[test]
fn a_search_does_what_a_failing_supply_does() {
    for (number, plan) in PLANS.iter().enumerate() {
        for torn in Torn::ALL {
            let story = Story::new(plan, &SHAPES[number % SHAPES.len()], None);
            let ends = Ends(story, RefCell::new(None));
            let pick = mix(number as u64 ^ (torn as u64) << 32);
            let cut = |shift: u64, most: u64| {
                let when = When::ALL[(pick >> shift) as usize % 5];
                Cut { at: mix(pick >> shift) % most, when }
            };
            let case = Case { torn, cuts: vec![cut(3, 9), cut(13, 7), cut(23, 6)], seed: pick };
            Search::new(&ends).replay(&case).unwrap_or_else(|e| panic!("{}/{case}: {e}", plan.name));
            let searched = ends.1.take();
            let power = Power::new(1, torn);
            power.plan_case(&case);
            let mut left = ends.begin();
            left = patchlane_flash::Left::on(&left, &power);
            ends.perform(left, &power, &mut Run::default()).unwrap();
            assert_eq!(searched, ends.1.take(), "{}/{case}", plan.name);
        }
    }
}

#[test]
fn one_command_repeats_a_case() {
    let run = |title: &str| {
        let out = Command::new(env!("CARGO_BIN_EXE_cuts")).args(["--replay", title]).output().unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let title = "patch/8w-4K-one-block/per-read/12:middle,3:last/77";
    assert_eq!(title.parse::<Title>().unwrap().to_string(), title);
    assert_eq!(run(title), (Some(0), format!("{title}: survived\n"), String::new()));
    let (code, said, _) = run("patch/8w-4K-one-block/stable/12:middle,4000:last/77");
    assert_eq!(code, Some(1));
    assert!(said.contains("cut 2 comes at operation 4000, and there are "), "{said}");
    for wrong in
        ["patch", "nothing/4w-4K/stable/1:last/1", "patch/none/stable/1:last/1", "patch/4w-4K/stable/1/1"]
    {
        assert_eq!(run(wrong).0, Some(2), "{wrong}");
    }
}

#[test]
fn a_device_is_what_the_factory_made_it() {
    let old = patch(4, 7, 1);
    let mut device = SimDevice::story(SMALL, &old);
    assert_eq!(device.restart(Cause::PowerOn), Some(Boot::Run(Running::Confirmed)));
    let status = device.status();
    assert_eq!(status.device, world::DEVICE);
    assert_eq!(status.confirmed.version, old.version);
    assert_eq!(status.activity, Activity::Idle);
}
