//! The pure code under test, compiled by itself: the fuzzed build needs none of the crate's dependencies on
//! the world, and shows that this code has none.

#[path = "../../src/forward/mod.rs"]
pub mod forward;
#[path = "../../src/packet/mod.rs"]
pub mod packet;
