use super::explained::{Counts, compare, parse};
use super::list::{self, Genre, Mutant};
use super::weave::{mutant_at, weave};
use std::collections::{BTreeMap, BTreeSet};

const TEXT: &str = "\
const fn f(a: u8, b: u8) -> bool {
    match a {
        1 if b > 2 && a < b => !(a == b),
        2 => true,
        _ => false,
    }
}
";

/// A mutant that replaces `old` in the line.
fn mutant(line: usize, old: &str, replacement: &str, genre: Genre) -> Mutant {
    let text = TEXT.lines().nth(line - 1).expect("a line");
    let column = text.find(old).expect("it is there") + 1;
    let span = ((line, column), (line, column + old.len()));
    let (name, file, replacement) = (old.to_owned(), "f.rs".to_owned(), replacement.to_owned());
    Mutant { name, area: "verify", file, span, replacement, genre, constant: false }
}

#[test]
fn every_mutant_is_behind_its_switch() {
    let body = Mutant { span: ((2, 5), (6, 6)), ..mutant(2, "match", "true", Genre::Body) };
    let all = [
        body,
        mutant(3, "b > 2 && a < b", "true", Genre::Guard),
        mutant(3, ">", "<", Genre::Operator),
        mutant(3, "&&", "||", Genre::Operator),
        mutant(3, "!", "", Genre::Operator),
        mutant(3, "==", "!=", Genre::Operator),
        mutant(4, "2 => true,", "", Genre::Arm),
    ];
    let chosen: BTreeSet<usize> = (0..all.len()).collect();
    let (woven, never) = weave(TEXT, &all, &chosen).expect("it can be read");
    assert!(never.is_empty());
    // What it says with the switch named is what cargo-mutants would have written.
    assert!(syn::parse_file(&woven).is_ok(), "{woven}");
    assert!(woven.starts_with("fn f("), "a switch isn't const:\n{woven}");
    for text in [
        "{\n    /*<0*/ if crate::on(0) { return true; } /*0>*/ match a {",
        "1 if (if crate::on(1) { /*<1*/ true /*1>*/ } else { (if crate::on(3) { /*<3*/ b > 2 || a < b /*3>*/ } else { \
         (if crate::on(2) { /*<2*/ b < 2 /*2>*/ } else { b > 2 }) && a < b }) }) =>",
        "=> (if crate::on(4) { /*<4*/ (a == b) /*4>*/ } else { !((if crate::on(5) { /*<5*/ a != b /*5>*/ } else { a == b })) }),",
        "2 if /*<6*/ !crate::on(6) /*6>*/ && true => true,",
    ] {
        assert!(woven.contains(text), "{text}\nisn't in\n{woven}");
    }
    // An error of the compiler is laid at the right door.
    let at = woven.find("b < 2").expect("it is there");
    assert_eq!(mutant_at(&woven, at), Some(2));
    assert_eq!(mutant_at(&woven, woven.find("match a").expect("it is there")), None);
}

#[test]
fn what_would_break_a_chain_or_leave_a_hole_is_no_mutant() {
    let text = "fn f(a: Option<u8>) -> bool {\n    if let Some(1) = a && true { return true; }\n    \
                match a { Some(2) => true, _ if true => false, None => true, Some(_) => false }\n}\n";
    let place = |line: usize, old: &str| {
        let at = text.lines().nth(line - 1).and_then(|line| line.find(old)).expect("it is there") + 1;
        ((line, at), (line, at + old.len()))
    };
    let of = |line, old, genre| Mutant {
        span: place(line, old),
        replacement: "||".into(),
        ..mutant(3, ">", "", genre)
    };
    let all = [of(2, "&&", Genre::Operator), of(3, "Some(2) => true,", Genre::Arm)];
    let (woven, never) = weave(text, &all, &BTreeSet::from([0, 1])).expect("it can be read");
    assert_eq!((woven.as_str(), never), (text, vec![0, 1]));
    let lost = [mutant(3, ">", "<", Genre::Operator)];
    assert!(weave(text, &lost, &BTreeSet::from([0])).is_err(), "another text than cargo-mutants saw");
}

#[test]
fn what_cargo_mutants_lists_is_read_and_counted_within_a_function() {
    let one = |column: usize, constant: bool| {
        let function = if constant { "null" } else { r#"{"function_name": "f"}"# };
        format!(
            r#"{{"file": "device/src/log.rs", "function": {function}, "genre": "BinaryOperator", "name":
            "device/src/log.rs:3:{column}: replace + with -  in f", "package": "p", "replacement": "-",
            "span": {{"start": {{"line": 3, "column": {column}}}, "end": {{"line": 3, "column": {}}}}}}}"#,
            column + 1
        )
    };
    let all =
        list::parse(&format!("[{}, {}, {}]", one(7, false), one(9, false), one(11, true))).expect("a list");
    let names: Vec<&str> = all.iter().map(|mutant| mutant.name.as_str()).collect();
    let name = "device/src/log.rs: replace + with - in f";
    assert_eq!(names, [name, &format!("{name} #2"), &format!("{name} #3")]);
    assert_eq!((all[1].area, all[1].span, all[2].constant), ("journal", ((3, 9), (3, 10)), true));
    assert!(list::parse("[{}]").is_err());
    let elsewhere = one(7, false).replace("log.rs", "drive.rs");
    assert!(list::parse(&format!("[{elsewhere}]")).is_err_and(|e| e.contains("in no area")));
}

#[test]
fn a_survivor_needs_a_reason_and_a_reason_a_survivor() {
    let counts = Counts { mutants: 4, unviable: 1, caught: 2, survive: 1 };
    let text = format!("# c\n\n[verify] {counts}\na → because\nb → since\n");
    let file = parse(&text).expect("it can be read");
    assert_eq!(file.areas["verify"], "4 mutants: 1 don't compile, 2 are caught, 1 survive");
    assert_eq!(
        file.reasons,
        BTreeMap::from([("a", "because"), ("b", "since")].map(|(a, b)| (a.into(), b.into())))
    );
    for wrong in ["nothing\n", "a → \n", "a → b\na → c\n", "[v] 1\n[v] 2\n"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
    let judged = BTreeSet::from(["a", "b", "c"]);
    assert!(compare(&file.reasons, &judged, &BTreeSet::from(["a", "b"]), true).is_empty());
    let wrong = |survive: &[&'static str], judged: &BTreeSet<&str>, whole| {
        compare(&file.reasons, judged, &survive.iter().copied().collect(), whole).join("; ")
    };
    assert_eq!(wrong(&["a", "b", "c"], &judged, true), "survives, and nothing says why: c");
    assert_eq!(wrong(&["a"], &judged, true), "explained, but is caught: b");
    let fewer = BTreeSet::from(["a", "c"]);
    assert_eq!(wrong(&["a"], &fewer, true), "explained, but there is no such mutant: b");
    assert_eq!(wrong(&["a"], &fewer, false), "", "b wasn't asked for");
}
