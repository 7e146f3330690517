//! The dossier as a page: sections 7 to 12, and the whole.

use super::dossier::*;
use super::page::*;
use super::sections;
use crate::archive::Audience;
use crate::output::plural;

fn missing(list: &[String]) -> impl Iterator<Item = Block> + '_ {
    list.iter().cloned().map(Block::Missing)
}

fn fact(name: &str, line: Line) -> (String, Cell) {
    (name.to_owned(), vec![line])
}

fn verification(it: &Verification) -> Vec<Block> {
    let mut blocks: Vec<Block> = missing(&it.missing).collect();
    let columns = [("test", "name"), ("result", ""), ("tester", ""), ("environment", ""), ("file", "digest")];
    let mut table = Table::new("tests", "What was tried, by whom, and where", &columns);
    for row in &it.rows {
        table.row(vec![
            vec![text(row.what.clone())],
            vec![text(row.result.clone())],
            vec![text(row.tester.clone())],
            vec![text(row.environment.clone())],
            vec![row.sha256.as_deref().map_or_else(|| text("in the evidence"), digest)],
        ]);
    }
    blocks.push(table.or("The evidence names no test."));
    if !it.differences.is_empty() {
        let columns = [("input", "place"), ("explained by", "")];
        let mut table = Table::new("differences", "Inputs that base and patch answer otherwise", &columns);
        for row in &it.differences {
            table.row(vec![vec![code(&row.input)], each(&row.ids, |id| text(id))]);
        }
        blocks.push(Block::Table(table));
    }
    blocks
}

fn distribution(it: &Distribution) -> Vec<Block> {
    let mut blocks: Vec<Block> = missing(&it.missing).collect();
    let mut facts = Vec::new();
    if let Some(root) = it.root {
        let kind = if it.development { " (development: production devices refuse it)" } else { "" };
        facts.push(fact("root version", text(format!("{root}{kind}"))));
    }
    if let Some(verified) = &it.verified {
        facts.push(fact("by the device's own verifier", text(verified.clone())));
    }
    let signed =
        if it.signed_by.is_empty() { vec![text("nobody")] } else { each(&it.signed_by, |key| text(key)) };
    facts.push(("signed by key".into(), signed));
    facts.push(fact("rollback floor", text(it.floor.clone())));
    if let Some(ceiling) = &it.ceiling {
        facts.push(fact("ceiling of this root", text(ceiling.clone())));
    }
    let payloads = if it.payloads.is_empty() {
        vec![text("none: the image has to be installed already")]
    } else {
        each(&it.payloads, |payload| text(payload))
    };
    facts.push(("payloads".into(), payloads));
    blocks.push(Block::Facts(facts));
    let mut roles = Table::new(
        "roles",
        "Roles and their keys",
        &[("role", "name"), ("keys needed", "n"), ("key ids", "")],
    );
    for role in &it.roles {
        roles.row(vec![
            vec![text(role.role)],
            vec![text(role.threshold.to_string())],
            each(&role.keys, code),
        ]);
    }
    if !it.roles.is_empty() {
        blocks.push(Block::Table(roles));
    }
    let columns =
        [("requirement", "name"), ("what is there", ""), ("mechanism", ""), ("the claim hangs on", "")];
    let mut claims = Table::new("claims", "IEC 62443-4-2, security level capability (SL-C)", &columns);
    for claim in &it.claims {
        claims.row(vec![
            vec![text(claim.requirement)],
            vec![text(claim.claim.clone())],
            vec![text(claim.mechanism)],
            vec![text(claim.condition)],
        ]);
    }
    blocks.push(claims.or("Nothing is claimed."));
    blocks.push(Block::Text(text(
        "A level is claimed by the vendor for the whole device; here stands what patchlane brings towards it. \
         Ids are from a third-party extract and not verified against the standard's text.",
    )));
    blocks
}

