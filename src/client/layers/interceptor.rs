//! Code of the caller's own that sees every attempt.

use crate::access::Method;
use crate::client::{Call, Error, Reply, Target};

/// Sees every attempt at an instance, with its [`Target`] and so with its card. Several are asked in order before a call,
/// and in the opposite order behind it.
///
/// All methods do nothing unless they are written. None of them may wait: what they need has to be there.
pub trait Interceptor: Send + Sync {
    /// Before the attempt. What it puts into the parameters or the request goes along.
    ///
    /// # Errors
    /// Why the call is not made; it ends with that, and [`Interceptor::on_error`] is asked of those asked before.
    fn before(&self, call: &mut Call, target: &Target) -> Result<(), Error> {
        let _ = (call, target);
        Ok(())
    }

    /// Behind an answer; a stream has begun, and none of its events has been read.
    fn after(&self, method: Method, reply: &mut Reply, target: &Target) {
        let _ = (method, reply, target);
    }

    /// Behind an error.
    fn on_error(&self, method: Method, error: &Error, target: &Target) {
        let _ = (method, error, target);
    }
}
