//! The record and the log that keeps it, without any flash: what is believed, and what the next write does (I18).

use patchlane_device::evidence::Trial;
use patchlane_device::log::{
    AREA, Area, COPY, COPY_HEAD, Log, MARK, MARKS, Target, check_copy, check_mark, copy_length, encode_copy,
    encode_mark, makes,
};
use patchlane_device::protocol::codec::Writer;
use patchlane_device::protocol::version::Open;
use patchlane_device::protocol::{
    Baseline, DeviceId, Digest, FeaturePolicy, GroupId, Policy, Security, SecurityPolicy, Version,
};
use patchlane_device::rules::{Failures, Rank, Transition};
use patchlane_device::state::{Candidate, Listed, Phase, Release, RootRef, State};
use patchlane_device::verify::sha256;
use patchlane_device::{Layout, Place};

fn release(cell: u8) -> Release {
    let security = Security::new(7, Open::NONE).expect("a level");
    let version = Version { feature: Baseline { line: 4, step: 1 }, security };
    let digest = Digest([cell; 32]);
    Release { version, manifest: digest, images: digest, size: 0x1000, receipt: digest, cell }
}

fn candidate(cell: u8, transition: Transition) -> Candidate {
    Candidate { release: release(cell), transition, issued_at: 9 }
}

/// Nothing is under way, and there is no fallback.
fn idle() -> State {
    State {
        device: DeviceId([1; 16]),
        hardware: 2,
        group: GroupId(3),
        root: RootRef { version: 1, development: false, digest: Digest([8; 32]), cell: 0 },
        anchor: None,
        policy: Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Local },
        serial: 0,
        confirmed: release(1),
        degraded: false,
        fallback: None,
        candidate: None,
        flipped: false,
        phase: Phase::Idle,
        keep: false,
        step: 0,
        approval: None,
        held: None,
        failures: Failures::default(),
    }
}

fn written(state: &State) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let mut writer = Writer::new(&mut buffer);
    state.write(&mut writer).expect("it fits");
    writer.finish().to_vec()
}

const PHASES: [Phase; 9] = [
    Phase::Idle,
    Phase::Receiving,
    Phase::Staged,
    Phase::Ready,
    Phase::Swap,
    Phase::Trial { failed: 2 },
    Phase::Soak { failed: 1, boots: 5 },
    Phase::Revert,
    Phase::Fallback,
];

/// A state in this phase, with all that the phase needs.
fn in_phase(phase: Phase) -> State {
    let without = matches!(phase, Phase::Idle | Phase::Fallback);
    let candidate = (!without).then(|| candidate(2, Transition::Patch));
    State { phase, candidate, fallback: Some(release(3)), ..idle() }
}

#[test]
fn every_phase_and_transition_reads_back() {
    for phase in PHASES {
        let state = in_phase(phase);
        assert_eq!(State::parse(&written(&state)), Ok(state), "{phase:?}");
        let moves = matches!(phase, Phase::Swap | Phase::Revert | Phase::Fallback);
        let on_trial = matches!(phase, Phase::Trial { .. } | Phase::Soak { .. });
        assert_eq!((phase.moves(), phase.on_trial()), (moves, on_trial), "{phase:?}");
    }
    use Transition::{FeatureUpdate, Patch, Repair, Rollback};
    for transition in [Repair, Patch, FeatureUpdate, Rollback] {
        let rank = Rank { transition, version: release(2).version, issued_at: 3 };
        let state = State {
            candidate: Some(candidate(2, transition)),
            held: Some(Listed { manifest: Digest([4; 32]), rank }),
            ..in_phase(Phase::Staged)
        };
        assert_eq!(State::parse(&written(&state)), Ok(state), "{transition:?}");
    }
}

/// A record whose fields contradict each other is none.
#[test]
fn a_phase_has_what_it_needs_and_nothing_else() {
    for phase in PHASES {
        let good = in_phase(phase);
        let other = good.candidate.is_none().then(|| candidate(2, Transition::Patch));
        assert!(State::parse(&written(&State { candidate: other, ..good })).is_err(), "{phase:?}");
        // Without a fallback nothing stands in for v, and none can be moved in.
        let alone = State { fallback: None, ..good };
        assert_eq!(State::parse(&written(&alone)).is_ok(), phase != Phase::Fallback, "{phase:?}");
        assert!(State::parse(&written(&State { degraded: true, ..alone })).is_err(), "{phase:?}");
        assert!(State::parse(&written(&State { degraded: true, ..good })).is_ok(), "{phase:?}");
    }
    for cell in [5, 255] {
        let root = RootRef { cell, ..idle().root };
        assert!(State::parse(&written(&State { root, ..idle() })).is_err(), "there are five cells");
        assert!(State::parse(&written(&State { confirmed: release(cell), ..idle() })).is_err());
    }
    let (trial, idle) = (written(&in_phase(Phase::Trial { failed: 2 })), written(&idle()));
    for at in 0..trial.len() {
        assert!(State::parse(&trial[..at]).is_err(), "cut at {at}");
    }
    assert!(State::parse(&[&idle[..], &[0]].concat()).is_err(), "a byte too many");
}

