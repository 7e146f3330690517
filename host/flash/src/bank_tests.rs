use super::*;
use crate::power::Cut;

fn bank(torn: Torn) -> (Bank, Power) {
    let power = Power::new(1, torn);
    (Bank::new("bank", 4, 512, 1024, &power), power)
}

#[test]
fn a_word_is_programmed_once() {
    let (mut bank, power) = bank(Torn::Stable);
    bank.write(0, &[0; 8]).unwrap();
    assert_eq!(bank.write(4, &[0; 4]), Err(Failure::Violation));
    bank.erase(0, 512).unwrap();
    bank.write(4, &[0; 4]).unwrap();
    assert_eq!(power.violations().len(), 1);
}

#[test]
fn a_torn_word_is_spent_even_if_it_reads_blank() {
    for when in [When::First, When::Middle, When::Last] {
        let (mut bank, power) = bank(Torn::Stable);
        power.plan(Cut { at: 0, when });
        assert_eq!(bank.write(0, &[0xff; 4]), Err(Failure::Off));
        assert_eq!(bank.read(0, &mut [0]), Err(Failure::Off));
        power.restore();
        assert_eq!(bank.write(0, &[0; 4]), Err(Failure::Violation), "{when:?}");
    }
}

#[test]
fn an_erase_cut_before_its_end_leaves_no_word_to_write() {
    for when in [When::First, When::Middle, When::Last] {
        let (mut bank, power) = bank(Torn::Stable);
        bank.write(0, &[7; 512]).unwrap();
        power.plan(Cut { at: 0, when });
        assert_eq!(bank.erase(0, 512), Err(Failure::Off));
        power.restore();
        let left = bank.contents(0, 512);
        assert!(left.contains(&7) && left.contains(&0xff), "{when:?}");
        assert_eq!(bank.write(508, &[0; 4]), Err(Failure::Violation));
    }
}

#[test]
fn operations_out_of_place_are_violations() {
    let (mut bank, power) = bank(Torn::Stable);
    assert_eq!(bank.write(2, &[0; 4]), Err(Failure::Violation));
    assert_eq!(bank.write(0, &[0; 3]), Err(Failure::Violation));
    assert_eq!(bank.write(1024, &[0; 4]), Err(Failure::Violation));
    assert_eq!(bank.erase(256, 512), Err(Failure::Violation));
    assert_eq!(bank.read(1020, &mut [0; 8]), Err(Failure::Violation));
    assert_eq!(bank.erase(0, 1024), Err(Failure::Violation));
    assert_eq!(power.violations().len(), 6);
}

#[test]
fn torn_words_read_as_their_mode_says() {
    let readings = |torn: Torn, restarts: bool| {
        let (mut bank, power) = bank(torn);
        power.plan(Cut { at: 0, when: When::First });
        let _ = bank.write(0, &[0x5a; 4]);
        power.restore();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let mut bytes = [0; 4];
            seen.insert(bank.read(0, &mut bytes).map(|()| bytes).ok());
            if restarts {
                power.restore();
            }
        }
        seen
    };
    assert_eq!(readings(Torn::Stable, true).len(), 1);
    assert_eq!(readings(Torn::PerBoot, false).len(), 1);
    assert!(readings(Torn::PerBoot, true).len() > 2);
    assert!(readings(Torn::PerRead, false).len() > 2);
    let disturbed = readings(Torn::Disturbed, false);
    assert!((2..=16).contains(&disturbed.len()), "a few bits: {disturbed:?}");
    assert_eq!(readings(Torn::Ecc, true).into_iter().next(), Some(None));
}

#[test]
fn the_same_seed_tears_the_same_way() {
    let torn = |seed| {
        let power = Power::new(seed, Torn::Stable);
        let mut bank = Bank::new("bank", 4, 512, 512, &power);
        bank.write(0, &[0x33; 512]).unwrap();
        power.plan(Cut { at: 0, when: When::Middle });
        let _ = bank.erase(0, 512);
        bank.contents(0, 512)
    };
    assert_eq!(torn(5), torn(5));
    assert_ne!(torn(5), torn(6));
}
