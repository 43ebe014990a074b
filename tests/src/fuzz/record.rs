//! Records and batches: of the embedded log, of Kafka, and what the fold makes of them.

use bytes::Bytes;
use memgen::{
    batch::{self, Change},
    fold::{Fold, Horizon},
    log::kafka::header::Header,
    record::{Answered, Ballot, Kind, Record, codec},
};

use super::{Mutator, Target, below, texts};
use crate::Random;

/// What keys of memgen's own look like, and what their values hold.
const WORDS: [&str; 16] = [
    "\0barrier",
    "\0batch",
    "\0reply",
    "\0fence",
    "\0prepared/00000000000000000000000000000001",
    "\0decided/00000000000000000000000000000001",
    "\0outbox/7",
    "\0input/payments/3",
    r#"{"attempt":{"epoch":1,"incarnation":2,"number":3},"home":"thing/0","writes":[{"key":"a","value":{"a":1}}]}"#,
    r#"{"attempt":{"epoch":1,"incarnation":2,"number":3},"participants":["thing/1"]}"#,
    r#"{"emitted":[{"topic":"t","key":"a","value":"b"}]}"#,
    r#"{"next":18446744073709551615,"sources":{"a":1}}"#,
    r#"{"name":"a"}"#,
    "a",
    "",
    "\u{fffd}",
];

/// An offset, and records from there on as the embedded log has them.
pub(super) struct Records(Mutator);

impl Records {
    pub(super) fn new() -> Self {
        Self(Mutator::new(texts("record"), &WORDS))
    }

    fn part(random: &mut Random) -> Bytes {
        Bytes::from_static(WORDS[below(random, WORDS.len())].as_bytes())
    }

    fn maybe(random: &mut Random) -> Option<Bytes> {
        (random.below(3) > 0).then(|| Self::part(random))
    }

    fn some(random: &mut Random) -> Record {
        let number = |random: &mut Random| match random.below(4) {
            0 => u64::MAX,
            _ => random.below(4).into(),
        };
        let kind = 1 + u8::try_from(random.below(6)).expect("it is a small number");
        let kind = Kind::from_number(kind).expect("there are six");
        let value = if kind == Kind::Batch {
            let changes = (0..random.below(4)).map(|_| Change {
                key: Self::part(random),
                value: Self::maybe(random),
            });
            Some(batch::encode(&changes.collect::<Vec<_>>()))
        } else {
            Self::maybe(random)
        };
        Record {
            ballot: Ballot::new(number(random), number(random)),
            kind,
            timestamp_ms: number(random),
            schema: number(random),
            answered: (random.below(3) == 0).then(|| Answered {
                id: Self::part(random),
                fingerprint: u128::from(number(random)) << 64 | u128::from(number(random)),
                reply: Self::part(random),
            }),
            place: None,
            key: Self::part(random),
            value,
        }
    }
}

impl Target for Records {
    fn name(&self) -> &'static str {
        "record"
    }

    fn input(&self, seed: u64) -> Vec<u8> {
        let mut random = Random::from_seed(seed);
        if random.below(2) == 0 {
            return self.0.input(&mut random);
        }
        // What is whole, so that the fold is reached, and then mostly a little that is not.
        let base = match random.below(8) {
            0 => u64::MAX - u64::from(random.below(4)),
            _ => random.below(100).into(),
        };
        let mut bytes = base.to_le_bytes().to_vec();
        for delta in 0..=random.below(6) {
            let encoded = codec::encode(&Self::some(&mut random), delta, &mut bytes);
            encoded.expect("it is short");
        }
        if random.below(3) > 0 {
            self.0.change(&mut bytes, &mut random);
        }
        bytes
    }

    fn check(&self, input: &[u8]) -> bool {
        let bytes = Bytes::copy_from_slice(input);
        if let Ok(changes) = batch::decode(&bytes) {
            assert_eq!(batch::encode(&changes), bytes, "a batch is another now");
        }
        if let Ok(header) = Header::decode(&bytes) {
            same_header(header, &bytes);
        }
        let Some((base, _)) = input.split_first_chunk() else {
            return false;
        };
        let base = u64::from_le_bytes(*base);
        let mut fold = Fold::new(Horizon {
            age_ms: 1000,
            replies_max: 3,
            replies_bytes_max: 1000,
        });
        let mut at = size_of::<u64>();
        let mut was_read = false;
        while let Ok((offset, record, next)) = codec::decode(&bytes, at, base) {
            assert!(next > at && next <= bytes.len(), "a record of no length");
            let delta = u32::try_from(offset - base).expect("a delta has 32 bits");
            let mut again = Vec::new();
            codec::encode(&record, delta, &mut again).expect("it was encoded before");
            assert_eq!(
                again,
                &bytes[at..next],
                "a record is another now: {record:?}"
            );
            at_kafka(&record);
            was_read = true;
            // What can't be taken in halts the partition, and nothing is behind it.
            if fold.step(offset, &record).is_err() {
                break;
            }
            at = next;
        }
        was_read
    }
}

/// The same record has the same fields in a header of Kafka.
fn at_kafka(record: &Record) {
    let answered = record.answered.as_ref();
    let header = Header {
        ballot: record.ballot,
        kind: record.kind,
        timestamp_ms: record.timestamp_ms,
        schema: record.schema,
        place: record.place,
        answered: answered.map(|it| (&*it.id, it.fingerprint, &*it.reply)),
    };
    let mut bytes = Vec::new();
    header.encode(&mut bytes).expect("ids are as short there");
    assert_eq!(Header::decode(&bytes), Ok(header));
}

fn same_header(header: Header<'_>, bytes: &[u8]) {
    let mut again = Vec::new();
    header.encode(&mut again).expect("it was encoded before");
    assert_eq!(again, bytes, "a header is another now: {header:?}");
}
