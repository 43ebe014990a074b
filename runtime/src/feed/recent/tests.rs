use std::time::Duration;

use super::*;
use crate::{
    feed::{filter::Filter, item::Item, local::Local},
    memory::{Change, Memory},
    prelude::*,
};

/// A number under a name.
#[stateful_api(path = "/number", crud(get, list, watch))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Number {
    #[key]
    name: String,
    number: u64,
}

/// A record: where it is, and what it gives to which names.
type Written<'a> = (Offset, &'a [(&'a str, Option<u64>)]);

fn apply(memory: &Memory<Number>, records: &[Written<'_>]) {
    let mut changes: Vec<Change<Number>> = Vec::new();
    for (offset, written) in records {
        changes.extend(written.iter().map(|(name, number)| Change {
            key: (*name).to_owned(),
            offset: *offset,
            stored: number.map(|number| {
                let json = format!(r#"{{"name":"{name}","number":{number}}}"#);
                Arc::new(Stored::decode(json.as_bytes()).unwrap())
            }),
            written: None,
        }));
    }
    // As a replica does it.
    changes.sort_by(|one, other| one.key.cmp(&other.key));
    memory
        .apply(changes, records.last().unwrap().0 + 1)
        .unwrap();
}

fn shown(changes: &[Arc<Recorded<Number>>]) -> Vec<String> {
    let show = |change: &Arc<Recorded<Number>>| {
        let number = change.stored.as_ref().map(|stored| stored.state.number);
        let number = number.map_or("-".to_owned(), |number| number.to_string());
        format!("{}={number}@{}", change.key, change.at)
    };
    changes.iter().map(show).collect()
}

fn after(
    memory: &Memory<Number>,
    mark: &str,
    most: usize,
) -> Result<(Vec<String>, String), Unread> {
    let mark = Mark::parse(mark).unwrap();
    let (changes, mark) = memory.recent().after(mark, most)?;
    Ok((shown(&changes), mark.to_string()))
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn changes_are_in_the_order_of_the_log_and_each_mark_goes_on_behind_its_own() {
    let memory = Memory::default();
    // A batch and its follow-ups; a barrier; several records at once.
    apply(&memory, &[(0, &[])]);
    apply(
        &memory,
        &[(1, &[("b", Some(1)), ("a", Some(1)), ("c", Some(1))])],
    );
    apply(&memory, &[(2, &[("b", Some(1))]), (3, &[("a", Some(1))])]);
    apply(
        &memory,
        &[
            (4, &[("b", Some(2))]),
            (6, &[("a", None)]),
            (7, &[("b", Some(3))]),
            (8, &[("b", Some(3))]),
        ],
    );
    let all = texts(&["a=1@1.1", "b=1@1.2", "c=1@1", "b=2@4", "a=-@6", "b=3@7"]);
    assert_eq!(after(&memory, "", 100), Ok((all.clone(), "8".to_owned())));
    for (at, change) in all.iter().enumerate() {
        let (_, mark) = change.split_once('@').unwrap();
        let rest = all[at + 1..].to_vec();
        assert_eq!(
            after(&memory, mark, 100),
            Ok((rest, "8".to_owned())),
            "{mark}"
        );
    }
    let two = Ok((texts(&["b=2@4", "a=-@6"]), "6".to_owned()));
    assert_eq!(after(&memory, "2", 2), two);
    assert_eq!(after(&memory, "8", 2), Ok((Vec::new(), "8".to_owned())));
    assert_eq!(after(&memory, "9", 2), Err(Unread::Lost), "of another log");
}

#[test]
fn what_is_too_much_goes_and_who_is_behind_it_is_told() {
    let memory = Memory::default();
    memory.recent().bound(History {
        changes_max: 3,
        bytes_max: usize::MAX,
    });
    for number in 0..5 {
        apply(&memory, &[(number, &[("a", Some(number))])]);
    }
    assert_eq!(after(&memory, "0", 100), Err(Unread::Lost));
    let rest = texts(&["a=2@2", "a=3@3", "a=4@4"]);
    assert_eq!(after(&memory, "1", 100), Ok((rest, "4".to_owned())));
    memory.recent().bound(History {
        changes_max: 3,
        bytes_max: ENTRY_BYTES * 2,
    });
    assert_eq!(
        after(&memory, "2", 100),
        Err(Unread::Lost),
        "they have values, too"
    );
    let rest = texts(&["a=4@4"]);
    assert_eq!(after(&memory, "3", 100), Ok((rest, "4".to_owned())));

    // Compaction was at 5 to 8, and what was there before is of no use.
    memory.recent().begin_at(9);
    apply(&memory, &[(9, &[("a", Some(9))])]);
    assert_eq!(after(&memory, "7", 100), Err(Unread::Lost));
    let rest = texts(&["a=9@9"]);
    assert_eq!(after(&memory, "8", 100), Ok((rest, "9".to_owned())));
}

#[test]
fn a_watched_key_has_its_own_changes_alone() {
    let memory = Memory::<Number>::default();
    let recent = memory.recent();
    recent.bound(History {
        changes_max: 4,
        bytes_max: usize::MAX,
    });
    apply(&memory, &[(0, &[("a", Some(0))])]);
    let a = "a".to_owned();
    assert!(recent.watch(&a, Mark::before(0)).is_none(), "there is more");
    recent.watch(&a, Mark::before(1)).unwrap();
    let of_a = |mark: &str| {
        let read = recent.of_watched(&a, Mark::parse(mark).unwrap(), 2);
        read.map(|(changes, mark)| (shown(&changes), mark.to_string()))
    };
    assert_eq!(of_a("0"), Ok((Vec::new(), "0".to_owned())));
    apply(&memory, &[(1, &[("b", Some(1))])]);
    assert_eq!(of_a("0"), Ok((Vec::new(), "1".to_owned())));
    apply(&memory, &[(2, &[("a", Some(2))]), (3, &[("b", Some(3))])]);
    apply(&memory, &[(4, &[("a", Some(4))]), (5, &[("a", None)])]);
    // All of "b" but the last went; that is nothing to "a".
    assert_eq!(of_a("0"), Ok((texts(&["a=2@2", "a=4@4"]), "4".to_owned())));
    assert_eq!(of_a("4"), Ok((texts(&["a=-@5"]), "5".to_owned())));
    apply(&memory, &[(6, &[("b", Some(6))])]);
    assert_eq!(of_a("1"), Err(Unread::Lost));
    assert_eq!(of_a("2"), Ok((texts(&["a=4@4", "a=-@5"]), "5".to_owned())));
    assert_eq!(of_a("5"), Ok((Vec::new(), "6".to_owned())));
    recent.begin_at(9);
    apply(&memory, &[(9, &[])]);
    assert_eq!(
        of_a("6"),
        Err(Unread::Lost),
        "nobody knows what was in between"
    );
    recent.close();
    assert_eq!(of_a("9"), Err(Unread::Closed));
    recent.unwatch(&a);
    assert!(recent.inner().watched.is_empty());
}

/// What a feed shows, one item a text, until it waits.
async fn until_idle(local: &mut Local<Number>) -> Vec<String> {
    let mut items = Vec::new();
    while let Ok(item) = tokio::time::timeout(Duration::from_secs(1), local.next()).await {
        let mark = |mark: Option<Mark>| mark.map_or(String::new(), |mark| format!("@{mark}"));
        let text = |data: Bytes| String::from_utf8(data.to_vec()).unwrap();
        items.push(match item {
            Some(Item::Value(data, at)) => format!("{}{}", text(data), mark(at)),
            Some(Item::Absent(data, at)) => format!("no {}{}", text(data), mark(at)),
            Some(Item::Current(at)) => format!("current@{at}"),
            Some(Item::Progress(at)) => format!("progress@{at}"),
            Some(Item::Lost) => "lost".to_owned(),
            None => "end".to_owned(),
        });
        if matches!(items.last().map(String::as_str), Some("lost" | "end")) {
            break;
        }
    }
    items
}

fn feed(memory: &Arc<Memory<Number>>, filter: Filter<Number>, from: Option<&str>) -> Local<Number> {
    let from = from.map(|mark| Mark::parse(mark).unwrap());
    Local::new(memory.clone(), filter, from, Duration::from_secs(5))
}

#[tokio::test(start_paused = true)]
async fn a_feed_of_a_key_begins_with_its_value_and_goes_on_with_its_changes() {
    let memory = Arc::new(Memory::default());
    apply(&memory, &[(0, &[("b", Some(0))]), (1, &[("c", Some(1))])]);
    let key = || Filter::Key("a".to_owned());
    let mut local = feed(&memory, key(), None);
    assert_eq!(until_idle(&mut local).await, [r#"no {"name":"a"}@1"#]);
    apply(&memory, &[(2, &[("a", Some(2))]), (3, &[("b", Some(3))])]);
    apply(&memory, &[(4, &[("a", None)])]);
    let changes = [r#"{"name":"a","number":2}@2"#, r#"no {"name":"a"}@4"#];
    assert_eq!(until_idle(&mut local).await, changes);
    // Where it is, also if nothing of it happens.
    apply(&memory, &[(5, &[("b", Some(5))])]);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(until_idle(&mut local).await, ["progress@5"]);
    // Another one, from where this one was.
    let mut again = feed(&memory, key(), Some("1"));
    assert_eq!(until_idle(&mut again).await, changes);
    let mut ahead = feed(&memory, key(), Some("6"));
    assert_eq!(until_idle(&mut ahead).await, ["lost"]);
    memory.recent().close();
    assert_eq!(until_idle(&mut local).await, ["end"]);
    drop((local, again, ahead));
    assert!(memory.recent().inner().watched.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_waits_is_woken_by_a_change() {
    let memory = Arc::new(Memory::default());
    apply(&memory, &[(0, &[("a", Some(0))])]);
    for filter in [Filter::Key("a".to_owned()), Filter::prefix("a".to_owned())] {
        let mut local = feed(&memory, filter, None);
        until_idle(&mut local).await;
        let begun = tokio::time::Instant::now();
        let waiting = tokio::spawn(async move { local.next().await });
        tokio::task::yield_now().await;
        let next = memory.applied();
        apply(&memory, &[(next, &[("a", Some(next))])]);
        let item = waiting.await.unwrap();
        assert!(matches!(item, Some(Item::Value(..))), "{item:?}");
        assert_eq!(begun.elapsed(), Duration::ZERO, "no clock was needed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_feed_of_a_prefix_shows_those_keys() {
    let memory = Arc::new(Memory::default());
    apply(
        &memory,
        &[(0, &[("a", Some(0)), ("ab", Some(0)), ("b", Some(0))])],
    );
    let mut local = feed(&memory, Filter::prefix("a".to_owned()), None);
    let values = [
        r#"{"name":"a","number":0}"#,
        r#"{"name":"ab","number":0}"#,
        "current@0",
    ];
    assert_eq!(until_idle(&mut local).await, values);
    apply(
        &memory,
        &[(1, &[("b", None), ("ab", None), ("ac", Some(1))])],
    );
    // The mark is in the middle of the record: "b" is still to come.
    let changes = [r#"no {"name":"ab"}@1.1"#, r#"{"name":"ac","number":1}@1.2"#];
    assert_eq!(until_idle(&mut local).await, changes);
    let mut again = feed(&memory, Filter::prefix(String::new()), Some("1.2"));
    assert_eq!(until_idle(&mut again).await, [r#"no {"name":"b"}@1"#]);
}

/// More than a piece of a walk.
const KEYS: u64 = 3000;
const WRITES: u64 = 30_000;

/// Whoever begins in the middle of writes has, after each event, a state that was there at one time: the values that it was shown and the changes since are the last
/// ones of all, with none left out and none twice.
#[test]
fn values_and_changes_fit_together_while_memory_changes() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build();
    let runtime = runtime.unwrap();
    let memory = Arc::new(Memory::<Number>::default());
    memory.recent().bound(History {
        changes_max: usize::MAX,
        bytes_max: usize::MAX,
    });
    let name = |key: u64| format!("k{key:05}");
    let writer = {
        let memory = memory.clone();
        std::thread::spawn(move || {
            for offset in 0..WRITES {
                // Each key counts up, and goes now and then.
                let key = (offset * 7919) % KEYS;
                let number = (offset / KEYS % 4 != 3).then_some(offset);
                apply(&memory, &[(offset, &[(&*name(key), number)])]);
            }
        })
    };
    let feeds: Vec<_> = (0..8)
        .map(|nth: u64| {
            let memory = memory.clone();
            runtime.spawn(async move {
                tokio::time::sleep(Duration::from_millis(nth * 3)).await;
                let mut local = feed(&memory, Filter::prefix(String::new()), None);
                let mut numbers = BTreeMap::<String, Option<u64>>::new();
                let mut mark = None;
                while mark != Some(Mark::before(WRITES)) {
                    let item = local.next().await.unwrap();
                    mark = item.mark();
                    let (Item::Value(data, _) | Item::Absent(data, _)) = item else {
                        assert_ne!(item, Item::Lost);
                        continue;
                    };
                    let value: serde_json::Value = serde_json::from_slice(&data).unwrap();
                    let name = value["name"].as_str().unwrap().to_owned();
                    let number = value["number"].as_u64();
                    let before = numbers.insert(name.clone(), number);
                    // A key's number grows by as much each time, unless it goes.
                    match before {
                        Some(Some(before)) => {
                            assert!(
                                number.is_none_or(|number| number == before + KEYS),
                                "{name}"
                            );
                        }
                        Some(None) => assert!(number.is_some(), "{name} went twice"),
                        None => {}
                    }
                }
                numbers
            })
        })
        .collect();
    writer.join().unwrap();
    let mut last = BTreeMap::new();
    memory.walk(std::ops::Bound::Unbounded, |key, stored| {
        last.insert(key.clone(), Some(stored.state.number));
        std::ops::ControlFlow::Continue(())
    });
    for feed in feeds {
        let mut seen = runtime.block_on(feed).unwrap();
        seen.retain(|_, number| number.is_some());
        assert_eq!(seen, last);
    }
}
