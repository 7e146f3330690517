//! Recipes for continuous integration: as much of their YAML as says what is run.

/// A job: what it runs, and what it hands on.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Job {
    pub(super) name: String,
    pub(super) scripts: Vec<String>,
    pub(super) artifacts: Vec<String>,
    /// Names of the secrets it is given.
    pub(super) secrets: Vec<String>,
}

/// Keys at the top that are no jobs of GitLab's.
const SETTINGS: [&str; 6] = ["stages", "variables", "default", "workflow", "image", "include"];

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The lines below `key: |`, without their indentation.
fn literal(lines: &[&str], at: usize, from: usize) -> String {
    let below = lines[at..].iter().take_while(|line| line.trim().is_empty() || indent(line) > from);
    let below: Vec<&str> = below.copied().collect();
    let margin =
        below.iter().filter(|line| !line.trim().is_empty()).map(|line| indent(line)).min().unwrap_or(0);
    below.iter().map(|line| format!("{}\n", line.get(margin..).unwrap_or_default())).collect()
}

/// `["a", "b"]` or `"a"`.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('"').skip(1).step_by(2).map(str::to_owned)
}

/// GitHub's jobs are below `jobs:`, GitLab's at the top.
fn job_name(line: &str, github: bool, inside: bool) -> Option<&str> {
    let name = line.trim().strip_suffix(':')?;
    let wanted =
        if github { inside && indent(line) == 2 } else { indent(line) == 0 && !SETTINGS.contains(&name) };
    wanted.then_some(name)
}

pub(super) fn jobs(yaml: &str) -> Vec<Job> {
    let lines: Vec<&str> = yaml.lines().collect();
    let github = lines.contains(&"jobs:");
    let (mut jobs, mut inside, mut in_script): (Vec<Job>, bool, bool) = (Vec::new(), false, false);
    for (number, line) in lines.iter().enumerate() {
        inside |= *line == "jobs:";
        if let Some(name) = job_name(line, github, inside) {
            jobs.push(Job { name: name.into(), ..Job::default() });
            continue;
        }
        let Some(job) = jobs.last_mut() else { continue };
        let said = line.trim();
        let key = said.trim_start_matches("- ");
        in_script &= said.starts_with("- ") || indent(line) > 4;
        if let Some(script) = key.strip_prefix("run: ") {
            let below = || literal(&lines, number + 1, indent(line));
            job.scripts.push(if script == "|" { below() } else { script.into() });
        } else if said == "script:" {
            in_script = true;
        } else if let Some(script) = said.strip_prefix("- ").filter(|_| in_script && indent(line) == 4) {
            let below = || literal(&lines, number + 1, indent(line));
            let part = if script == "|" { below() } else { format!("{script}\n") };
            // One shell runs them all.
            if job.scripts.is_empty() { job.scripts.push(part) } else { job.scripts[0].push_str(&part) }
        } else if let Some(paths) = key.strip_prefix("path: ").or_else(|| key.strip_prefix("paths: ")) {
            job.artifacts.extend(quoted(paths));
        } else if let Some((name, secret)) = key.split_once(": ${{ secrets.") {
            assert_eq!(secret.trim_end_matches(" }}"), name, "a secret by another name");
            job.secrets.push(name.into());
        }
    }
    jobs
}

#[test]
fn both_forms_are_read() {
    let github = "on: push\njobs:\n  sign:\n    steps:\n      - uses: x\n      - run: one\n      - name: N\n        \
                  env:\n          KEY: ${{ secrets.KEY }}\n        run: |\n          two\n            more\n      - uses: u\n        \
                  with:\n          path: \"*.plb\"\n  verify:\n    steps:\n      - run: three\n";
    let sign = Job {
        name: "sign".into(),
        scripts: vec!["one".into(), "two\n  more\n".into()],
        artifacts: vec!["*.plb".into()],
        secrets: vec!["KEY".into()],
    };
    let verify = |scripts: &[&str]| Job {
        name: "verify".into(),
        scripts: scripts.iter().map(|s| (*s).to_owned()).collect(),
        ..Job::default()
    };
    assert_eq!(jobs(github), [sign, verify(&["three"])]);
    let gitlab = "stages: [a]\nsign:\n  script:\n    - one\n    - |\n      two\n      - more\n  artifacts:\n    \
                  paths: [\"a\", \"b\"]\nverify:\n  script:\n    - three\n    - four\n";
    let sign = Job {
        name: "sign".into(),
        scripts: vec!["one\ntwo\n- more\n".into()],
        artifacts: vec!["a".into(), "b".into()],
        secrets: Vec::new(),
    };
    assert_eq!(jobs(gitlab), [sign, verify(&["three\nfour\n"])]);
}
