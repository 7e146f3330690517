//! A way to what is wrong: told step by step, and gone again.

use super::search::{Node, Plan, Search};
use super::step;
use std::fmt;

/// Between the steps of a way, where it is one line.
const THEN: &str = "; ";

/// A broken invariant, and the shortest way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Which, and where it shows.
    pub what: String,
    /// What happened, in order.
    pub steps: Vec<String>,
}

impl Wrong {
    /// The way in one line, as [`again`] takes it.
    pub fn case(&self) -> String {
        self.steps.join(THEN)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

/// Goes one way of a plan again, judged as a search judges it, and lets the vendor try to help at its end. A step that may
/// not happen there is wrong, too: the way leads elsewhere now.
///
/// # Errors
/// What goes wrong on it.
pub fn again(plan: &Plan, case: &str) -> Result<(), Wrong> {
    let mut search = Search::new(plan);
    let node = walk(&mut search, case)?;
    search.rescued(&node)
}

fn walk(search: &mut Search<'_>, case: &str) -> Result<Node, Wrong> {
    search.begin()?;
    let nowhere = |search: &Search<'_>| search.path(0, None, "a step leads nowhere");
    let mut node = search.next.pop().ok_or_else(|| nowhere(search))?;
    for said in case.split(THEN).filter(|said| !said.is_empty()) {
        let lost = |search: &Search<'_>, why: &str| search.path(node.at, None, why);
        let (name, cut) = step::parse(said).map_err(|why| lost(search, &why))?;
        let possible = search.possible(&node)?;
        let name_of = |action| step::name(action, &search.oracle.items, &search.oracle.documents);
        let Some(action) = possible.iter().copied().find(|action| name_of(*action) == name) else {
            let names: Vec<String> = possible.into_iter().map(name_of).collect();
            return Err(lost(search, &format!("`{name}` can't happen here, only {}", names.join(", "))));
        };
        // Not a search: where it leads counts, seen before or not.
        search.known.clear();
        search.edge(&node, action, cut)?;
        node = search.next.pop().ok_or_else(|| nowhere(search))?;
    }
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::{Search, again, walk};
    use crate::model::search::Plan;
    use patchlane_protocol::{FeaturePolicy, Policy, SecurityPolicy};

    fn plan() -> Plan {
        Plan {
            name: "a few",
            sends: vec!["4.1 s7 full", "4.1 s8", "4.1 s9 full", "5.1 s7 full"],
            documents: vec!["a thief's policy"],
            policy: Policy { security: SecurityPolicy::ApplyInWindow, feature: FeaturePolicy::Auto },
            soak: 0,
            hangs: 1,
            rots: true,
            cuts: 1,
            rescues: 64,
            most: 60,
        }
    }

    /// What a search found at the end of a way is found there again, cuts and all.
    #[test]
    fn a_way_leads_where_the_search_went() {
        let plan = plan();
        let mut search = Search::new(&plan);
        search.begin().and_then(|()| search.run()).unwrap();
        let (mut cut, mut gone) = (0, 0);
        for node in &search.next {
            let way = search.path(node.at, None, "found");
            let mut second = Search::new(&plan);
            let there = walk(&mut second, &way.case()).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert_eq!(there.facts, node.facts, "{way}");
            cut += usize::from(way.case().contains("power is cut"));
            gone += 1;
        }
        assert!(gone > 10 && cut > 3, "{gone} ways, {cut} with cuts");
    }

    #[test]
    fn a_way_that_leads_elsewhere_is_no_success() {
        let wrong = again(&plan(), "send \"4.1 s8\"; send \"6.1\"").unwrap_err();
        assert!(wrong.what.contains("`send \"6.1\"` can't happen here, only send"), "{wrong}");
        assert_eq!(wrong.steps, ["send \"4.1 s8\""]);
        let wrong = again(&plan(), "send \"4.1 s8\", and power is cut: x/2").unwrap_err();
        assert!(wrong.what.contains("`x/2` is no seed"), "{wrong}");
        again(&plan(), "send \"4.1 s8\"; Restart(PowerOn)").unwrap();
    }
}
