//! Every plan on every flash, with power cut wherever it can be.

pub mod driver;
pub mod plans;
pub mod report;
pub mod scene;
pub mod shape;
pub mod story;
pub mod world;

pub use driver::Lie;
pub use plans::{PLANS, Plan};
pub use report::{Extent, Report};
pub use shape::{SHAPES, Shape};
pub use story::{Story, Title};
