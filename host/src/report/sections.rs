//! The dossier as a page: sections 1 to 6.

use super::dossier::*;
use super::page::*;
use crate::ledger::time::{DAY, HOUR, span};
use crate::output::plural;

fn missing(list: &[String]) -> impl Iterator<Item = Block> + '_ {
    list.iter().cloned().map(Block::Missing)
}

fn fact(name: &str, line: Line) -> (String, Cell) {
    (name.to_owned(), vec![line])
}

pub(super) fn identity(it: &Identity) -> Vec<Block> {
    let mut facts = vec![
        fact("product", text(format!("{} of {}", it.class, it.vendor))),
        fact("vendor id", code(&it.vendor_id)),
        fact("class id", code(&it.class_id)),
        fact("hardware", text(it.hardware.iter().map(u16::to_string).collect::<Vec<_>>().join(", "))),
        fact("lane", text(it.lane.clone())),
    ];
    facts.extend(it.combined.as_ref().map(|combined| fact("combined", text(combined.clone()))));
    let mut named = |name: &str, release: &Named| {
        let line = vec![Span::Strong(release.release.clone())];
        let below = vec![Span::Text("manifest ".into()), Span::Digest(release.manifest_sha256.clone())];
        facts.push((name.to_owned(), vec![line, below]));
    };
    if let Some(from) = &it.from {
        named("from", from);
    }
    named("to", &it.to);
    facts.push(fact("bundle", digest(&it.bundle_sha256)));
    facts.push(fact("issued", text(it.issued.clone())));
    if !it.text.is_empty() {
        facts.push(fact("its text", text(it.text.clone())));
    }
    let evidence = it.evidence_sha256.as_deref();
    facts.push(fact("evidence", evidence.map_or_else(|| text("the manifest names none"), digest)));
    let columns = [("component", "n"), ("for", ""), ("bytes", "n"), ("SHA-256", "digest")];
    let mut images = Table::new("images", "Images of this release", &columns);
    for image in &it.images {
        images.row(vec![
            vec![text(image.component.to_string())],
            vec![code(&image.place)],
            vec![text(image.bytes.to_string())],
            vec![digest(&image.sha256)],
        ]);
    }
    let mut words = Table::new("definitions", "Definitions used", &[("word", "name"), ("meaning", "")]);
    for definition in &it.definitions {
        words.row(vec![vec![text(definition.term)], vec![text(definition.meaning)]]);
    }
    let mut blocks = Vec::new();
    if it.from.is_none() {
        blocks.push(Block::Missing("no base is in the archive: what devices run before isn't known".into()));
    }
    blocks.extend([
        Block::Facts(facts),
        images.or("The manifest names no image."),
        words.or("No word is defined."),
    ]);
    blocks
}

fn checks(it: &Requirements) -> Block {
    let columns =
        [("check", "check"), ("result", "result"), ("what was seen", ""), ("what it read", "digest")];
    let mut table = Table::new("checks", "The thirty checks, and the digests of what they read", &columns);
    table.filters = vec![("open", "not passed".into()), ("waivable", "waivable".into())];
    for check in &it.checks {
        let inputs = check.inputs.iter().flat_map(|input| [code(&input.name), digest(&input.sha256)]);
        let inputs: Cell = match &it.change_sha256 {
            _ if !check.inputs.is_empty() => inputs.collect(),
            Some(record) => vec![text("the change record"), digest(record)],
            None => vec![text("confidential")],
        };
        let mut tags = Vec::new();
        tags.extend((check.result != "pass").then_some("open"));
        tags.extend((check.grade == "waivable").then_some("waivable"));
        table.rows.push(TableRow {
            id: Some(format!("check-{}", check.check)),
            tags,
            cells: vec![
                vec![
                    vec![Span::Strong(format!("{} {}", check.check, check.name))],
                    text(check.title.clone()),
                ],
                vec![result(&check.result)],
                [shown(&check.detail)].into_iter().chain(check.note.clone().map(text)).collect(),
                inputs,
            ],
        });
    }
    table.or("No check is in the evidence.")
}

