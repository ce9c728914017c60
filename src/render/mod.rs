//! What the configuration says, in other forms: for other tools, and for other people.

mod operator_policy;

pub use operator_policy::{OperatorPolicy, OperatorRule, Purpose, operator_policy};
