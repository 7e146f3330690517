//! `cargo xtask report`: the report of a sample product, and what a browser says of it.

use crate::run::{cargo, run};
use crate::toolchain::root;
use crate::tools::{self, Package};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A browser, and what talks to it.
pub(crate) const BROWSER: [Package; 2] = [("chromium", "/usr/bin/chromium"), ("nodejs", "node")];
/// Rules of accessibility that aren't ours.
const AXE: &str = "axe-core@4.10.3";

fn made(folder: &Path) -> Result<(), String> {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    println!("Making a product, its history, a patch, its archive, and the report.");
    let mut test = cargo(&["test", "--quiet", "--workspace", "--test", "cli"]);
    test.args(["report::story::the_sample_says_all_twelve_sections", "--", "--exact"]);
    run(test.env("PATCHLANE_REPORT_SAMPLE", folder))?;
    for file in ["report.json", "report.md", "report.html", "customer.html"] {
        let path = folder.join(file);
        if !path.is_file() {
            return Err(format!("{} wasn't made", path.display()));
        }
        println!("  {}", path.display());
    }
    Ok(())
}

/// axe-core, if npm can get it.
fn axe(folder: &Path) -> Option<PathBuf> {
    let file = folder.join("npm/node_modules/axe-core/axe.min.js");
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
    let got = npm.arg(folder.join("npm")).arg(AXE).status().is_ok_and(|status| status.success());
    (got && file.is_file()).then_some(file)
}

pub(crate) fn report(arguments: &[&str]) -> Result<(), String> {
    let browser = match arguments {
        [] => false,
        ["--browser"] => true,
        _ => return Err(format!("`{}` isn't understood; there is --browser", arguments.join(" "))),
    };
    let folder = root().join("target/report");
    made(&folder)?;
    if !browser {
        println!("In a browser: cargo xtask report --browser");
        return Ok(());
    }
    if let Err(why) = tools::ensure(&BROWSER) {
        println!("SKIPPED, nothing was looked at in a browser: {why}");
        return Ok(());
    }
    let axe = axe(&folder);
    if axe.is_none() {
        println!("axe-core can't be had from npm: accessibility is judged by our own checks only.");
    }
    let mut check = Command::new("node");
    check.arg(root().join("xtask/report/check.mjs")).arg(BROWSER[0].1).arg(&folder).args(&axe);
    run(&mut check)?;
    println!("It renders, prints, asks for nothing and can be read: {}", folder.join("report.png").display());
    Ok(())
}
