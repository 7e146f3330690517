//! A plan on a flash, as a subject of a search.

use super::Lie;
use super::plans::{PLANS, Plan};
use super::scene::Scene;
use super::shape::{SHAPES, Shape};
use super::world::{Instant, Stop, World};
use patchlane::flash::Power;
use patchlane_device::Cause;
use patchlane_flash::{Case, Run, Subject};
use std::fmt;
use std::str::FromStr;

/// Rounds until a device counts as stuck.
const PATIENCE: u32 = 200;

/// A plan on a flash.
#[derive(Debug)]
pub struct Story {
    /// What is done.
    pub plan: &'static Plan,
    /// On what.
    pub shape: &'static Shape,
    scene: Scene,
}

impl Story {
    /// A plan on a flash; `lie` is how its driver lies.
    pub fn new(plan: &'static Plan, shape: &'static Shape, lie: Option<Lie>) -> Self {
        Self { plan, shape, scene: Scene { lie, ..(plan.scene)(shape) } }
    }

    /// Lets words be programmed again, as some parts do.
    pub fn lenient(&mut self) {
        let chip = &mut self.scene.start.chip;
        for bank in [&mut chip.state, &mut chip.primary, &mut chip.secondary] {
            *bank = bank.clone().lenient();
        }
    }

    /// A plan and a flash by name.
    pub fn named(plan: &str, shape: &str) -> Result<Self, String> {
        let plan =
            PLANS.iter().find(|p| p.name == plan).ok_or_else(|| format!("there is no plan `{plan}`"))?;
        let shape = SHAPES.iter().find(|s| s.name == shape);
        Ok(Self::new(plan, shape.ok_or("there is no such geometry")?, None))
    }

    /// Lives on, whatever happens to power, until all is done.
    ///
    /// # Errors
    /// What went wrong.
    pub fn live(&self, left: Instant, run: &mut Run<'_, Instant>) -> Result<Instant, String> {
        let mut world = World::new(&self.scene, left, run);
        for _ in 0..PATIENCE {
            let step = if world.booted.is_none() || world.power().is_off() {
                world.restore();
                world.start(Cause::PowerOn).map(|()| false)
            } else if world.done {
                match (self.plan.end)(&mut world) {
                    Ok(()) => return Ok(world.machine.media.instant()),
                    Err(stop) => Err(stop),
                }
            } else {
                (self.plan.round)(&mut world)
            };
            match step {
                Ok(true) => {
                    // The end has to be there after one more restart, too.
                    world.done = true;
                    world.booted = None;
                }
                Ok(false) => {}
                Err(Stop::Off) => world.booted = None,
                Err(Stop::Known) => return Ok(world.machine.media.instant()),
                Err(Stop::Defect(text)) => return Err(text),
            }
        }
        let state = world.machine.engine().state().map(|state| state.phase);
        Err(format!("stuck: {:?}, {state:?}", world.booted))
    }
}

impl Subject for Story {
    type Left = Instant;
    fn begin(&self) -> Instant {
        self.scene.start.clone()
    }
    fn perform(&self, left: Instant, _: &Power, run: &mut Run<'_, Instant>) -> Result<(), String> {
        self.live(left, run).map(drop)
    }
}

/// A case with the names of its plan and its flash: `PLAN/GEOMETRY/TORN/AT:WHEN,AT:WHEN/SEED`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    /// The plan.
    pub plan: String,
    /// The geometry.
    pub shape: String,
    /// The case.
    pub case: Case,
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.plan, self.shape, self.case)
    }
}

impl FromStr for Title {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, '/');
        let (Some(plan), Some(shape), Some(case)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!("`{text}` isn't PLAN/GEOMETRY/TORN/AT:WHEN,AT:WHEN/SEED"));
        };
        Ok(Self { plan: plan.to_owned(), shape: shape.to_owned(), case: case.parse()? })
    }
}
