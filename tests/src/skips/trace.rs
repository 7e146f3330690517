//! Which instructions run, and in which order: QEMU's own log of a run, one instruction a block.

use super::cases::Case;
use super::machine::{End, Ends, Machine};
use super::program::{Kind, Program};
use super::{PATIENCE, Target};
use std::collections::BTreeMap;

/// How many of the times that an instruction runs are tried.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Of each instruction.
    pub each: usize,
    /// Every instruction, and not branches, calls and results only.
    pub every: bool,
    /// The decisions only, and not what reads flash and documents for them.
    pub core: bool,
    /// At most so many skips a case, spread evenly.
    pub most: usize,
    /// None is tried: they are only found.
    pub count: bool,
}

/// A skip: the instruction that is at this place of the trace.
pub type Place = usize;

/// More breakpoint stops than this between two skips take too long.
const STOPS: usize = 96;

/// The option for translation blocks of one instruction: it was renamed in QEMU 8.1.
fn one_by_one(program: &str) -> Vec<String> {
    let out = std::process::Command::new(program).arg("--version").output();
    let text = out.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default();
    let number = |text: &str| text.split("version ").nth(1)?.split('.').next()?.parse::<u32>().ok();
    match number(&text) {
        Some(major) if major > 8 => vec!["-accel".into(), "tcg,one-insn-per-tb=on".into()],
        _ => vec!["-singlestep".into()],
    }
}

/// What a case's run executes of the deciding functions, from the case's first function on.
///
/// # Errors
/// If QEMU doesn't do it.
pub fn trace(target: &Target, case: &Case, ends: &Ends) -> Result<Vec<u32>, String> {
    let ranges = target.program.deciding().map(|f| format!("{:#x}..{:#x}", f.from, f.to - 1));
    let log = std::env::temp_dir().join(format!("patchlane-skips-{}-{}.log", std::process::id(), case.name));
    let mut more = one_by_one(target.model.command(&target.bootloader, &target.bootloader).0);
    more.extend(["-d", "exec,nochain", "-dfilter"].map(str::to_owned));
    more.push(ranges.collect::<Vec<_>>().join(","));
    more.extend(["-D".into(), log.display().to_string()]);
    let mut machine = Machine::new(target.model, &target.bootloader, &case.start, &more)?;
    let from = target.program.address(case.from)?;
    machine.reach(from, PATIENCE)?;
    for end in ends.all() {
        machine.stub.set(end)?;
    }
    let end = machine.run(ends, PATIENCE * 4)?;
    machine.quit()?;
    let text = std::fs::read_to_string(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    let _ = std::fs::remove_file(&log);
    if !matches!(end, End::Runs | End::Serves) {
        return Err(format!("{}: while it is traced it ends so: {end:?}", case.name));
    }
    let mut places: Vec<u32> = Vec::new();
    for line in text.lines() {
        if line.starts_with("Stopped") {
            // It is begun once more.
            places.pop();
        }
        let Some(rest) = line.strip_prefix("Trace ") else { continue };
        let pc = rest.split('/').nth(1).and_then(|pc| u32::from_str_radix(pc, 16).ok());
        places.extend(pc);
    }
    let begin = places.iter().position(|at| *at == from).ok_or("the trace is empty")?;
    Ok(places.split_off(begin))
}

/// The skips to try.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// In the order in which they come.
    pub places: Vec<Place>,
    /// Those that belong to them, and aren't tried: they are too many breakpoint stops away from the one before.
    pub out_of_reach: Vec<Place>,
}

/// Finds the skips to try.
pub fn choose(program: &Program, trace: &[u32], extent: Extent) -> Chosen {
    let mut times: BTreeMap<u32, Vec<Place>> = BTreeMap::new();
    for (place, at) in trace.iter().enumerate() {
        times.entry(*at).or_default().push(place);
    }
    let mut chosen = Vec::new();
    for (at, places) in times {
        let kind = program.instruction(at).map(|(_, kind)| kind);
        let wanted = kind.is_some_and(|kind| extent.every || kind != Kind::Other);
        if wanted && program.matters(at) && (!extent.core || program.is_core(at)) {
            chosen.extend(spread(&places, extent.each));
        }
    }
    chosen.sort_unstable();
    reachable(trace, &spread(&chosen, extent.most))
}

/// The first, the last, and as many between as there may be.
fn spread(places: &[Place], most: usize) -> Vec<Place> {
    if places.len() <= most {
        return places.to_vec();
    }
    let last = places.len() - 1;
    (0..most).map(|n| places[n * last / (most - 1).max(1)]).collect()
}

/// Puts aside those that are too many breakpoint stops away from the one before.
fn reachable(trace: &[u32], chosen: &[Place]) -> Chosen {
    let mut here = 0;
    let mut reached = Chosen::default();
    for place in chosen {
        if stops(trace, here, *place) <= STOPS {
            reached.places.push(*place);
            here = *place;
        } else {
            reached.out_of_reach.push(*place);
        }
    }
    reached
}

/// How often a breakpoint at `to` is met on the way there.
pub fn stops(trace: &[u32], from: Place, to: Place) -> usize {
    let at = trace.get(to);
    trace.get(from + 1..=to).unwrap_or(&[]).iter().filter(|other| Some(*other) == at).count()
}

#[cfg(test)]
mod tests {
    use super::{Chosen, STOPS, reachable};

    #[test]
    fn what_is_out_of_reach_is_told() {
        // A loop of one instruction, and what comes behind it.
        let mut trace = vec![8; STOPS + 5];
        trace.push(2);
        let chosen = [0, STOPS + 1, STOPS + 5];
        let expected = Chosen { places: vec![0, STOPS + 5], out_of_reach: vec![STOPS + 1] };
        assert_eq!(reachable(&trace, &chosen), expected);
        assert!(reachable(&trace, &[0, STOPS, STOPS + 1]).out_of_reach.is_empty());
    }
}