/// A check that serves a clause: number, name, result, and the digests of what it read.
fn serving(number: u64, checks: &[Check], record: Option<&str>) -> Line {
    let Some(check) = checks.iter().find(|check| check.check == number) else {
        return text(format!("{number}: not in the evidence"));
    };
    let mut line = vec![
        Span::Link(format!("{number} {}", check.name), format!("check-{number}")),
        Span::Text(" ".into()),
        Span::Result(check.result.clone()),
    ];
    // What has no file of its own is in the change record.
    if let (true, Some(record)) = (check.inputs.is_empty(), record) {
        line.extend([Span::Text(" change record ".into()), Span::Short(record.to_owned())]);
    }
    for input in check.inputs.iter().take(2) {
        line.extend([Span::Text(" ".into()), Span::Short(input.sha256.clone())]);
    }
    if check.inputs.len() > 2 {
        line.push(Span::Text(format!(" and {} more", check.inputs.len() - 2)));
    }
    line
}

fn matrix(index: usize, catalogue: &Catalogue, it: &Requirements) -> Block {
    let record = it.change_sha256.as_deref();
    let columns = [
        ("clause", "clause"),
        ("what it asks for, in our words", ""),
        ("check, result, artefacts", "serving"),
        ("shown", "result"),
    ];
    let mut table = Table::new(&format!("catalogue-{index}"), catalogue.title.clone(), &columns);
    table.filters = vec![
        ("open", "not wholly shown".into()),
        ("required", "required".into()),
        ("unverified", "id not verified against the text".into()),
    ];
    for clause in &catalogue.clauses {
        let mut tags = Vec::new();
        tags.extend((clause.result != "pass").then_some("open"));
        tags.extend(clause.required.then_some("required"));
        tags.extend((!clause.verified).then_some("unverified"));
        let mut serves: Cell =
            clause.checks.iter().map(|number| serving(*number, &it.checks, record)).collect();
        serves.extend(clause.also.iter().map(|also| text(format!("also {also}"))));
        let mut head = vec![vec![Span::Strong(clause.id.clone())]];
        head.extend((!clause.verified).then(|| text("id not verified against the text")));
        let duty = if clause.required { "required" } else { "recommended" };
        table.rows.push(TableRow {
            id: None,
            tags,
            cells: vec![
                head,
                vec![text(clause.title.clone()), text(duty)],
                if serves.is_empty() { vec![text("nothing here")] } else { serves },
                vec![result(&clause.result)],
            ],
        });
    }
    table.or("The catalogue has no clause.")
}

fn delta(index: usize, delta: &Delta, all: &[Check]) -> Block {
    let columns = [("asked by", "name"), ("checks", "serving"), (&delta.a, "ids"), (&delta.b, "ids")];
    let caption = format!("{} and {} side by side, joined by the checks that serve both", delta.a, delta.b);
    let mut table = Table::new(&format!("delta-{index}"), caption, &columns);
    let only = [format!("only {}", delta.a), format!("only {}", delta.b)];
    table.filters = vec![("both", "both".into()), ("a", only[0].clone()), ("b", only[1].clone())];
    for row in &delta.rows {
        let side = row.side();
        let asked = match side {
            "a" => only[0].clone(),
            "b" => only[1].clone(),
            _ => "both".to_owned(),
        };
        let checks = row.checks.iter().map(|number| {
            let found = all.iter().find(|check| check.check == *number);
            let name = found.map_or(String::new(), |check| format!("{number} {}", check.name));
            let result = found.map_or(String::new(), |check| check.result.clone());
            vec![Span::Link(name, format!("check-{number}")), Span::Text(" ".into()), Span::Result(result)]
        });
        let checks: Cell = checks.collect();
        table.rows.push(TableRow {
            id: None,
            tags: vec![side],
            cells: vec![
                vec![text(asked)],
                if checks.is_empty() { vec![text("no check: see the catalogue")] } else { checks },
                each(&row.a, |id| text(id)),
                each(&row.b, |id| text(id)),
            ],
        });
    }
    table.or("Neither catalogue has a clause.")
}

