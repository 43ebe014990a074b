//! What holds for a log that outlives its process.

use super::{data, layouts, read_all, topic};
use crate::{
    log::{KeptLayout, Log, LogError, TopicPartition},
    record::{Ballot, Offset},
};

/// Rule 3 for a log that outlives its process: `open` opens the same one each time.
///
/// # Panics
/// If a rule is broken, with its name.
pub async fn reopened<L: Log>(open: impl AsyncFn() -> L) {
    let partition = TopicPartition::new("vertex", 1);
    let other = TopicPartition::new("component", 0);
    let mut expected = Vec::new();
    for round in 0..5_u64 {
        let log = open().await;
        if round > 0 {
            let error = log
                .declare(&topic("vertex", 3))
                .await
                .expect_err("the shape is kept");
            assert!(
                matches!(error, LogError::Shape { .. }),
                "one topic, one shape: {error}"
            );
        }
        log.declare(&topic("vertex", 2))
            .await
            .expect("the same shape");
        if round > 1 {
            // A topic may come later, and changes nothing for those before it.
            log.declare(&topic("component", 1))
                .await
                .expect("a new topic, or the same");
            let mut producer = log.producer(&other).expect("a producer");
            let record = data(Ballot::new(round, 1), "other", Some(""));
            assert_eq!(
                producer.append(&[record]).await,
                Ok(vec![round - 2]),
                "offsets go on"
            );
        }
        assert_eq!(
            log.end(&partition).await.expect("an end"),
            expected.len() as Offset,
            "the end is kept"
        );
        assert_eq!(
            read_all(&log, &partition).await,
            expected,
            "what was acknowledged is kept"
        );
        let kept: Vec<_> = layouts(&log, "vertex").await;
        assert_eq!(kept.len() as u64, round, "layouts are kept");
        let layout = KeptLayout {
            fingerprint: round,
            text: round.to_string(),
        };
        log.keep_layout("vertex", &layout)
            .await
            .expect("there is room");
        let mut producer = log.producer(&partition).expect("a producer");
        for number in 0..20 {
            let record = data(
                Ballot::new(round, 1),
                &format!("{round} {number}"),
                Some("value"),
            );
            let offset = expected.len() as Offset;
            assert_eq!(
                producer.append(std::slice::from_ref(&record)).await,
                Ok(vec![offset]),
                "offsets go on"
            );
            expected.push((offset, record));
        }
        if round % 2 == 0 {
            log.close().await;
        }
    }
}
