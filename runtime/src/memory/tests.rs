//! Memories that came of a log, of a snapshot, or of both.

#![allow(clippy::unwrap_used)] // the whole file is a test

use std::collections::BTreeMap;

use super::*;
use crate::prelude::*;

/// A value under a name.
#[stateful_api(path = "/value")]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Entry {
    #[key]
    name: String,
    value: u64,
}

fn change(name: &str, value: Option<u64>) -> Change<Entry> {
    Change {
        offset: 0,
        key: name.to_owned(),
        stored: value.map(|value| Arc::new(Stored::decode(&json(name, value)).unwrap())),
        written: None,
    }
}

fn json(name: &str, value: u64) -> Vec<u8> {
    format!(r#"{{"name":"{name}","value":{value}}}"#).into_bytes()
}

/// Whatever was there in between: the same entities add up to the same.
#[test]
fn a_summary_is_that_of_the_entities() {
    let (roundabout, straight) = (Memory::<Entry>::default(), Memory::<Entry>::default());
    roundabout
        .apply([change("a", Some(1)), change("b", Some(20))], 2)
        .unwrap();
    roundabout
        .apply([change("gone", Some(3)), change("never", None)], 4)
        .unwrap();
    roundabout
        .apply([change("b", Some(2)), change("gone", None)], 6)
        .unwrap();
    straight
        .apply([change("b", Some(2)), change("a", Some(1))], 6)
        .unwrap();
    assert_eq!(roundabout.summary(), straight.summary());
    let bytes = r#"{"name":"a","value":1}"#.len() * 2;
    assert_eq!(straight.summary().bytes, i64::try_from(bytes).unwrap());
    straight.apply([change("b", Some(20))], 6).unwrap();
    assert_ne!(roundabout.summary().digest, straight.summary().digest);
}

/// Whatever the place of the key: that it came and went is seen afterwards.
#[test]
fn what_comes_and_goes_is_counted() {
    let pieces = vec![piece(&["b"], |_| 0)];
    let memory = Memory::restore(pieces, Vec::new(), Summary::default()).unwrap();
    let count = |changes: [Change<Entry>; 1]| {
        let before = memory.comings();
        memory.apply(changes, 0).unwrap();
        memory.comings() != before
    };
    assert!(!count([change("b", Some(1))]), "it only has another value");
    for name in ["a", "b"] {
        assert!(count([change(name, None)]) || name == "a");
        assert!(count([change(name, Some(1))]), "`{name}` comes");
        assert!(!count([change(name, Some(2))]));
        assert!(count([change(name, None)]), "`{name}` goes");
    }
}

/// What few values need, no other entity pays for.
#[test]
fn an_entity_is_kept_with_two_words() {
    let words = size_of::<Stored<Entry>>() - size_of::<Entry>();
    assert_eq!(words, 2 * size_of::<u64>());
}

/// It is there for as long as the value is the one in the log.
#[test]
fn a_value_in_the_log_goes_with_its_entity() {
    let memory = Memory::<Entry>::default();
    let value = Bytes::from_static(b"{}");
    let wider = |name, number| Change {
        written: Some(Arc::new(Written {
            schema: number,
            value: value.clone(),
        })),
        ..change(name, Some(number))
    };
    let schemas = |memory: &Memory<Entry>| {
        let mut seen = Vec::new();
        memory.walk_written(|name, written| {
            seen.push((name.clone(), written.schema));
            ControlFlow::Continue(())
        });
        seen
    };
    memory
        .apply([wider("a", 1), wider("b", 1), wider("c", 1)], 3)
        .unwrap();
    memory
        .apply([change("a", None), wider("b", 2), change("c", Some(3))], 6)
        .unwrap();
    assert_eq!(schemas(&memory), [("b".to_owned(), 2)]);
    memory.apply([wider("a", 4)], 7).unwrap();
    let seen = memory.written(&"a".to_owned());
    assert_eq!(seen.map(|written| written.schema), Some(4));
    memory
        .apply([change("b", Some(5)), change("a", Some(5))], 9)
        .unwrap();
    assert_eq!(schemas(&memory), []);
}

/// A piece as it comes of a snapshot.
fn piece(names: &[&str], value: impl Fn(&str) -> u64) -> Piece<Entry> {
    let entities: Vec<_> = names
        .iter()
        .map(|name| ((*name).to_owned(), json(name, value(name))))
        .collect();
    let (first, last) = (names[0].to_owned(), names[names.len() - 1].to_owned());
    let decode = move || {
        let place = |(name, value): &(String, Vec<u8>)| {
            Ok(Place::new(
                name.clone(),
                Stored::decode(value).map_err(|error| error.to_string())?,
            ))
        };
        entities.iter().map(place).collect()
    };
    Piece::new(first, last, names.len(), Box::new(decode))
}

fn name(number: u32) -> String {
    format!("{number:02}")
}

/// What a memory shows from a key upwards.
fn walked(memory: &Memory<Entry>, from: Bound<&String>) -> Vec<(String, u64)> {
    let mut seen = Vec::new();
    memory.walk(from, |name, stored| {
        seen.push((name.clone(), stored.state.value));
        ControlFlow::Continue(())
    });
    seen
}

/// Whether its entities came from a snapshot or from the log: a memory shows the same.
#[test]
fn a_memory_of_a_snapshot_is_as_one_of_the_log() {
    let of_log = Memory::<Entry>::default();
    let even = (0..20).map(|number| change(&name(2 * number), Some(number.into())));
    of_log.apply(even, 20).unwrap();
    let mut names = [Vec::new(), Vec::new()];
    of_log.walk(Bound::Unbounded, |name, stored| {
        names[usize::from(name.as_str() >= "14")].push((name.clone(), stored.state.value));
        ControlFlow::Continue(())
    });
    let pieces = names.map(|names| {
        let keys: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
        let values: BTreeMap<_, _> = names.iter().cloned().collect();
        piece(&keys, |name| values[name])
    });
    let pieces = pieces.into_iter().collect();
    let of_snapshot = Memory::restore(pieces, Vec::new(), of_log.summary()).unwrap();
    let mut random = 12345_u32;
    for step in 0..2000 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (key, value) = (name((random >> 8) % 42), random >> 16);
        let value = (value % 3 > 0).then(|| u64::from(value));
        let next = 21 + step;
        for memory in [&of_log, &of_snapshot] {
            memory.apply([change(&key, value)], next).unwrap();
        }
        assert_eq!(of_log.summary(), of_snapshot.summary());
        assert_eq!(of_log.len(), of_snapshot.len());
        let value_of = |stored: &Stored<Entry>| stored.state.value;
        for memory in [&of_log, &of_snapshot] {
            assert_eq!(memory.with(&key, value_of), value);
            assert_eq!(memory.get(&key).map(|stored| stored.state.value), value);
        }
        for from in [
            Bound::Unbounded,
            Bound::Included(&key),
            Bound::Excluded(&key),
        ] {
            assert_eq!(
                walked(&of_log, from),
                walked(&of_snapshot, from),
                "{from:?}"
            );
        }
    }
    let mut first = Vec::new();
    of_snapshot.walk(Bound::Unbounded, |name, _| {
        first.push(name.clone());
        ControlFlow::Break(())
    });
    assert_eq!(first.len(), 1);
}

