//! What the configuration says, in other forms: for other tools, and for other people.

mod argocd;
mod eso;
mod files;
mod manifest;
mod operator_policy;

pub use argocd::{Delivery, argocd};
pub use eso::{API_VERSIONS, eso};
pub use files::{FormName, Rendered, RenderedFile};
pub use operator_policy::{OperatorPolicy, OperatorRule, Purpose, operator_policy};
