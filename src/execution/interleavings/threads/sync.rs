//! What `execution/sync` is here: locks and maps of shuttle's, and tokio's own channels, before each
//! step of which another thread may run.
//!
//! Tokio tests its channels against loom, step by step within; here each of their operations is one step. One that
//! tokio itself does in two, sending, is two here as well: first the place in the channel, then the message.

use shuttle::sync::atomic::{AtomicBool, Ordering};

pub(super) use shuttle::sync::Mutex;
pub(super) use shuttle_dashmap::DashMap;
pub(super) use shuttle_dashmap::mapref::entry::Entry;

/// Lets any thread run before the next step.
pub(super) fn step() {
    AtomicBool::new(false).load(Ordering::SeqCst);
}

/// [`tokio::sync::watch`].
pub(super) mod watch {
    use tokio::sync::watch;

    use super::step;

    #[derive(Debug)]
    pub(in super::super) struct Sender<T>(watch::Sender<T>);

    #[derive(Debug)]
    pub(in super::super) struct Receiver<T>(watch::Receiver<T>);

    impl<T> Sender<T> {
        pub(in super::super) fn new(value: T) -> Self {
            Self(watch::Sender::new(value))
        }

        pub(in super::super) fn subscribe(&self) -> Receiver<T> {
            step();
            Receiver(self.0.subscribe())
        }

        pub(in super::super) fn borrow(&self) -> watch::Ref<'_, T> {
            step();
            self.0.borrow()
        }

        pub(in super::super) fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
            step();
            self.0.send_if_modified(modify)
        }
    }

    impl<T> Receiver<T> {
        pub(in super::super) fn borrow_and_update(&mut self) -> watch::Ref<'_, T> {
            step();
            self.0.borrow_and_update()
        }

        pub(in super::super) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
            step();
            self.0.changed().await
        }
    }
}

/// [`tokio::sync::mpsc`].
pub(super) mod mpsc {
    use tokio::sync::mpsc;
    pub(in super::super) use tokio::sync::mpsc::error;

    use super::step;

    #[derive(Debug)]
    pub(in super::super) struct Sender<T>(mpsc::Sender<T>);

    #[derive(Debug)]
    pub(in super::super) struct Receiver<T>(mpsc::Receiver<T>);

    pub(in super::super) fn channel<T>(buffer: usize) -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = mpsc::channel(buffer);
        (Sender(sender), Receiver(receiver))
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            Self(self.0.clone())
        }
    }

    impl<T> Sender<T> {
        pub(in super::super) fn is_closed(&self) -> bool {
            step();
            self.0.is_closed()
        }

        pub(in super::super) async fn send(&self, message: T) -> Result<(), error::SendError<T>> {
            step();
            let Ok(place) = self.0.reserve().await else {
                return Err(error::SendError(message));
            };
            // Whoever has a place in the channel sends, even if it is closed in between.
            step();
            place.send(message);
            Ok(())
        }
    }

    impl<T> Receiver<T> {
        pub(in super::super) fn is_empty(&self) -> bool {
            step();
            self.0.is_empty()
        }

        pub(in super::super) fn close(&mut self) {
            step();
            self.0.close();
        }

        pub(in super::super) async fn recv(&mut self) -> Option<T> {
            step();
            self.0.recv().await
        }
    }
}

/// [`tokio::sync::Notify`].
#[derive(Debug, Default)]
pub(super) struct Notify(tokio::sync::Notify);

impl Notify {
    pub(super) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        step();
        self.0.notified()
    }

    pub(super) fn notify_waiters(&self) {
        step();
        self.0.notify_waiters();
    }
}
