//! `lint`: thirty checks on a change, and waivers of the ones that can be waived.

use super::now;
use crate::bundle::sha256;
use crate::cli::Global;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::evidence;
use crate::files::{self, New, Over, Secrecy};
use crate::keys;
use crate::ledger::time::Day;
use crate::lint::archived::CONFIG;
use crate::lint::catalogue::Catalogue;
use crate::lint::change::{self, Change};
use crate::lint::delta::{self, Delta};
use crate::lint::findings;
use crate::lint::statement::{self, JudgedBy};
use crate::lint::waiver::{self, Waiver};
use crate::lint::{self, CHECKS, Case, Emergency, Finding, Grade, Input, Outcome, Profile, Rules};
use crate::output::{Colour, Report, paint, plain};
use clap::{Args, Subcommand};
use ed25519_dalek::SigningKey;
use patchlane_protocol::PublicKey;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  patchlane lint                                  judge change.toml by the profile of patchlane.toml
  patchlane lint -o evidence.json                 and keep what was found, for `build --evidence`
  patchlane lint -o evidence.json --key evidence.pem    the same, signed
  patchlane lint --example > change.toml          one to copy, with comments
  patchlane lint --list                           every check, and what to do when it fails
  patchlane lint inventory interfaces.toml --cargo build.json
  patchlane lint waive 8 --reason generated --until 2027-03-01 --key boss.pem -o 8.txt

A check is pass, fail, waived, owed or not evaluated. Failing checks refuse the patch; waivable ones don't if a second
approver has signed a waiver. What can't be evaluated refuses it if the profile asks for it.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    judge: Judge,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sign, as a second approver, that a patch may go although a check fails
    Waive(Waive),
    /// Take Cargo features, Kconfig options and exported symbols of a build into an interface inventory
    Inventory(super::inventory::Options),
}

#[derive(Debug, Args)]
struct Judge {
    /// The change record
    #[arg(default_value = "change.toml")]
    change: PathBuf,
    /// How strict (default: what patchlane.toml says, else starter)
    #[arg(long, value_enum, value_name = "PROFILE")]
    profile: Option<Profile>,
    /// A requirement catalogue to report by, by name or file; repeat it for each (default: those of patchlane.toml, else cra)
    #[arg(long, value_name = "NAME")]
    catalogue: Vec<String>,
    /// Show what the findings say of each clause; of two catalogues, which clauses the same checks serve, side by side
    #[arg(long)]
    clauses: bool,
    /// Turn missing evidence into debt: why the patch can't wait; what shows a feature change is never excused
    #[arg(long, value_name = "REASON", requires = "due")]
    emergency: Option<String>,
    /// When the missing evidence is due
    #[arg(long, value_name = "YYYY-MM-DD", requires = "emergency", value_parser = Day::parse)]
    due: Option<Day>,
    /// Don't build anything: check 12 isn't evaluated
    #[arg(long)]
    no_rebuild: bool,
    /// List every check, and judge nothing
    #[arg(long, conflicts_with_all = ["emergency", "clauses", "output"])]
    list: bool,
    /// Print a change record to begin with, and judge nothing
    #[arg(
        long,
        conflicts_with_all = ["change", "profile", "catalogue", "clauses", "emergency", "no_rebuild", "list", "output"]
    )]
    example: bool,
    /// Write what was found: an in-toto statement, and beside it what is confidential, FILE.findings.json for FILE.json
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Sign what is written, with an evidence key; its public half is listed under [evidence] keys
    #[arg(long, value_name = "FILE", requires = "output")]
    key: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long, requires = "output")]
    force: bool,
}

const WAIVING: &str = "\
Example:
  patchlane lint waive 8 --reason \"generated code\" --until 2027-03-01 --key boss.pem -o 8.txt

The waiver speaks of this release, these images, and what the check says now; if one of them changes, it is signed anew.";