#[test]
fn what_counts_for_a_phase_is_zero_where_it_has_no_counter() {
    let bytes = |phase| written(&in_phase(phase));
    // Where two phases of the same kind differ, their tag and counters are.
    let (receiving, staged) = (bytes(Phase::Receiving), bytes(Phase::Staged));
    let at = receiving.iter().zip(&staged).position(|(a, b)| a != b).expect("they differ");
    assert_eq!((&receiving[at..at + 3], &staged[at..at + 3]), (&[1, 0, 0][..], &[2, 0, 0][..]));
    let mut wrong = receiving.clone();
    for (tag, failed, boots) in [(1, 1, 0), (2, 0, 1), (5, 0, 1), (7, 3, 0), (9, 0, 0), (255, 0, 0)] {
        wrong[at..at + 3].copy_from_slice(&[tag, failed, boots]);
        assert!(State::parse(&wrong).is_err(), "{tag} {failed} {boots}");
    }
}

#[test]
fn the_free_cell_is_one_that_nothing_refers_to() {
    let cells = |root, confirmed, fallback: Option<u8>, next: Option<u8>| State {
        root: RootRef { cell: root, ..idle().root },
        confirmed: release(confirmed),
        fallback: fallback.map(release),
        candidate: next.map(|cell| candidate(cell, Transition::Patch)),
        ..idle()
    };
    assert_eq!(cells(1, 2, None, None).free_cell(), 0);
    assert_eq!(cells(0, 2, Some(1), Some(3)).free_cell(), 4);
    assert_eq!(cells(1, 0, None, None).free_cell(), 2);
    assert_eq!(cells(2, 1, Some(0), None).free_cell(), 3);
    assert_eq!(cells(2, 1, None, Some(0)).free_cell(), 3);
    assert_eq!(cells(4, 3, Some(1), Some(0)).free_cell(), 2);
}

#[test]
fn when_all_is_moved_what_the_move_was_for_is_next() {
    let after = |phase| {
        let mut state = State { step: 7, keep: true, ..in_phase(phase) };
        state.arrive();
        (state.phase, state.degraded, state.candidate.is_some(), state.keep, state.step)
    };
    assert_eq!(after(Phase::Swap), (Phase::Trial { failed: 0 }, false, true, true, 0));
    assert_eq!(after(Phase::Revert), (Phase::Idle, false, false, false, 0));
    assert_eq!(after(Phase::Fallback), (Phase::Idle, true, false, true, 0));
    let mut state = State { step: 7, keep: true, ..in_phase(Phase::Staged) };
    state.drop_candidate();
    assert_eq!(state, State { fallback: Some(release(3)), ..idle() });
}

/// A copy of the state, as flash would hold it.
fn copy(state: &State, sequence: u32) -> Vec<u8> {
    let mut buffer = vec![0xee; COPY as usize];
    let length = encode_copy(state, sequence, &mut buffer).expect("it fits");
    buffer.truncate(length as usize);
    buffer
}

#[test]
fn a_copy_is_believed_if_every_bit_of_it_is_as_written() {
    let good = copy(&idle(), 0x0102_0304);
    assert_eq!(copy_length(&good), Some(good.len() as u32));
    assert_eq!(check_copy(&good), Some((0x0102_0304, &written(&idle())[..])));
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(check_copy(&bad), None, "bit {bit}");
    }
    for length in 0..good.len() {
        assert_eq!(check_copy(&good[..length]), None, "cut to {length}");
    }
    assert!(check_copy(&[&good[..], &[0xff; 9]].concat()).is_some(), "what follows doesn't matter");
    // A head may announce what fits the place of a copy, and no more.
    let announces = |length: u16| {
        let mut head = good[..COPY_HEAD].to_vec();
        head[8..].copy_from_slice(&length.to_le_bytes());
        copy_length(&head)
    };
    assert_eq!((announces(0), announces(1_062), announces(1_063)), (Some(26), Some(COPY), None));
    assert_eq!((announces(u16::MAX), copy_length(&good[..COPY_HEAD - 1])), (None, None));
}

