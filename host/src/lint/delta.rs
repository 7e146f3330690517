//! Two catalogues side by side: which clauses of both the same checks serve, and what only one of them asks for.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Clauses of both that the same checks serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The checks; none for what no check shows.
    pub checks: Vec<u64>,
    /// Clauses of the one, by id.
    pub a: Vec<String>,
    /// Clauses of the other.
    pub b: Vec<String>,
}

/// Two catalogues, joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delta {
    /// The one, by name.
    pub a: String,
    /// The other.
    pub b: String,
    /// Clauses that the same checks serve.
    pub rows: Vec<Row>,
}

impl Row {
    /// Who asks: `both`, `a` or `b`.
    pub const fn side(&self) -> &'static str {
        match (self.a.is_empty(), self.b.is_empty()) {
            (false, false) => "both",
            (false, true) => "a",
            _ => "b",
        }
    }
}

fn clauses(catalogue: &Value) -> impl Iterator<Item = (&str, Vec<u64>)> {
    let rows = catalogue["clauses"].as_array().into_iter().flatten();
    rows.map(|clause| {
        let checks = clause["checks"].as_array().into_iter().flatten().filter_map(Value::as_u64);
        (clause["id"].as_str().unwrap_or_default(), checks.collect())
    })
}

/// Both catalogues, as the evidence has them, joined by checks: a row for all checks that serve the same clauses; then,
/// alone, each clause that no check serves.
pub fn rows(a: &Value, b: &Value) -> Vec<Row> {
    let serving = |catalogue: &Value, check: u64| -> Vec<String> {
        clauses(catalogue)
            .filter(|(_, checks)| checks.contains(&check))
            .map(|(id, _)| id.to_owned())
            .collect()
    };
    let mut joined: BTreeMap<(Vec<String>, Vec<String>), Vec<u64>> = BTreeMap::new();
    for check in 1..=30 {
        let both = (serving(a, check), serving(b, check));
        if !(both.0.is_empty() && both.1.is_empty()) {
            joined.entry(both).or_default().push(check);
        }
    }
    let mut rows: Vec<Row> = joined.into_iter().map(|((a, b), checks)| Row { checks, a, b }).collect();
    // What both ask for comes first, in the order of checks; then what only one does.
    let rank = |row: &Row| ["both", "a", "b"].iter().position(|side| *side == row.side());
    rows.sort_by_key(|row| (rank(row), row.checks.clone()));
    let unchecked = |catalogue| clauses(catalogue).filter(|(_, checks)| checks.is_empty());
    rows.extend(unchecked(a).map(|(id, _)| Row { checks: vec![], a: vec![id.to_owned()], b: vec![] }));
    rows.extend(unchecked(b).map(|(id, _)| Row { checks: vec![], a: vec![], b: vec![id.to_owned()] }));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn clauses_are_joined_by_the_checks_that_serve_both() {
        let catalogue = |clauses: &[(&str, &[u64])]| {
            let clauses = clauses.iter().map(|(id, checks)| json!({ "id": id, "checks": checks }));
            json!({ "clauses": clauses.collect::<Vec<_>>() })
        };
        let a = catalogue(&[("A1", &[1, 2, 3]), ("A2", &[3]), ("A3", &[7]), ("A4", &[])]);
        let b = catalogue(&[("B1", &[1, 2]), ("B2", &[3, 9]), ("B3", &[])]);
        let row = |checks: &[u64], a: &[&str], b: &[&str]| Row {
            checks: checks.to_vec(),
            a: a.iter().map(|id| (*id).to_owned()).collect(),
            b: b.iter().map(|id| (*id).to_owned()).collect(),
        };
        let wanted = [
            row(&[1, 2], &["A1"], &["B1"]),
            row(&[3], &["A1", "A2"], &["B2"]),
            row(&[7], &["A3"], &[]),
            row(&[9], &[], &["B2"]),
            row(&[], &["A4"], &[]),
            row(&[], &[], &["B3"]),
        ];
        assert_eq!(rows(&a, &b), wanted);
        let sides: Vec<_> = wanted.iter().map(Row::side).collect();
        assert_eq!(sides, ["both", "both", "a", "b", "a", "b"]);
    }
}