#[derive(Debug, Args)]
#[command(after_help = WAIVING)]
struct Waive {
    /// The check: its number
    check: u8,
    /// The change record
    #[arg(long, default_value = "change.toml", value_name = "FILE")]
    change: PathBuf,
    /// Why the patch may go all the same
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The day at which the waiver ends
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = Day::parse)]
    until: Day,
    /// The approver's private key; its public half is listed under [lint] approvers
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The waiver
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Don't build anything
    #[arg(long)]
    no_rebuild: bool,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    match &options.command {
        Some(Command::Waive(waive)) => self::waive(global, waive),
        Some(Command::Inventory(options)) => super::inventory::run(options),
        None if options.judge.list => Ok(list(global.color)),
        None if options.judge.example => {
            Ok(Report::of_text(change::EXAMPLE.to_owned(), json!({ "example": change::EXAMPLE })))
        }
        None => judge(global, &options.judge),
    }
}

/// Public keys of those who may approve.
fn approvers(config: &Config) -> Result<Vec<PublicKey>> {
    let listed = config.lint.iter().flat_map(|lint| &lint.approvers);
    listed.map(|path| keys::read_public(&config.path(path))).collect()
}

/// The waivers that the change record names, each verified against what its check says; and their digests.
fn waivers(case: &Case<'_>, config: &Config) -> Result<(Vec<Waiver>, Vec<Input>)> {
    let texts = case.change.waivers.iter().map(|path| {
        let text = files::read_text(&case.change.path(path))?;
        Ok((path.display().to_string(), text))
    });
    let texts = texts.collect::<Result<Vec<_>>>()?;
    let inputs =
        texts.iter().map(|(name, text)| Input { name: name.clone(), digest: sha256(text.as_bytes()) });
    Ok((waiver::verify_all(&texts, case, &|| approvers(config))?, inputs.collect()))
}

/// What the evidence names beside the change record.
fn judged_by(config: &Config, case: &Case<'_>, waivers: Vec<Input>) -> Result<JudgedBy> {
    let approvers = config.lint.iter().flat_map(|lint| &lint.approvers).map(|path| {
        let bytes = files::read_small(&config.path(path))?;
        Ok(Input { name: format!("{CONFIG}{}", path.display()), digest: sha256(&bytes) })
    });
    // Who may approve counts where something was waived.
    let approvers = if waivers.is_empty() { Vec::new() } else { approvers.collect::<Result<_>>()? };
    Ok(JudgedBy { evidence_keys: evidence::trusted(config, &case.root.document()?)?, approvers, waivers })
}

pub(super) fn catalogues(config: &Config, named: &[String]) -> Result<Vec<Catalogue>> {
    if !named.is_empty() {
        return named.iter().map(|name| Catalogue::find(name, Path::new(""))).collect();
    }
    own_catalogues(Some(config))
}

/// Those of patchlane.toml.
pub(super) fn own_catalogues(config: Option<&Config>) -> Result<Vec<Catalogue>> {
    let own = config.and_then(|config| config.lint.as_ref()).map(|lint| lint.catalogues.clone());
    let own = own.filter(|list| !list.is_empty()).unwrap_or_else(|| vec!["cra".to_owned()]);
    let folder = config.map_or(Path::new(""), |config| &config.folder);
    own.iter().map(|name| Catalogue::find(name, folder)).collect()
}

fn emergency(options: &Judge, now: u64) -> Result<Option<Emergency>> {
    let (Some(reason), Some(due)) = (&options.emergency, options.due) else { return Ok(None) };
    if reason.trim().is_empty() {
        return Err(Error::new(Code::Usage, "--emergency has no reason", "say why the patch can't wait"));
    }
    if due.ends() < now {
        return Err(Error::new(Code::Usage, format!("--due {due} is over"), "name a day to come"));
    }
    Ok(Some(Emergency { reason: reason.clone(), due: due.ends() }))
}

