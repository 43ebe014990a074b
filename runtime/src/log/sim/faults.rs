//! What may go wrong in a simulated log, and how often.

use std::time::Duration;

/// What may go wrong, and how often. Shares lie between 0 and 1.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The shortest time that anything takes on its way.
    pub delay_min: Duration,
    /// The longest, unless a fault makes it later.
    pub delay_max: Duration,
    /// Share of appends whose acknowledgement is lost. It ends the producer; nobody knows what of this append and of
    /// those behind it lands.
    pub ack_lost: f64,
    /// How long a producer waits for an acknowledgement before it gives up.
    pub ack_timeout: Duration,
    /// Share of appends of a producer that is gone (dropped, crashed, failed) which still land whole.
    pub late_whole: f64,
    /// Share of them of which only a prefix lands. The rest never does, nor what was sent behind it.
    pub late_torn: f64,
    /// How much later the writes of a producer that is gone may land.
    pub late_max: Duration,
    /// Share of appends that land in pieces, so that records of others may lie between.
    pub split: f64,
    /// Share of appends before which someone who knows nothing of memgen writes to a key that is in use.
    pub foreign: f64,
    /// While so many records are on their way, a producer wants no more of them: no fault, but logs differ in it.
    pub records_in_flight_max: usize,
    /// Compaction in the background.
    pub compaction: Option<Compaction>,
}

/// Compaction by key, as Kafka does it.
#[derive(Clone, Debug)]
pub struct Compaction {
    /// How often each partition is compacted.
    pub every: Duration,
    /// Records younger than this are never touched. It must outlast the longest spell without a working owner.
    pub lag: Duration,
    /// Deletions that are this much older, and the first of their key, go too. None keeps them for ever.
    pub deletions: Option<Duration>,
}

impl Faults {
    /// Nothing goes wrong. Everything takes a little while.
    #[must_use]
    pub fn none() -> Self {
        Self {
            delay_min: Duration::from_millis(1),
            delay_max: Duration::from_millis(3),
            ack_lost: 0.0,
            ack_timeout: Duration::from_millis(500),
            late_whole: 1.0,
            late_torn: 0.0,
            late_max: Duration::ZERO,
            split: 0.0,
            foreign: 0.0,
            records_in_flight_max: usize::MAX,
            compaction: None,
        }
    }

    /// Everything goes wrong now and then, as in the executable model of the protocol.
    #[must_use]
    pub fn some() -> Self {
        Self {
            delay_max: Duration::from_millis(20),
            ack_lost: 0.01,
            late_whole: 0.4,
            late_torn: 0.3,
            late_max: Duration::from_secs(2),
            split: 0.3,
            foreign: 0.005,
            compaction: Some(Compaction {
                every: Duration::from_secs(1),
                lag: Duration::from_secs(20),
                deletions: None,
            }),
            ..Self::none()
        }
    }
}
