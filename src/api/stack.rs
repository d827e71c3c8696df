//! temp
/// temp
pub struct Api;