fn judge(global: &Global, options: &Judge) -> Result<Report> {
    let config = Config::find(global.config.as_deref())?;
    let change = Change::read(&options.change)?;
    let now = now()?;
    let case = Case::open(global, &config, &change, now, !options.no_rebuild)?;
    let own = config.lint.as_ref().map_or(Profile::Starter, |lint| lint.profile);
    let signer = options
        .key
        .as_ref()
        .map(|path| evidence::signer(path, &global.passphrase(), &config, &case.root.document()?));
    let signer = signer.transpose()?;
    let (catalogues, (waivers, named)) = (catalogues(&config, &options.catalogue)?, waivers(&case, &config)?);
    let rules = Rules {
        profile: options.profile.unwrap_or(own),
        catalogues: &catalogues,
        waivers: &waivers,
        emergency: emergency(options, now)?,
    };
    let findings = lint::run(&case, &rules);
    let made = statement::make(&case, &rules, &findings, &judged_by(&config, &case, named)?)?;
    if let Some(path) = &options.output {
        write(path, &made, signer.as_ref().map(|signer| &signer.key), options.force)?;
    }
    let colour = global.color.on(&std::io::stdout());
    let mut text = format!(
        "{} to {}, profile {}\n\n",
        case.base.manifest()?.version,
        case.version,
        rules.profile.name()
    );
    text.push_str(&table(&findings, colour));
    let deltas = deltas(&made["predicate"]["catalogues"]);
    if options.clauses {
        deltas.iter().for_each(|delta| text.push_str(&side_by_side(delta, &findings, colour)));
        text.push_str(&clauses(&made["predicate"]["catalogues"], colour));
    }
    let mut data = made["predicate"].clone();
    data["deltas"] = json!(deltas);
    data["evidence"] = json!(options.output.as_ref().map(|path| path.display().to_string()));
    let beside = options.output.as_ref().map(|path| findings::path(path));
    data["findings"] = json!(beside.map(|path| path.display().to_string()));
    let mut report = Report::of_text(text, data);
    report.summary = summary(&findings);
    report.notes.extend(signer.into_iter().flat_map(|signer| signer.notes));
    report.notes.extend(unneeded(&waivers, &findings));
    report.failed = refusal(&findings, &options.change);
    if report.failed.is_some() {
        report.summary.clear();
    }
    Ok(report)
}

/// Writes both parts of the evidence, or neither.
fn write(path: &Path, made: &Value, key: Option<&SigningKey>, force: bool) -> Result<()> {
    let parts = findings::split(made, key)?;
    let statement = match key {
        None => evidence::text(&parts.statement)?,
        Some(key) => evidence::sealed(key, &parts.statement)?,
    };
    let over = if force { Over::Existing } else { Over::Nothing };
    let beside = findings::path(path);
    let pieces = [[statement.as_bytes()], [parts.findings.as_bytes()]];
    let new = |path, pieces| New { path, pieces, over, secrecy: Secrecy::Public };
    files::write_together(&[new(path, &pieces[0]), new(&beside, &pieces[1])])
}

/// Waivers of what doesn't fail.
fn unneeded(waivers: &[Waiver], findings: &[Finding]) -> Vec<String> {
    let used =
        |w: &&Waiver| findings.iter().any(|f| f.check.number == w.check && f.outcome.name() == "waived");
    let unused = waivers.iter().filter(|waiver| !used(waiver));
    unused
        .map(|waiver| format!("the waiver of check {} isn't needed: the check doesn't fail", waiver.check))
        .collect()
}

fn count(findings: &[Finding], name: &str) -> usize {
    findings.iter().filter(|finding| finding.outcome.name() == name).count()
}

/// How many of each, those that there are.
fn summary(findings: &[Finding]) -> String {
    let names = [
        ("pass", "pass"),
        ("fail", "fail"),
        ("waived", "waived"),
        ("owed", "owed"),
        ("not-evaluated", "not evaluated"),
    ];
    let counts =
        names.iter().map(|(name, word)| (count(findings, name), word)).filter(|(count, _)| *count > 0);
    counts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ") + "."
}

