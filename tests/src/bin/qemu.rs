//! Plays scenarios on boards in QEMU. Launched by `cargo xtask qemu`, which builds the firmware.

use patchlane::scenario::{Played, Scenario, Stage};
use patchlane_tests::board::{MODELS, Model};
use patchlane_tests::scenario::{all, board_cast, on_board};
use std::process::ExitCode;

fn play(model: &'static Model, name: &str, scenario: &Scenario) -> Result<(), String> {
    let flash =
        std::env::temp_dir().join(format!("patchlane-{}-{}-{name}.flash", std::process::id(), model.name));
    let cast = board_cast(model, scenario)?;
    let mut board = on_board(model, &cast, &flash)?;
    board.start()?;
    let mut stage = Stage::new(scenario, &cast, board);
    let begun = std::time::Instant::now();
    let mut say = |step: &Played| {
        let cut = step.cut.map(|cut| format!(", power fails at {}", cut.name())).unwrap_or_default();
        println!(
            "{:?} {name}: {} {}{cut}: {}; {} runs",
            begun.elapsed(),
            step.action,
            step.subject,
            step.outcome,
            step.runs
        );
    };
    let played = stage.play(0, &mut say);
    if let Err(e) = played {
        return Err(format!(
            "step {}: {} ; {}\n{:#?}",
            e.number + 1,
            e.what,
            flash.display(),
            stage.player.board.said()
        ));
    }
    println!("stack {:?}", stage.player.stack());
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for model in &MODELS {
        if arguments.first().is_some_and(|a| a != model.name) {
            continue;
        }
        for (name, scenario) in &all().unwrap() {
            if arguments.get(1).is_some_and(|a| a != name) {
                continue;
            }
            if let Err(e) = play(model, name, scenario) {
                println!("FAILED {} {name}: {e}", model.name);
            }
        }
    }
    ExitCode::SUCCESS
}
