//! Plans, what became of them, and what verification found, as people and CI systems read them. What is shown is data of the
//! modules below, which know nothing of this.

mod applied;
mod diagnosis;
mod junit;
mod plan;
mod verification;

pub use applied::applied;
pub use junit::junit;
pub use plan::plan;
pub(crate) use plan::{fetched, found, logged};
pub use verification::verification;