fn refusal(findings: &[Finding], change: &Path) -> Option<Error> {
    let blocking: Vec<&Finding> = findings.iter().filter(|finding| finding.outcome.blocks()).collect();
    let first = blocking.first()?;
    let numbers: Vec<String> = blocking.iter().map(|finding| finding.check.number.to_string()).collect();
    let what = format!(
        "isn't a security patch yet: {}; {}",
        summary(findings).trim_end_matches('.'),
        match &numbers[..] {
            [one] => format!("check {one} blocks"),
            all => format!("checks {} block", all.join(", ")),
        }
    );
    let next = if lint::is_combined(findings) {
        "it carries functionality: build it as a feature update, `--combined` with a reason if the fix can't be had otherwise"
            .to_owned()
    } else {
        format!("check {}: {}", first.check.number, first.check.next)
    };
    Some(Error::new(Code::Separation, what, next).at(change.display()))
}

/// One line a check; what isn't well says what to do below it.
fn table(findings: &[Finding], colour: bool) -> String {
    let width = CHECKS.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let (word, tint) = match &finding.outcome {
            Outcome::Pass => ("pass", "32"),
            Outcome::Fail => ("FAIL", "31;1"),
            Outcome::Waived { .. } => ("waived", "33"),
            Outcome::Owed { .. } => ("owed", "33"),
            Outcome::Unknown { blocks: true } => ("MISSING", "31;1"),
            Outcome::Unknown { blocks: false } => ("-", "2"),
        };
        let check = finding.check;
        let detail = plain(&finding.detail);
        text.push_str(&format!(
            "{:>2}  {}  {:width$}  {detail}\n",
            check.number,
            paint(colour, tint, &format!("{word:7}")),
            check.name,
        ));
        let below = match &finding.outcome {
            Outcome::Waived { reason, by, .. } => format!("waived by {by}: {}", plain(reason)),
            outcome if outcome.blocks() => format!("next: {}", check.next),
            _ => continue,
        };
        text.push_str(&format!("{:width$}{below}\n", "", width = width + 15));
    }
    text
}

/// The first catalogue beside each of the others.
fn deltas(catalogues: &Value) -> Vec<Delta> {
    let all: Vec<&Value> = catalogues.as_array().into_iter().flatten().collect();
    let name = |catalogue: &Value| catalogue["name"].as_str().unwrap_or_default().to_owned();
    let Some((a, others)) = all.split_first() else { return Vec::new() };
    others.iter().map(|b| Delta { a: name(a), b: name(b), rows: delta::rows(a, b) }).collect()
}

/// Clauses of two catalogues in one table, joined by the checks that serve them: what both ask for, and what only one.
fn side_by_side(delta: &Delta, findings: &[Finding], colour: bool) -> String {
    let ids = |ids: &[String]| if ids.is_empty() { "-".to_owned() } else { plain(&ids.join(", ")) };
    let checks = |row: &delta::Row| match &row.checks[..] {
        [] => "no check".to_owned(),
        checks => checks.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    };
    // The worst of its checks: what isn't shown, isn't shown to both.
    let result = |row: &delta::Row| {
        let served =
            || findings.iter().filter(|finding| row.checks.contains(&u64::from(finding.check.number)));
        match () {
            () if row.checks.is_empty() => "elsewhere",
            () if served().any(|finding| finding.outcome == Outcome::Fail) => "fail",
            () if served().all(|finding| finding.outcome == Outcome::Pass) => "pass",
            () => "in-part",
        }
    };
    let cells = delta.rows.iter().map(|row| {
        let mark = match row.side() {
            "both" => "=",
            "a" => "<",
            _ => ">",
        };
        [mark.to_owned(), checks(row), result(row).to_owned(), ids(&row.a), ids(&row.b)]
    });
    let head = ["", "checks", "result", &delta.a, &delta.b].map(plain);
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(cells).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut text =
        format!("\n= asked for by both, < only by {}, > only by {}\n", plain(&delta.a), plain(&delta.b));
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let line = cells.join("  ");
        text.push_str(&format!("{}\n", paint(colour && index == 0, "1", line.trim_end())));
    }
    text
}

