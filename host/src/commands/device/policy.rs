//! `device policy`: what happens to patches and to feature updates.

use super::ask::{Owner, refused};
use super::status::{feature_words, security_words};
use super::{Cable, status};
use crate::cli::Global;
use crate::error::Result;
use crate::output::{Report, slug};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use patchlane_protocol::link::Command as Frame;
use patchlane_protocol::{FeaturePolicy, Policy, Request, SecurityPolicy};
use serde_json::json;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What happens to security patches (default: stays)
    #[arg(long, value_name = "POLICY", required_unless_present = "feature", value_parser = security())]
    security: Option<SecurityPolicy>,
    /// What happens to feature updates (default: stays)
    #[arg(long, value_name = "POLICY", value_parser = feature())]
    feature: Option<FeaturePolicy>,
    #[command(flatten)]
    owner: Owner,
}

/// Policies by the names that `provision` has for them.
fn security() -> impl TypedValueParser<Value = SecurityPolicy> {
    PossibleValuesParser::new(["off", "notify", "stage-only", "apply-in-window"]).map(|name| {
        match name.as_str() {
            "off" => SecurityPolicy::Off,
            "notify" => SecurityPolicy::Notify,
            "apply-in-window" => SecurityPolicy::ApplyInWindow,
            _ => SecurityPolicy::StageOnly,
        }
    })
}

fn feature() -> impl TypedValueParser<Value = FeaturePolicy> {
    PossibleValuesParser::new(["never", "local", "owner-key", "auto"]).map(|name| match name.as_str() {
        "never" => FeaturePolicy::Never,
        "owner-key" => FeaturePolicy::OwnerKey,
        "auto" => FeaturePolicy::Auto,
        _ => FeaturePolicy::Local,
    })
}

pub(super) fn run(global: &Global, cable: &Cable, options: &Options) -> Result<Report> {
    let mut link = cable.open()?;
    let now = status::ask(&mut link)?;
    let policy = Policy {
        security: options.security.unwrap_or(now.policy.security),
        feature: options.feature.unwrap_or(now.policy.feature),
    };
    let said = |error| refused(error, cable, "the policy");
    let serial = if options.owner.is_given() {
        Some(options.owner.send(global, &mut link, Request::Policy(policy)).map_err(said)?)
    } else {
        // The same policy twice is the same policy.
        link.request_again(&Frame::SetPolicy(policy)).0.map_err(said)?;
        None
    };
    let data = json!({
        "security_policy": slug(&policy.security),
        "feature_policy": slug(&policy.feature),
        "owner_serial": serial,
    });
    let by = serial.map_or("locally".to_owned(), |n| format!("by the owner, serial {n}"));
    Ok(Report::new("Taken.", data)
        .line("policy", security_words(policy.security))
        .line("policy", feature_words(policy.feature, now.owned))
        .line("set", by))
}
