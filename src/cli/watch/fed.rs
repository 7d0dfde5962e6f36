//! The service manager's watchdog while the watcher goes back by itself. Law: a way back takes minutes, in which the work loop
//! does not come round; whoever ended it half way for that would do the harm that he guards against.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::adapter::systemd::Manager;

/// Gives signs of life until it is dropped.
pub struct Fed(JoinHandle<()>);

impl Fed {
    /// Gives one after every pause: what takes no longer than one pause needs none.
    pub fn every(pause: Duration, manager: &Arc<Manager>) -> Self {
        let manager = manager.clone();
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                manager.alive("going back by itself");
            }
        }))
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_way_back_that_takes_long_is_no_hanging_watcher() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let ear = UnixDatagram::bind(&path).unwrap();
        ear.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let manager = Arc::new(Manager::new(path.to_str()).unwrap());
        let fed = Fed::every(Duration::from_millis(1), &manager);
        // As where a step blocks its thread.
        for _ in 0..2 {
            let mut heard = [0; 100];
            let length = ear.recv(&mut heard).unwrap();
            assert_eq!(&heard[..length], b"WATCHDOG=1\nSTATUS=going back by itself");
        }
        drop(fed);
        while Arc::strong_count(&manager) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
