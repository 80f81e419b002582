//! The benchmark's decisions: what is measured of which data path in which order, and what follows from the
//! samples: medians, spread, ratios within a round. Pure: loads come from `kernel::load`, forms from `report`.

mod figure;
mod goal;
mod plan;
mod result;
mod samples;

pub use figure::{Better, Figure};
pub use goal::{Row, rows};
pub use plan::{DataPath, Load, Plan, Step, Underlay};
pub use result::{Benchmark, Machine};
pub use samples::{Samples, Summary, Trips};