#[test]
fn a_copy_is_written_once_more_to_see_that_the_state_makes_it() {
    let (state, other) = (idle(), State { serial: 1, ..idle() });
    assert!(makes(&mut copy(&state, 5), 5, &state));
    assert!(!makes(&mut copy(&state, 5), 6, &state), "another sequence number");
    assert!(!makes(&mut copy(&state, 5), 5, &other), "another state");
    let mut torn = copy(&state, 5);
    torn[0] ^= 1;
    assert!(!makes(&mut torn, 5, &state), "it was none");
    let mut bad = copy(&state, 5);
    *bad.last_mut().expect("bytes") ^= 1;
    assert!(!makes(&mut bad, 5, &state), "its check was wrong");
    assert!(!makes(&mut copy(&state, 5)[..30], 5, &state), "there is no room");
    // Here neither, and what was there before is left as it was.
    let mut longer = state;
    longer.failures.record(&Digest([5; 32]), 7);
    assert!(!makes(&mut copy(&state, 5), 5, &longer), "there is no room for a failed trial");
}

#[test]
fn a_mark_is_believed_if_every_bit_of_it_is_as_written() {
    let good = encode_mark(0x0102_0304, 0x0506_0708);
    assert_eq!(check_mark(&good), Some((0x0102_0304, 0x0506_0708)));
    for bit in 0..good.len() * 8 {
        let mut bad = good;
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(check_mark(&bad), None, "bit {bit}");
    }
    assert_eq!(check_mark(&good[..31]), None);
    // What is kept for later is zero, whatever the check says.
    let mut later = good;
    later[15] = 1;
    let check = sha256(&later[..16]).0;
    later[16..].copy_from_slice(&check[..16]);
    assert_eq!(check_mark(&later), None);
}

#[test]
fn an_area_holds_two_copies_and_sixty_marks() {
    assert_eq!((COPY, MARK, MARKS, AREA), (1_088, 32, 60, 4_096));
}

/// A log of four areas.
fn log() -> Log {
    let place = |length| Place { offset: 0, length, read: 1, write: 4, erase: 4096 };
    let layout = Layout::new(place(0x9000), place(0x4000), place(0x5000)).expect("a layout");
    assert_eq!(layout.areas(), 4);
    Log::new(&layout)
}

const fn counts(sequence: u32) -> Area {
    Area { sequence: Some(sequence), proven: true, sealed: true }
}

const TORN: Area = Area { sequence: None, proven: false, sealed: false };

#[test]
fn the_newest_area_that_counts_is_the_record() {
    let mut log = log();
    assert!(!log.is_readable() && !log.is_sealed() && !log.is_owned());
    assert!(!log.note(0, Area { sequence: Some(9), proven: false, sealed: false }), "nothing proves it");
    assert!(!log.is_readable());
    assert!(log.note(1, counts(5)));
    assert!(log.is_readable() && log.is_sealed() && !log.is_owned());
    assert!(!log.note(2, counts(4)), "an older one");
    assert!(!log.note(2, counts(5)), "not newer");
    assert!(!log.note(2, Area { proven: false, ..counts(8) }), "newer, but unproven");
    assert!(log.note(3, Area { sealed: false, ..counts(6) }));
    assert!(log.is_readable() && !log.is_sealed(), "it isn't whole");
    log.close();
    assert_eq!(log, self::log());
}

#[test]
fn the_next_record_goes_where_least_is_lost() {
    let target = |areas: [Area; 4]| {
        let mut log = log();
        (0..).zip(areas).for_each(|(index, area)| {
            log.note(index, area);
        });
        log.target()
    };
    let at = |area, sequence| Some(Target { area, sequence });
    let unproven = |sequence| Area { sequence: Some(sequence), proven: false, sealed: false };
    // The oldest; never the one that counts, wherever it is.
    assert_eq!(target([counts(1), counts(2), counts(3), counts(4)]), at(0, 6));
    assert_eq!(target([counts(5), counts(2), counts(3), counts(4)]), at(1, 7));
    assert_eq!(target([counts(5), counts(6), counts(7), counts(4)]), at(3, 9));
    // One that is unproven goes before the oldest, however new it looks, and one without a valid copy before that.
    assert_eq!(target([counts(5), counts(2), unproven(9), counts(4)]), at(2, 11));
    assert_eq!(target([counts(5), unproven(2), unproven(1), counts(4)]), at(2, 7));
    assert_eq!(target([counts(5), unproven(2), counts(3), TORN]), at(3, 8));
    // What can't be read today may be readable one day: its number is passed over. Of equals, the first.
    assert_eq!(target([TORN, counts(5), TORN, TORN]), at(0, 10));
    assert_eq!(target([counts(5), TORN, TORN, TORN]), at(1, 10));
    assert_eq!(target([unproven(0), TORN, counts(5), counts(6)]), at(1, 9));
    assert_eq!(target([unproven(0), counts(1), counts(2), counts(3)]), at(0, 5));
    assert_eq!(target([counts(u32::MAX), counts(2), counts(3), counts(4)]), None, "no number is left");
}