pub(super) fn requirements(it: &Requirements) -> Vec<Block> {
    let mut blocks: Vec<Block> = missing(&it.missing).collect();
    if it.checks.is_empty() {
        return blocks;
    }
    for (index, catalogue) in it.catalogues.iter().enumerate() {
        blocks.push(Block::Heading(format!("By clause: {}", catalogue.name)));
        blocks.push(matrix(index + 1, catalogue, it));
        let line = vec![Span::Text("The catalogue is data: ".into()), Span::Digest(catalogue.sha256.clone())];
        blocks.push(Block::Text(line));
    }
    if it.catalogues.is_empty() {
        blocks.push(Block::Missing("the evidence names no catalogue".into()));
    }
    for (index, delta) in it.deltas.iter().enumerate() {
        blocks.push(Block::Heading(format!("Delta: {} and {}", delta.a, delta.b)));
        blocks.push(self::delta(index + 1, delta, &it.checks));
    }
    blocks.push(Block::Heading("By check".into()));
    blocks.push(checks(it));
    blocks
}

/// Since awareness: to the hour, for what is due in hours.
fn elapsed(seconds: u64) -> String {
    match seconds / DAY {
        0 | 1 => span(seconds),
        days => format!("{days} days {} h", seconds % DAY / HOUR),
    }
}

/// What happened when, and what CRA Art. 14 says of it.
fn timeline(index: usize, it: &Vulnerability) -> Block {
    let columns = [
        ("step", "name"),
        ("when", "date"),
        ("since awareness", ""),
        ("due", "date"),
        ("CRA Art. 14(2)", "result"),
    ];
    let caption = format!("{}: from awareness to release", it.id);
    let mut table = Table::new(&format!("timeline-{index}"), caption, &columns);
    for step in &it.steps {
        let deadline = it.deadlines.iter().find(|deadline| deadline.step == step.step);
        let met = deadline.map(|deadline| match deadline.met {
            Some(true) => result("met"),
            Some(false) if deadline.done.is_none() => result("missed"),
            Some(false) => result("late"),
            None => text("not recorded as sent"),
        });
        table.row(vec![
            vec![text(step.step)],
            vec![text(step.at.clone().unwrap_or_else(|| "not recorded".into()))],
            vec![text(step.elapsed.map_or_else(|| "–".into(), elapsed))],
            vec![text(deadline.map_or_else(|| "–".into(), |deadline| deadline.due.clone()))],
            vec![met.unwrap_or_else(|| text("no deadline"))],
        ]);
    }
    table.or("Nothing is recorded of when who knew.")
}

fn vulnerability(index: usize, it: &Vulnerability, blocks: &mut Vec<Block>) {
    blocks.push(Block::Heading(match &it.title {
        Some(title) => format!("{}: {title}", it.id),
        None => it.id.clone(),
    }));
    let references = |list: &[String]| each(list, code);
    let mut facts = vec![
        fact("severity", text(it.severity.clone())),
        fact(
            "exploited",
            text(if it.exploited { "yes: CRA Art. 14(2) sets deadlines" } else { "not known to be" }),
        ),
        fact("index", text(it.index.to_string())),
    ];
    if let Some(cvss) = &it.cvss {
        facts.push(fact("CVSS", code(cvss)));
    }
    if !it.aliases.is_empty() {
        facts.push(fact("also", text(it.aliases.join(", "))));
    }
    let lists = [
        ("CSAF", &it.csaf, "no document is recorded"),
        ("VEX", &it.vex, "no document is recorded"),
        ("reported upstream", &it.upstream, "no report is recorded (CRA Art. 13(6))"),
    ];
    for (name, list, none) in lists {
        let cell = if list.is_empty() { vec![text(none)] } else { references(list) };
        facts.push((name.to_owned(), cell));
    }
    if !it.baselines.is_empty() {
        let standing = it.baselines.iter().map(|s| format!("{}: {}", s.baseline, s.state.replace('-', " ")));
        facts.push(fact("baselines", text(standing.collect::<Vec<_>>().join(", "))));
    }
    blocks.push(Block::Facts(facts));
    blocks.push(timeline(index, it));
}

