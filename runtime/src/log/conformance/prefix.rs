//! What holds whatever goes wrong.

use super::*;

/// Rules 2 and 4, whatever goes wrong: producers send in a row and are replaced once they fail; at the end, what is there
/// of each is a prefix of what it sent, and holds what was acknowledged and nothing that was refused.
///
/// # Panics
/// If a rule is broken, with its name.
pub async fn prefix(log: &impl Log, producers: u64) {
    let name = "prefix";
    log.declare(&topic(name, 1)).await.expect("a new topic");
    let partition = TopicPartition::new(name, 0);
    let mut sent: Vec<Vec<(Record, Result<Offset, AppendError>)>> = Vec::new();
    for number in 1..=producers {
        let ballot = Ballot::new(number, 1);
        let mut producer = log.producer(&partition).expect("a producer");
        let mut appends = Vec::new();
        for round in 0..10 {
            let records: Vec<_> = (0..3)
                .map(|at| data(ballot, &format!("{number} {round} {at}"), Some("")))
                .collect();
            appends.push((records.clone(), producer.append(&records)));
            if round == 4 {
                // Those behind see how those before them ended.
                let (records, receipt) = appends.pop().expect("it was just pushed");
                let outcome = receipt.await;
                appends.push((records, Box::pin(std::future::ready(outcome))));
            }
        }
        let mut outcomes = Vec::new();
        for (records, receipt) in appends {
            let outcome = receipt.await;
            for (at, record) in records.into_iter().enumerate() {
                outcomes.push((record, outcome.clone().map(|offsets| offsets[at])));
            }
        }
        sent.push(outcomes);
    }
    // A late write can only come behind this; it is still allowed to.
    let read = read_all(log, &partition).await;
    for outcomes in &sent {
        let failed = outcomes.iter().position(|(_, outcome)| outcome.is_err());
        assert!(
            outcomes[failed.unwrap_or(outcomes.len())..]
                .iter()
                .all(|(_, outcome)| outcome.is_err()),
            "prefix: nothing is acknowledged behind a failure"
        );
        let mut last = None;
        let mut missing = false;
        for (record, outcome) in outcomes {
            let mut found = read
                .iter()
                .filter(|(_, it)| it == record)
                .map(|(offset, _)| *offset);
            let offset = found.next();
            assert_eq!(found.next(), None, "order: a record is there once");
            match outcome {
                Ok(acknowledged) => {
                    assert_eq!(
                        offset,
                        Some(*acknowledged),
                        "durability: what was acknowledged is there"
                    );
                }
                Err(AppendError::Unknown(_)) => {}
                Err(error) => assert_eq!(offset, None, "unknown outcomes: `{error}` means never"),
            }
            if let Some(offset) = offset {
                assert!(!missing, "prefix: what landed is a prefix of what was sent");
                assert!(last < Some(offset), "prefix: in the order sent");
                last = Some(offset);
            }
            missing |= offset.is_none();
        }
    }
}
