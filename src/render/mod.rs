//! What the configuration says, in other forms: for other tools, and for other people.

mod eso;
mod files;
mod manifest;
mod operator_policy;

pub use eso::{API_VERSIONS, eso};
pub use files::{HEADER, Rendered, RenderedFile};
pub use operator_policy::{OperatorPolicy, OperatorRule, Purpose, operator_policy};