pub(super) fn vulnerabilities(it: &Vulnerabilities) -> Vec<Block> {
    let mut blocks: Vec<Block> = missing(&it.missing).collect();
    if it.closed.is_empty() {
        blocks.push(Block::Text(text("This release closes no vulnerability.")));
    }
    for (index, one) in it.closed.iter().enumerate() {
        vulnerability(index + 1, one, &mut blocks);
    }
    let mut facts = Vec::new();
    if !it.advisories.is_empty() {
        facts.push(("CSAF advisories that name this release as fixed".into(), each(&it.advisories, code)));
    }
    facts.extend(it.embargo.as_ref().map(|embargo| fact("embargo", text(embargo.clone()))));
    facts.extend(it.snapshot.as_ref().map(|snapshot| fact("other vulnerabilities", text(snapshot.clone()))));
    if !facts.is_empty() {
        blocks.push(Block::Heading("Advisories and what else was known".into()));
        blocks.push(Block::Facts(facts));
    }
    blocks
}

fn joined(it: &Separation) -> Block {
    let columns = [
        ("vulnerability", "name"),
        ("commit", "commit"),
        ("changed lines", "place"),
        ("function or data", "place"),
        ("how they reach it", ""),
        ("explained", "result"),
    ];
    let caption = "Vulnerabilities, commits, changed lines and functions: every row explained, or an orphan";
    let mut table = Table::new("joined", caption, &columns);
    table.filters = vec![("orphan", "orphans".into()), ("function", "functions and data".into())];
    for row in &it.rows {
        let mut tags = Vec::new();
        tags.extend(row.orphan.then_some("orphan"));
        tags.extend(row.function.is_some().then_some("function"));
        table.rows.push(TableRow {
            id: None,
            tags,
            cells: vec![
                each(&row.ids, |id| text(id)),
                each(&row.commits, |commit| vec![Span::Short(commit.to_owned())]),
                each(&row.hunks, code),
                vec![row.function.as_deref().map_or_else(|| text("–"), code)],
                vec![text(row.how.clone())],
                vec![result(if row.orphan { "orphan" } else { "yes" })],
            ],
        });
    }
    table.or("Nothing was joined.")
}

fn commits(it: &Separation) -> Block {
    let columns =
        [("commit", "commit"), ("subject", ""), ("fixes", "name"), ("author", ""), ("reviewed by", "")];
    let mut table = Table::new("commits", "Commits between base and patch", &columns);
    for commit in &it.commits {
        table.row(vec![
            vec![code(&commit.id)],
            vec![text(commit.subject.clone())],
            each(&commit.fixes, |id| text(id)),
            vec![text(commit.author.clone())],
            each(&commit.reviewers, |person| text(person)),
        ]);
    }
    table.or("The evidence lists no commit.")
}

fn inventories(it: &Separation) -> Block {
    let columns =
        [("check", "name"), ("what is compared", ""), ("SHA-256, base and patch", "digest"), ("differs", "")];
    let mut table = Table::new("inventories", "Interface inventories, old and new", &columns);
    for inventory in &it.inventories {
        let frozen = if inventory.frozen {
            "the base's is what the ledger froze"
        } else {
            "the base's isn't frozen in a ledger"
        };
        table.row(vec![
            vec![vec![Span::Link(
                format!("check {}", inventory.check),
                format!("check-{}", inventory.check),
            )]],
            vec![text(inventory.groups.join(", ")), text(frozen)],
            vec![digest(&inventory.base_sha256), digest(&inventory.patch_sha256)],
            if inventory.changes.is_empty() {
                vec![text("nothing")]
            } else {
                each(&inventory.changes, |change| text(change))
            },
        ]);
    }
    table.or("No inventory is in the evidence.")
}