fn assessment(it: &Assessment) -> Vec<Block> {
    let mut blocks: Vec<Block> = missing(&it.missing).collect();
    let columns = [("does the change bring new …", "name"), ("answer", "result"), ("why", "")];
    let mut table = Table::new("questions", "The four questions on substantial modification", &columns);
    for question in it.questions.iter().chain(&it.type_certificate) {
        table.row(vec![
            vec![text(question.question.clone())],
            vec![result(if question.changes { "changes" } else { "no" })],
            vec![text(question.why.clone())],
        ]);
    }
    if !it.questions.is_empty() {
        blocks.push(Block::Table(table));
        blocks.push(Block::Text(vec![Span::Text("Check 27: ".into()), Span::Result(it.result.clone())]));
    }
    if let Some(risk) = &it.risk_assessment {
        blocks.push(Block::Facts(vec![(
            "risk assessment".into(),
            vec![code(&risk.name), digest(&risk.sha256)],
        )]));
    }
    blocks
}

fn exceptions(it: &Exceptions) -> Vec<Block> {
    let mut blocks: Vec<Block> = missing(&it.missing).collect();
    let known = it.missing.is_empty();
    if let Some(emergency) = &it.emergency {
        blocks.push(Block::Text(vec![Span::Strong("Emergency: ".into()), Span::Text(emergency.clone())]));
    }
    let columns =
        [("check", "name"), ("reason", ""), ("approved by", ""), ("until", "date"), ("recorded in", "")];
    let mut waivers = Table::new("waivers", "Waivers", &columns);
    for waiver in &it.waivers {
        waivers.row(vec![
            vec![text(waiver.check.clone())],
            vec![text(waiver.reason.clone())],
            vec![text(waiver.by.clone())],
            vec![text(waiver.until.clone())],
            vec![text(if waiver.source == "ledger" { "the ledger" } else { "the evidence" })],
        ]);
    }
    let or = |table: Table, none: &str| (known || !table.rows.is_empty()).then(|| table.or(none));
    blocks.extend(or(waivers, "Nothing is waived."));
    let mut debts = Table::new("debts", "Evidence that is owed", &[("check", "name"), ("due", "date")]);
    for debt in &it.debts {
        debts.row(vec![vec![text(debt.check.clone())], vec![text(debt.due.clone())]]);
    }
    blocks.extend(or(debts, "No evidence is owed."));
    let columns = [("check", "name"), ("why not", ""), ("asked for by the profile", "result")];
    let mut silent = Table::new("unevaluated", "Checks that weren't evaluated", &columns);
    for check in &it.not_evaluated {
        silent.row(vec![
            vec![text(check.check.clone())],
            vec![shown(&check.why)],
            vec![text(if check.blocks { "yes: it blocks" } else { "no" })],
        ]);
    }
    blocks.extend(or(silent, "Every check in the evidence was evaluated, or is listed above."));
    blocks
}

fn notice(it: &Notice) -> Vec<Block> {
    let mut blocks: Vec<Block> = missing(&it.missing).collect();
    let mut facts: Vec<_> = it.told.iter().map(|(name, told)| fact(name, text(told.clone()))).collect();
    facts.extend(it.support_end.as_ref().map(|end| fact("supported until", text(end.clone()))));
    facts.extend(
        it.location.as_ref().map(|location| fact("where it stays obtainable", text(location.clone()))),
    );
    facts.extend(it.retain_until.as_ref().map(|until| {
        fact(
            "kept until",
            text(format!("{until}: ten years after issue or the end of support, the later (CRA Art. 13(9))")),
        )
    }));
    facts.extend(it.archive_sha256.as_deref().map(|sha256| {
        (format!("archive of {}, its index", plural(it.files as u64, "file")), vec![digest(sha256)])
    }));
    blocks.push(Block::Facts(facts));
    blocks
}

fn tool(it: &Tool) -> Vec<Block> {
    let mut facts = vec![fact("this report by", text(it.report.clone()))];
    let evidence = it.evidence.clone().unwrap_or_else(|| "there is no evidence".into());
    facts.push(fact("evidence by", text(evidence)));
    facts.extend(it.commands.iter().map(|(what, command)| fact(what, code(command))));
    let columns = [("role", "name"), ("name", "place"), ("SHA-256", "digest")];
    let mut files = Table::new("files", "Every file of the archive, by its digest", &columns);
    for file in &it.files {
        files.row(vec![vec![text(file.role)], vec![code(&file.name)], vec![digest(&file.sha256)]]);
    }
    vec![Block::Facts(facts), files.or("The archive is empty.")]
}