#[test]
fn keys_of_a_snapshot_ascend() {
    let restored = |pieces: &[&[&str]]| {
        let pieces = pieces.iter().map(|names| piece(names, |_| 0)).collect();
        Memory::<Entry>::restore(pieces, Vec::new(), Summary::default())
    };
    for (pieces, fine) in [
        (&[][..], true),
        (&[&["a", "b"][..], &["c"]], true),
        (&[&["a", "b"], &["b"]], false),
        (&[&["b"], &["a"]], false),
        (&[&["b", "a"]], false),
    ] {
        assert_eq!(restored(pieces).is_some(), fine, "{pieces:?}");
    }
    // Within a piece that is seen when it is decoded.
    for names in [["a", "c", "b", "d"], ["a", "b", "b", "c"]] {
        let memory = restored(&[&["A"], &names]).unwrap();
        assert!(memory.decode(0) && memory.spoilt().get().is_none());
        assert!(!memory.decode(1), "{names:?}");
        assert!(memory.spoilt().get().is_some(), "{names:?}");
    }
}

/// Nobody has to wait until all of it is decoded, and nothing is decoded twice.
#[test]
fn a_piece_is_decoded_when_it_is_looked_at() {
    let decoded = Arc::new(Mutex::new(Vec::new()));
    let seen = || std::mem::take(&mut *decoded.lock().unwrap());
    let pieces = [["b", "c"], ["f", "g"], ["j", "k"]].map(|names| {
        let decoded = decoded.clone();
        let decode = move || {
            decoded.lock().unwrap().push(names[0]);
            let place =
                |name: &str| Place::new(name.to_owned(), Stored::decode(&json(name, 0)).unwrap());
            Ok(names.iter().map(|name| place(name)).collect())
        };
        let [first, last] = names.map(str::to_owned);
        Piece::new(first, last, 2, Box::new(decode))
    });
    let pieces = pieces.into_iter().collect();
    let memory = Memory::<Entry>::restore(pieces, Vec::new(), Summary::default()).unwrap();
    assert_eq!(memory.len(), 6);
    for (name, is_there) in [("a", false), ("d", false), ("z", false)] {
        assert_eq!(memory.get(&name.to_owned()).is_some(), is_there);
    }
    assert_eq!(seen(), Vec::<&str>::new(), "they are in no piece");
    assert!(memory.get(&"g".to_owned()).is_some());
    assert!(memory.get(&"f".to_owned()).is_some());
    assert_eq!(seen(), ["f"]);
    assert_eq!(walked(&memory, Bound::Excluded(&"g".to_owned())).len(), 2);
    assert_eq!(seen(), ["j"], "the walk begins behind the others");
    memory.apply([change("c", None)], 1).unwrap();
    assert_eq!(seen(), ["b"], "it is taken from there");
    assert_eq!(memory.len(), 5);
    assert!((0..3).all(|piece| memory.decode(piece)) && !memory.decode(3));
    assert_eq!(seen(), Vec::<&str>::new());
    assert!(memory.spoilt().get().is_none());
}

/// Nothing is known of its entities: that none is there would be a lie.
#[test]
#[should_panic(expected = "a snapshot that was loaded can't be read: no")]
fn a_piece_that_cant_be_decoded_shows_nothing() {
    let decode = || Err("no".to_owned());
    let piece = Piece::<Entry>::new("a".into(), "b".into(), 2, Box::new(decode));
    let memory = Memory::restore(vec![piece], Vec::new(), Summary::default()).unwrap();
    assert!(memory.get(&"c".to_owned()).is_none());
    memory.get(&"a".to_owned());
}