pub(super) fn separation(it: &Separation) -> Vec<Block> {
    let mut blocks: Vec<Block> = missing(&it.missing).collect();
    if !it.rows.is_empty() {
        let orphans = match it.orphans.unwrap_or_default() {
            0 => "no orphan row".into(),
            orphans => plural(orphans as u64, "orphan row"),
        };
        blocks.push(Block::Text(vec![
            Span::Strong(format!("{}, {orphans}.", plural(it.rows.len() as u64, "row"))),
            Span::Text(" An orphan is a change that nothing explains: it must not be in a patch.".into()),
        ]));
        blocks.push(joined(it));
    }
    if !it.functions.is_empty() {
        let count = |key: &str| it.functions.get(key).copied().unwrap_or(0);
        blocks.push(Block::Heading("Functions, before and after".into()));
        let machine = it.machine.as_deref().unwrap_or("an unknown machine");
        let how = match it.method.as_deref() {
            None => String::new(),
            Some("relocations") => {
                format!(" Compared for {machine} by the linker's own relocations, which is exact.")
            }
            Some(_) => format!(" Compared for {machine} by decoding, which is weaker than relocations."),
        };
        blocks.push(Block::Text(text(format!(
            "{} of {} functions changed ({} before); {} only lie elsewhere.{how}",
            count("changed"),
            count("new"),
            count("old"),
            count("moved"),
        ))));
    }
    if it.method.is_some() {
        match it.changed.is_empty() {
            true => blocks.push(Block::Text(text("No function and no data changed."))),
            false => blocks.push(Block::Changes(it.changed.clone())),
        }
        for unseen in &it.unseen {
            blocks.push(Block::Text(text(format!("Not seen: {unseen}."))));
        }
    }
    if !it.commits.is_empty() {
        blocks.push(Block::Heading("Commits".into()));
        blocks.push(commits(it));
    }
    if !it.inventories.is_empty() {
        blocks.push(Block::Heading("Interfaces".into()));
        blocks.push(inventories(it));
    }
    blocks
}

pub(super) fn build(it: &Build) -> Vec<Block> {
    let mut blocks: Vec<Block> = missing(&it.missing).collect();
    let columns = [("property", "name"), ("base", ""), ("patch", ""), ("", "result")];
    let mut table = Table::new("build", "How base and patch were built", &columns);
    table.columns[3].0 = "compared".into();
    for row in &it.rows {
        table.row(vec![
            vec![text(row.name.clone())],
            vec![code(&row.base)],
            vec![code(&row.patch)],
            vec![result(if row.same { "same" } else { "differs" })],
        ]);
    }
    if !it.rows.is_empty() {
        blocks.push(Block::Table(table));
    }
    if let Some(made) = &it.reproduced {
        blocks.push(Block::Heading("Reproduction".into()));
        blocks.push(Block::Facts(vec![
            fact("command", code(&made.command)),
            fact("makes", code(&made.artifact)),
            fact("from commit", code(&made.commit)),
            fact("the image", digest(&made.image_sha256)),
            ("clean builds gave".into(), each(&made.built_sha256, digest)),
            fact("check 12", result(&made.result)),
        ]));
    }
    if blocks.is_empty() {
        blocks.push(Block::Missing("the evidence says nothing of the build".into()));
    }
    blocks
}

pub(super) fn sbom(it: &Sbom) -> Vec<Block> {
    let mut blocks: Vec<Block> = missing(&it.missing).collect();
    if let (Some(format), Some(count)) = (&it.format, it.components) {
        blocks.push(Block::Text(text(format!("{format}, {}.", plural(count, "component")))));
        let columns =
            [("component", "place"), ("base", ""), ("patch", ""), ("named by an advisory or VEX", "result")];
        let mut table = Table::new("components", "Components that differ", &columns);
        for row in &it.rows {
            let side =
                |version: &Option<String>| vec![version.as_deref().map_or_else(|| text("not there"), code)];
            table.row(vec![
                vec![code(&row.component)],
                side(&row.was),
                side(&row.is),
                vec![result(if row.named { "yes" } else { "no" })],
            ]);
        }
        if it.compared || !table.rows.is_empty() {
            blocks.push(table.or("No component was added, removed or moved to another version."));
        }
    }
    if blocks.is_empty() {
        blocks.push(Block::Missing("the evidence says nothing of components".into()));
    }
    blocks
}
