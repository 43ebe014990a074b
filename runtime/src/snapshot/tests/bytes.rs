//! The bytes: frozen, and never trusted.

use std::path::PathBuf;

use super::{
    super::format::{self, End, Head, Unusable},
    *,
};

/// What is loaded and can be decoded.
fn load_bytes(bytes: &[u8]) -> Result<load::Loaded<Note>, Unusable> {
    let loaded = load::load::<Note>(bytes, HORIZON, |_| Ok(()), |_| ())?;
    let mut pieces = 0..;
    while loaded.memory.decode(pieces.next().unwrap()) {}
    match loaded.memory.spoilt().get() {
        None => Ok(loaded),
        Some(what) => Err(Unusable::Damaged {
            section: 0,
            what: what.clone(),
        }),
    }
}

async fn written() -> Vec<u8> {
    let world = World::new().await;
    world.append(eventful());
    world.snapshot().await;
    world.kept_bytes().unwrap()
}

/// Format v1 is frozen: these bytes must be read as long as they are young enough, and are what is written.
#[tokio::test(start_paused = true)]
async fn format_v1_is_frozen() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/format/v1/snapshot.bin");
    let written = written().await;
    if std::env::var_os("MEMGEN_FREEZE").is_some() {
        std::fs::write(&file, &written).unwrap();
    }
    let frozen = std::fs::read(file).unwrap();
    assert!(frozen == written, "the bytes that are written have changed");
    let loaded = load_bytes(&frozen).unwrap();
    assert_eq!((loaded.head.next, loaded.until, loaded.keys), (9, 9, 5));
}

/// Cut anywhere, or with any bit of it wrong, it is no snapshot; and nothing panics.
#[tokio::test(start_paused = true)]
async fn damage_is_always_noticed() {
    let bytes = written().await;
    assert!(load_bytes(&bytes).is_ok());
    for length in 0..bytes.len() {
        assert!(load_bytes(&bytes[..length]).is_err(), "cut at {length}");
    }
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(load_bytes(&damaged).is_err(), "bit {bit} of byte {at}");
        }
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(load_bytes(&longer).is_err());
}

/// Lengths and counts that lie, under checksums that are right: somebody made them so.
#[test]
fn lies_are_noticed() {
    let head = Head {
        topic: "note".to_owned(),
        partition: 0,
        topic_id: String::new(),
        layout: 7,
        build: None,
        next: 1,
        ballot: (1, 1),
        last: None,
        last_is_stale: false,
        current: SetClock::new().now(),
    };
    let entity = |key_length: u32, value_length: u32, tail: &[u8]| {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&key_length.to_le_bytes());
        bytes.extend_from_slice(&value_length.to_le_bytes());
        bytes.extend_from_slice(&[0; 12]);
        bytes.extend_from_slice(tail);
        bytes
    };
    let good = br#"a{"name":"a","text":""}"#;
    let value_length = u32::try_from(good.len() - 1).unwrap();
    let whole = End {
        entities: 1,
        until: 1,
        ..End::default()
    };
    let made = |items: &[Vec<u8>], end: &End| {
        let mut sections = format::Sections::begin(Vec::new(), &head).unwrap();
        for item in items {
            sections
                .item(format::Kind::Entities, |buffer| {
                    buffer.extend_from_slice(item);
                })
                .unwrap();
        }
        load_bytes(&sections.end(end).unwrap().0)
    };
    assert!(made(&[entity(1, value_length, good)], &whole).is_ok());
    let two = End {
        entities: 2,
        ..whole
    };
    for (why, items, end) in [
        ("a key too long", vec![entity(u32::MAX, 1, good)], whole),
        ("a value too long", vec![entity(1, u32::MAX, good)], whole),
        (
            "something more",
            vec![entity(1, value_length - 1, good)],
            whole,
        ),
        ("no JSON", vec![entity(1, 1, b"a{")], whole),
        ("no UTF-8", vec![entity(1, 1, b"\xff{")], whole),
        ("one is missing", vec![entity(1, value_length, good)], two),
        (
            "one is there twice",
            vec![entity(1, value_length, good); 2],
            two,
        ),
        (
            "keys that descend",
            vec![
                entity(1, value_length, br#"b{"name":"b","text":""}"#),
                entity(1, value_length, good),
            ],
            two,
        ),
        (
            "an end before the cut",
            vec![entity(1, value_length, good)],
            End { until: 0, ..whole },
        ),
        (
            "another digest",
            vec![entity(1, value_length, good)],
            End { digest: 1, ..whole },
        ),
    ] {
        let Err(Unusable::Damaged { .. }) = made(&items, &end) else {
            panic!("{why} is not noticed");
        };
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_one_is_discarded_and_a_newer_one_too() {
    for (why, change) in [("damage", 200), ("a newer version", 8)] {
        let world = World::new().await;
        world.append(eventful());
        let before = world.snapshot().await;
        let mut bytes = world.kept_bytes().unwrap();
        bytes[change] ^= 2;
        if change == 8 {
            let crc = crc32c::crc32c(&bytes[0..12]);
            bytes[12..16].copy_from_slice(&crc.to_le_bytes());
            assert!(matches!(load_bytes(&bytes), Err(Unusable::Version(3))));
        }
        world.set_kept_bytes(bytes);
        assert!(world.restored(&before).await.is_none(), "{why}");
        assert!(world.kept_bytes().is_none() && before.kept().is_none());
        // The next one is made as if there had been none.
        world.replayed(&before).await.snapshot_if_due();
        assert!(before.busy.load(Ordering::Acquire), "{why}");
    }
}
