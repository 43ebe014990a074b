//! Files: one of each partition, whole or not there.

use std::{collections::BTreeMap, fs, io::Read as _, path::Path};

use super::{
    super::depot::{Depot as _, Folder},
    *,
};

fn text(folder: &Folder, partition: &TopicPartition) -> Option<String> {
    let (mut input, length) = folder.open(partition).unwrap()?;
    let mut text = String::new();
    input.read_to_string(&mut text).unwrap();
    assert_eq!(text.len() as u64, length);
    Some(text)
}

fn files(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_is_whole_or_not_there() {
    let path = std::env::temp_dir().join(format!("memgen-snapshots-{}", uuid::Uuid::new_v4()));
    let topics = BTreeMap::from([("note".to_owned(), 2)]);
    let folder = Folder::open(path.clone(), &topics);
    let (zero, one) = (partition(), TopicPartition::new("note", 1));
    assert_eq!(text(&folder, &zero), None);
    for content in ["first", "second"] {
        let mut draft = folder.begin(&zero).unwrap();
        draft.write_all(content.as_bytes()).unwrap();
        let before = text(&folder, &zero);
        assert_ne!(before.as_deref(), Some(content), "it is seen too early");
        draft.keep().unwrap();
        assert_eq!(text(&folder, &zero).as_deref(), Some(content));
    }
    // One that is given up leaves nothing, and the one before is there.
    let mut draft = folder.begin(&zero).unwrap();
    draft.write_all(b"third").unwrap();
    drop(draft);
    assert_eq!(files(&path.join("note")), ["0.snapshot"]);
    assert_eq!(text(&folder, &zero).as_deref(), Some("second"));

    // What a crash and other builds leave behind goes at the next start.
    fs::write(path.join("note/1.snapshot.tmp"), "half").unwrap();
    fs::write(path.join("note/2.snapshot"), "there is no such partition").unwrap();
    fs::create_dir(path.join("gone")).unwrap();
    fs::write(path.join("gone/0.snapshot"), "no such state").unwrap();
    let folder = Folder::open(path.clone(), &topics);
    assert_eq!(files(&path), ["note"]);
    assert_eq!(files(&path.join("note")), ["0.snapshot"]);
    folder.discard(&zero).unwrap();
    folder.discard(&one).unwrap();
    assert_eq!(text(&folder, &zero), None);
    fs::remove_dir_all(path).unwrap();
}
