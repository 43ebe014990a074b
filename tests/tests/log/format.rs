//! Format v1 is frozen: these bytes must be read for ever.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use memgen::{
    batch::{self, BatchError, Change},
    log::conformance::{every_form, read_all},
    record::codec::{self, DecodeError, EncodeError},
};

use super::common::{copy, open, partition};

fn frozen(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("format/v1")
        .join(name)
}

fn changes() -> Vec<Change> {
    let change = |key: &'static str, value: Option<&'static str>| Change {
        key: key.into(),
        value: value.map(Into::into),
    };
    vec![
        change("a", Some("1")),
        change("b", None),
        change("", Some("")),
        change("longer key", Some("{}")),
    ]
}

fn encoded() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (delta, record) in (0..).zip(&every_form()) {
        codec::encode(record, delta, &mut bytes).expect("it is below the limits");
    }
    bytes
}

#[test]
fn records_are_as_they_were_frozen() {
    let bytes = Bytes::from(fs::read(frozen("records.bin")).expect("the frozen records"));
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (offset, record, next) = codec::decode(&bytes, at, 1000).expect("a frozen record");
        assert_eq!(offset, 1000 + records.len() as u64);
        records.push(record);
        at = next;
    }
    assert_eq!(records, every_form());
    assert_eq!(encoded(), bytes);
}

#[test]
fn batches_are_as_they_were_frozen() {
    let bytes = Bytes::from(fs::read(frozen("batch.bin")).expect("the frozen batch"));
    assert_eq!(batch::decode(&bytes).expect("a frozen batch"), changes());
    assert_eq!(batch::encode(&changes()), bytes);
}

#[tokio::test]
async fn a_frozen_log_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&frozen("log"), folder.path());
    let read = read_all(&open(folder.path()), &partition()).await;
    let records: Vec<_> = read.into_iter().map(|(_, record)| record).collect();
    assert_eq!(records, every_form());
}

#[test]
fn records_that_are_cut_off_or_changed_never_panic() {
    let bytes = encoded();
    for end in 0..bytes.len() {
        let cut = Bytes::copy_from_slice(&bytes[..end]);
        let mut at = 0;
        while let Ok((_, _, next)) = codec::decode(&cut, at, 0) {
            at = next;
        }
        assert!(at <= end);
    }
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..20_000 {
        let mut changed = bytes.clone();
        changed[rng.usize(..bytes.len())] = rng.u8(..);
        let changed = Bytes::from(changed);
        let mut at = 0;
        while let Ok((_, _, next)) = codec::decode(&changed, at, 0) {
            at = next;
        }
    }
}

#[test]
fn what_is_wrong_with_a_record_is_said() {
    let bytes = encoded();
    let check = |at: usize, byte: u8, expected: DecodeError| {
        let mut changed = bytes.clone();
        changed[at] = byte;
        assert_eq!(
            codec::decode(&changed.into(), 0, 0).map(|_| ()),
            Err(expected)
        );
    };
    let length = codec::encoded_bytes(&every_form()[0]);
    check(4, 77, DecodeError::Kind(77));
    check(5, 0x81, DecodeError::Flags(0x81));
    check(5, 0, DecodeError::Flags(0));
    check(
        12,
        9,
        DecodeError::Lengths {
            length,
            parts: length as u64 + 1,
        },
    );
    check(
        0,
        3,
        DecodeError::Lengths {
            length: 3,
            parts: 56,
        },
    );
    let mut long = every_form().remove(6);
    if let Some(answered) = &mut long.answered {
        answered.id = Bytes::from(vec![0; 256]);
    }
    let mut out = Vec::new();
    assert_eq!(
        codec::encode(&long, 0, &mut out),
        Err(EncodeError::IdTooLong { bytes: 256 })
    );
    assert!(out.is_empty());
}

#[test]
fn batches_that_are_cut_off_or_changed_never_panic() {
    let bytes = batch::encode(&changes());
    for end in 0..bytes.len() {
        assert!(batch::decode(&bytes.slice(..end)).is_err(), "cut at {end}");
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(matches!(
        batch::decode(&longer.into()),
        Err(BatchError::Length { .. })
    ));
    let mut other = bytes.to_vec();
    other[0] = 9;
    assert_eq!(batch::decode(&other.into()), Err(BatchError::Version(9)));
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..20_000 {
        let mut changed = bytes.to_vec();
        changed[rng.usize(..bytes.len())] = rng.u8(..);
        let _ = batch::decode(&changed.into());
    }
}
