//! Whether this node reaches the log. One that does not can't own anything: it says so, and the plan gives its partitions to nodes that do.
//!
//! What is asked is whether anything of the log answers at all. A partition whose leader is away is no reason: it is away for all.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::{error, info};

use crate::{coordinator::Coordinator, log::Log, metrics::Metrics};

/// How often the log is asked.
const EVERY: Duration = Duration::from_millis(500);
/// For how long nothing may answer. Each question takes a second at most, so two in a row went unanswered.
const SILENT_MAX: Duration = Duration::from_secs(2);

/// What watches the log for one node.
pub(crate) struct LogWatch {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) coordinator: Arc<dyn Coordinator>,
    pub(crate) metrics: Metrics,
    /// Tells whether the node is cut off.
    pub(crate) cut_off: watch::Sender<bool>,
}

impl LogWatch {
    /// Runs until nobody wants to know.
    pub(crate) async fn run(self) {
        let mut answered = Instant::now();
        let mut unanswered = 0;
        while !self.cut_off.is_closed() {
            if self.log.answers().await {
                (answered, unanswered) = (Instant::now(), 0);
            } else {
                unanswered += 1;
            }
            // After a pause of the process the log was silent for long, and was not asked.
            let silent = unanswered > 1 && answered.elapsed() >= SILENT_MAX;
            if silent != *self.cut_off.borrow() && !self.cut_off.is_closed() {
                self.tell(silent);
            }
            if unanswered == 0 {
                sleep(EVERY).await;
            }
        }
    }

    fn tell(&self, cut_off: bool) {
        if cut_off {
            error!(
                "nothing of the log answers; partitions go to nodes that reach it, if there are any"
            );
        } else {
            info!("the log answers again");
        }
        self.metrics.log_reached.set(i64::from(!cut_off));
        self.coordinator.update(&mut |node| node.cut_off = cut_off);
        self.cut_off.send_replace(cut_off);
    }
}