#[test]
fn marks_follow_the_record_of_this_session_until_its_area_is_full() {
    let mut log = log();
    log.note(1, counts(5));
    assert_eq!(log.next_mark(), None, "the record isn't of this session");
    let target = log.target().expect("an area");
    assert_eq!(target, Target { area: 0, sequence: 10 });
    log.erased(&target);
    log.written(&target);
    assert!(log.is_readable() && log.is_sealed() && log.is_owned());
    for mark in 1..MARKS {
        assert_eq!(log.next_mark(), Some((0, mark, 10)));
    }
    assert_eq!((log.next_mark(), log.next_mark()), (None, None), "the area is full");
    // What was erased is no record any more: its number doesn't count, and it goes first.
    log.note(2, counts(11));
    log.erased(&Target { area: 2, sequence: 0 });
    assert!(!log.is_sealed());
    log.written(&Target { area: 3, sequence: 12 });
    assert_eq!(log.target(), Some(Target { area: 2, sequence: 15 }));
    assert_eq!(log.next_mark(), Some((3, 1, 12)));
    log.close();
    assert_eq!(log.next_mark(), None);
}

/// A healthy trial of release 2, which handles one advisory more than v.
fn on_trial(transition: Transition) -> State {
    let mut state = in_phase(Phase::Soak { failed: 0, boots: 3 });
    let security = Security::new(8, Open::NONE).expect("a level");
    let version = Version { security, ..release(2).version };
    let release = Release { version, ..release(2) };
    state.candidate = Some(Candidate { release, ..candidate(2, transition) });
    State { keep: true, step: 3, ..state }
}

fn confirmed(mut state: State) -> State {
    Trial::of(&state).expect("a trial").confirm().commit(&mut state);
    state
}

#[test]
fn only_what_ran_on_trial_is_confirmed() {
    for phase in PHASES {
        assert_eq!(Trial::of(&in_phase(phase)).is_some(), phase.on_trial(), "{phase:?}");
    }
    let state = on_trial(Transition::Patch);
    let release = state.candidate.expect("it is there").release;
    // What ran before would lose the fix: it is no fallback.
    let wanted = State { confirmed: release, ..idle() };
    assert_eq!(confirmed(State { degraded: false, ..state }), wanted);
}

/// I6: the release confirmed just before, or the fallback that ran while v was repaired; only if it was kept.
#[test]
fn what_ran_before_is_the_fallback_if_it_was_kept() {
    let fallback = |transition, keep, degraded| {
        let mut state = State { keep, degraded, ..on_trial(transition) };
        // As many advisories as v: what ran before loses nothing.
        state.candidate = Some(candidate(2, transition));
        let after = confirmed(state);
        assert!(!after.degraded && !after.keep);
        after.fallback.map(|release| release.cell)
    };
    use Transition::{FeatureUpdate, Repair};
    assert_eq!(fallback(FeatureUpdate, true, false), Some(1));
    assert_eq!(fallback(FeatureUpdate, false, false), None, "it was damaged");
    assert_eq!(fallback(FeatureUpdate, true, true), None, "the fallback isn't what came just before");
    assert_eq!(fallback(Repair, true, true), Some(3));
    assert_eq!(fallback(Repair, true, false), None, "v doesn't stand in for itself");
    assert_eq!(fallback(Repair, false, true), None);
}

#[test]
fn a_confirmation_ends_the_approvals_it_uses_up() {
    use patchlane_device::state::Approval;
    let approval = |manifest| Approval { manifest: Digest([manifest; 32]), by_owner: true };
    let left = |manifest| {
        confirmed(State { approval: Some(approval(manifest)), ..on_trial(Transition::Patch) }).approval
    };
    // Release 2 is confirmed, release 1 was.
    assert_eq!((left(2), left(1), left(9)), (None, None, Some(approval(9))));
    let rank = |level| {
        let security = Security::new(level, Open::NONE).expect("a level");
        let version = Version { feature: Baseline { line: 5, step: 0 }, security };
        Rank { transition: Transition::FeatureUpdate, version, issued_at: 1 }
    };
    let after = |held: u8, level, approved| {
        let held = Some(Listed { manifest: Digest([held; 32]), rank: rank(level) });
        let after =
            confirmed(State { held, approval: Some(approval(approved)), ..on_trial(Transition::Patch) });
        (after.held.is_some(), after.approval.is_some())
    };
    assert_eq!(after(2, 8, 9), (false, true), "what is confirmed waits no longer");
    assert_eq!(after(9, 8, 9), (true, true), "it loses nothing");
    assert_eq!(after(9, 7, 9), (true, false), "it would lose a fix: nothing is left to allow");
    assert_eq!(after(9, 7, 6), (true, true), "the approval is of another");
}