/// What the findings say of each clause.
fn clauses(catalogues: &Value, colour: bool) -> String {
    let mut text = String::new();
    for catalogue in catalogues.as_array().into_iter().flatten() {
        let title = plain(catalogue["title"].as_str().unwrap_or_default());
        text.push_str(&format!("\n{}\n", paint(colour, "1", &title)));
        let rows: Vec<&Value> = catalogue["clauses"].as_array().into_iter().flatten().collect();
        let width =
            rows.iter().filter_map(|r| r["id"].as_str()).map(|id| id.chars().count()).max().unwrap_or(0);
        for row in rows {
            let word = |key: &str| plain(row[key].as_str().unwrap_or_default());
            let duty = if row["required"] == true { "required" } else { "recommended" };
            let checks: Vec<String> =
                row["checks"].as_array().into_iter().flatten().map(Value::to_string).collect();
            let by =
                if checks.is_empty() { String::new() } else { format!(" (checks {})", checks.join(", ")) };
            let doubt = if row["verified"] == true { "" } else { "; id not verified against the text" };
            text.push_str(&format!(
                "{:width$}  {:9}  {duty}: {}{by}{doubt}\n",
                word("id"),
                word("result"),
                word("title")
            ));
        }
    }
    text
}

fn list(colour: Colour) -> Report {
    let colour = colour.on(&std::io::stdout());
    let width = CHECKS.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let (mut text, mut rows) = (String::new(), Vec::new());
    for check in &CHECKS {
        let grade = if check.grade == Grade::Error { "refuses" } else { "waivable" };
        let number = format!("{:>2}", check.number);
        text.push_str(&format!(
            "{}  {grade:8}  {:width$}  {}\n",
            paint(colour, "1", &number),
            check.name,
            check.title
        ));
        text.push_str(&format!("{:indent$}if not: {}\n", "", check.next, indent = width + 16));
        let profiles =
            [Profile::Starter, Profile::Cra, Profile::CraReplay].into_iter().filter(|p| p.needs(check));
        rows.push(json!({
            "check": check.number,
            "name": check.name,
            "title": check.title,
            "grade": if check.grade == Grade::Error { "error" } else { "waivable" },
            "shows_feature": check.feature,
            "next": check.next,
            "profiles": profiles.map(Profile::name).collect::<Vec<_>>(),
        }));
    }
    Report::of_text(text, json!({ "checks": rows }))
}

fn waive(global: &Global, options: &Waive) -> Result<Report> {
    let config = Config::find(global.config.as_deref())?;
    let change = Change::read(&options.change)?;
    let case = Case::open(global, &config, &change, now()?, !options.no_rebuild)?;
    let private = keys::read(&options.key, &global.passphrase())?;
    let public = keys::public_of(&private.key);
    let wrong = |what: &str, next: &str| Err(Error::new(Code::Key, what, next).at(options.key.display()));
    if case.root.document()?.roles.list(&public.id()) {
        return wrong(
            "signs releases",
            "a waiver is the second approver's: use a key that isn't in the root",
        );
    }
    if !approvers(&config)?.contains(&public) {
        return wrong(
            "isn't an approver's key",
            "list its public half under [lint] approvers in patchlane.toml",
        );
    }
    let findings = waiver::first_look(&case);
    let finding = findings.iter().find(|finding| finding.check.number == options.check);
    if let Some(finding) = finding.filter(|finding| finding.outcome != Outcome::Fail) {
        let what = format!("check {} doesn't fail: {}", options.check, finding.detail);
        return Err(Error::new(Code::Usage, what, "waive what fails"));
    }
    let seen = finding.map(|finding| finding.detail.clone()).unwrap_or_default();
    let text = waiver::sign(&case, options.check, &seen, &options.reason, options.until, &private.key)?;
    files::write(&options.output, text.as_bytes(), Over::Nothing, Secrecy::Public)?;
    let file = options.output.display().to_string();
    let data = json!({ "file": file, "check": options.check, "seen": seen, "by": public.id().to_string(), "until": options.until.to_string() });
    let mut report = Report::new(
        format!("Waived until {}: list {file} under `waivers` in the change record.", options.until),
        data,
    )
    .line("file", file.clone())
    .line("check", options.check.to_string())
    .line("seen", seen)
    .line("signed by", public.id().to_string());
    report.notes.extend(private.notes);
    Ok(report)
}