/// Deadlines of CRA Art. 14(2): how many ran, and how many weren't met.
fn deadlines(it: &Vulnerabilities) -> String {
    let all: Vec<&Deadline> = it.closed.iter().flat_map(|closed| &closed.deadlines).collect();
    let wrong = all.iter().filter(|deadline| deadline.met == Some(false)).count();
    let open = all.iter().filter(|deadline| deadline.met.is_none()).count();
    match (all.len(), wrong, open) {
        (0, ..) if it.closed.iter().any(|closed| closed.exploited) => "not recorded".into(),
        (0, ..) => "none runs".into(),
        (all, 0, 0) => format!("{all} met"),
        (all, 0, open) => format!("{} of {all} met, {open} open", all - open),
        (all, wrong, _) => format!("{wrong} of {all} not met"),
    }
}

fn tiles(it: &Dossier) -> Vec<(&'static str, String)> {
    let count = |result: &str| it.verdict.counts.get(result).copied().unwrap_or(0);
    let checks = [
        ("pass", "pass"),
        ("fail", "fail"),
        ("waived", "waived"),
        ("owed", "owed"),
        ("not-evaluated", "not evaluated"),
    ];
    let checks: Vec<String> = checks
        .iter()
        .map(|(key, word)| (count(key), word))
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    let functions = it.separation.functions.get("changed").zip(it.separation.functions.get("new"));
    let exploited = it.vulnerabilities.closed.iter().filter(|v| v.exploited).count();
    let closed = it.vulnerabilities.closed.len();
    vec![
        ("checks", if checks.is_empty() { "none".into() } else { checks.join(", ") }),
        (
            "vulnerabilities closed",
            if exploited > 0 {
                format!("{closed}, of which {exploited} exploited")
            } else {
                closed.to_string()
            },
        ),
        (
            "functions changed",
            functions.map_or_else(|| "not compared".into(), |(n, of)| format!("{n} of {of}")),
        ),
        (
            "orphan rows",
            match it.separation.orphans {
                None if it.audience == Audience::Customer.name() => "confidential".into(),
                None => "not joined".into(),
                Some(orphans) => orphans.to_string(),
            },
        ),
        ("CRA Art. 14 deadlines", deadlines(&it.vulnerabilities)),
        ("supported until", it.notice.support_end.clone().unwrap_or_else(|| "not stated".into())),
    ]
}

/// The whole dossier as a page.
pub(super) fn page(it: &Dossier) -> Page {
    let sections = [
        ("Identity", sections::identity(&it.identity)),
        ("Requirements", sections::requirements(&it.requirements)),
        ("Vulnerabilities", sections::vulnerabilities(&it.vulnerabilities)),
        ("Separation", sections::separation(&it.separation)),
        ("Build", sections::build(&it.build)),
        ("Bill of materials", sections::sbom(&it.sbom)),
        ("Verification", verification(&it.verification)),
        ("Distribution and device security", distribution(&it.distribution)),
        ("Substantial modification", assessment(&it.assessment)),
        ("Exceptions", exceptions(&it.exceptions)),
        ("User notice and retention", notice(&it.notice)),
        ("Tool and re-verification", tool(&it.tool)),
    ];
    let from = it.identity.from.as_ref().map_or(String::new(), |from| format!(", from {}", from.release));
    Page {
        title: format!("{} {}", it.identity.class, it.identity.to.release),
        subtitle: format!(
            "{}{from}, by {}, issued {}",
            it.identity.lane,
            it.identity.vendor,
            it.identity.issued.chars().take(10).collect::<String>()
        ),
        audience: it.audience.to_owned(),
        verdict: it.verdict.result.clone(),
        sentence: it.verdict.sentence.clone(),
        tiles: tiles(it),
        glance: it
            .requirements
            .checks
            .iter()
            .map(|check| Glance {
                number: check.check,
                name: check.name.clone(),
                result: check.result.clone(),
            })
            .collect(),
        lanes: it.lines.clone(),
        lanes_missing: it.lines_missing.clone(),
        sections: sections
            .into_iter()
            .zip(1..)
            .map(|((title, blocks), number)| Section { number, title, blocks })
            .collect(),
    }
}
