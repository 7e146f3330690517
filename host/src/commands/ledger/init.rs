//! `ledger init`: the folder, and which product it is of.

use crate::cli::Global;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::files::{self, NewFolder, Over, Secrecy};
use crate::ledger::entry::{FORMAT, Head};
use crate::ledger::{NAME, write};
use crate::output::Report;
use clap::Args;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  patchlane ledger init
  patchlane ledger init --before 8    advisories 1 to 8 were handled before there was a ledger";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The advisories 1 to NUMBER were handled before there was a ledger: the level of what is in the field
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..99_999), hide_default_value = true)]
    before: u32,
}

pub(crate) fn run(global: &Global, options: &Options) -> Result<Report> {
    let config = Config::find(global.config.as_deref())?;
    let folder = config.ledger();
    let path = folder.join(NAME);
    if path.exists() {
        let next = "the ledger is started already: patchlane ledger show";
        return Err(Error::new(Code::Exists, "exists already", next).at(path.display()));
    }
    let head = Head {
        format: FORMAT,
        vendor: config.product.vendor.clone(),
        class: config.product.class.clone(),
        before: options.before,
    };
    if [&head.vendor, &head.class].iter().any(|text| super::line(text).is_err()) {
        let next = "correct [product] vendor and class: text without control characters";
        return Err(
            Error::new(Code::Config, "can't be written into a ledger", next).at(config.file.display())
        );
    }
    let made = if folder.exists() { None } else { Some(NewFolder::make(&folder)?) };
    files::write(&path, write::head(&head).as_bytes(), Over::Nothing, Secrecy::Public)?;
    if let Some(made) = made {
        made.keep();
    }
    let data = json!({ "file": path.display().to_string(), "before": options.before });
    Ok(Report::new(
        "Started. Keep it in version control, and change sealed entries by these verbs only.",
        data,
    )
    .line("ledger", path.display().to_string())
    .line("product", format!("{} {}", head.vendor, head.class))
    .line("next", "patchlane ledger baseline add LINE.STEP --name NAME --support-end YEAR-MM-DD"))
}
