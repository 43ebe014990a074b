use std::{fs, path::Path, thread};

use apache_avro::types::Record;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// What this build knows of a sighting: it has a field more than those who write.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Sighting {
    place: String,
    count: i64,
    by: String,
}

impl AvroSchema for Sighting {
    fn get_schema() -> Schema {
        parsed(&json!({"type": "record", "name": "Sighting", "fields": [
            {"name": "place", "type": "string"},
            {"name": "count", "type": "long"},
            {"name": "by", "type": "string", "default": "nobody"},
        ]}))
    }
}

fn parsed(schema: &serde_json::Value) -> Schema {
    Schema::parse_str(&schema.to_string()).unwrap()
}

/// What an older build writes.
fn older() -> Schema {
    parsed(&json!({"type": "record", "name": "Sighting", "fields": [
        {"name": "count", "type": "int"},
        {"name": "place", "type": "string"},
        {"name": "mood", "type": "string"},
    ]}))
}

fn folder() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("memgen-schemas-{}", uuid::Uuid::new_v4()))
}

fn open(path: &Path) -> Arc<Schemas> {
    let config = Config {
        schema_registry: Some(SchemaRegistry::Folder(path.to_owned())),
        ..Config::default()
    };
    Schemas::open(&config).unwrap()
}

fn of_older(schema: &Schema) -> Vec<u8> {
    let mut record = Record::new(schema).unwrap();
    record.put("count", 3);
    record.put("place", "oak");
    record.put("mood", "calm");
    let writer = GenericDatumWriter::builder(schema).build().unwrap();
    writer.write_value_to_vec(record).unwrap()
}

async fn read(schemas: &Schemas, value: &Bytes) -> Result<Sighting, String> {
    schemas.bring([value].into_iter(), |_| {}).await;
    schemas.read(&Codec::of::<Sighting>(), value)
}

#[tokio::test]
async fn what_an_older_schema_wrote_is_read_by_the_newer() {
    let path = folder();
    fs::create_dir(&path).unwrap();
    let schema = older();
    let text = serde_json::to_string(&schema).unwrap();
    fs::write(path.join("7.avsc"), text).unwrap();
    fs::write(path.join("8.avsc"), "no schema").unwrap();
    let schemas = open(&path);
    let body = of_older(&schema);
    let value = wire::join(7, &body);
    let before = schemas.read::<Sighting>(&Codec::of::<Sighting>(), &value);
    assert!(
        before.unwrap_err().contains("not known"),
        "it was not brought"
    );
    let sighting = Sighting {
        place: "oak".to_owned(),
        count: 3,
        by: "nobody".to_owned(),
    };
    assert_eq!(read(&schemas, &value).await, Ok(sighting));

    let longer = [&body[..], &[1]].concat();
    for (value, what) in [
        (wire::join(9, &body), "9.avsc"),
        (wire::join(8, &body), "can't be used"),
        (wire::join(7, &body[..3]), "by its schema 7"),
        (
            wire::join(7, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
            "by its schema 7",
        ),
        (wire::join(7, &longer), "1 bytes too many"),
        (Bytes::from_static(b"{}"), "begins with 0x7b"),
        (Bytes::new(), "no value"),
    ] {
        let error = read(&schemas, &value).await.unwrap_err();
        assert!(error.contains(what), "{value:?}: {error}");
    }
    // An id that had none may have one later.
    fs::copy(path.join("7.avsc"), path.join("9.avsc")).unwrap();
    assert!(read(&schemas, &wire::join(9, &body)).await.is_ok());
    fs::remove_dir_all(path).unwrap();
}

#[tokio::test]
async fn many_ids_that_are_garbage_drive_out_nothing() {
    let path = folder();
    fs::create_dir(&path).unwrap();
    let schema = older();
    fs::write(path.join("0.avsc"), serde_json::to_string(&schema).unwrap()).unwrap();
    let schemas = open(&path);
    let body = of_older(&schema);
    let values: Vec<_> = (0..=u32::try_from(REFUSED_MAX).unwrap() + 10)
        .map(|id| wire::join(id, &body))
        .collect();
    schemas.bring(values.iter(), |_| {}).await;
    assert!(
        schemas
            .read::<Sighting>(&Codec::of::<Sighting>(), &values[0])
            .is_ok()
    );
    assert!(schemas.known().refused.len() <= REFUSED_MAX);
    fs::remove_dir_all(path).unwrap();
}

#[tokio::test]
async fn what_is_written_has_the_id_of_its_schema() {
    let path = folder();
    let schemas = open(&path);
    let sighting = Sighting {
        place: "oak".to_owned(),
        count: 1 << 40,
        by: "Ada".to_owned(),
    };
    let (text, body) = written(&sighting).unwrap();
    let value = schemas.frame("seen", &text, &body).await.unwrap();
    assert_eq!(value[..5], [0, 0, 0, 0, 1]);
    assert_eq!(read(&schemas, &value).await, Ok(sighting));
    // One that is known keeps its id, also for whoever knows of none.
    let again = open(&path).frame("other", &text, &body).await.unwrap();
    assert_eq!(again, value);
    // JSON is written by the schema of the type, with its defaults.
    let codec = Codec::of::<Sighting>();
    let of_json = schemas.of_json(&codec, "seen", br#"{"place": "ash", "count": 2}"#);
    let of_json = read(&schemas, &of_json.await.unwrap()).await.unwrap();
    assert_eq!((of_json.count, of_json.by.as_str()), (2, "nobody"));
    for json in [&b"{}"[..], b"none", br#"{"place": 1, "count": 2}"#] {
        assert!(schemas.of_json(&codec, "seen", json).await.is_err());
    }
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_folder_gives_each_id_once() {
    let path = folder();
    let schema = |number: u32| format!(r#"{{"type": "fixed", "name": "f", "size": {number}}}"#);
    let register = |number| {
        let folder = folder::Folder::new(path.clone());
        (folder.register(&schema(number)).unwrap(), number)
    };
    let ids = thread::scope(|scope| {
        let threads = (1..=16).map(|number| scope.spawn(move || register(number)));
        let threads: Vec<_> = threads.collect();
        let ids = threads.into_iter().map(|it| it.join().unwrap());
        ids.collect::<HashMap<_, _>>()
    });
    assert_eq!(ids.len(), 16, "{ids:?}");
    let folder = folder::Folder::new(path.clone());
    for (id, number) in ids {
        assert_eq!(folder.schema(id), Ok(schema(number)));
        // However it is written.
        let spaced = schema(number).replace(':', " : ");
        assert_eq!(folder.register(&spaced), Ok(id));
    }
    assert_eq!(fs::read_dir(&path).unwrap().count(), 16, "and no more");
    fs::remove_dir_all(path).unwrap();
}

/// Only what a registry itself says is final: anything else may be so because somebody else answers.
#[tokio::test]
async fn what_is_no_registry_is_away() {
    let said = |code: u32| json!({"error_code": code, "message": "no"}).to_string();
    let rows = [
        ("200 OK", json!({"schema": "\"int\""}).to_string(), "ok"),
        (
            "200 OK",
            json!({"schema": "{}", "schemaType": "JSON"}).to_string(),
            "refused",
        ),
        ("404 Not Found", said(40403), "refused"),
        ("404 Not Found", "no such page".to_owned(), "away"),
        ("401 Unauthorized", said(401), "away"),
        ("500 Internal Server Error", said(50001), "away"),
        ("200 OK", "<html>".to_owned(), "away"),
    ];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for (status, body, expected) in rows {
        let answer = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let length = connection.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /base/schemas/ids/7 HTTP/1.1"));
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            connection.write_all(answer.as_bytes()).await.unwrap();
        };
        let http = http::Http::new(&format!("http://{address}/base/"));
        let (found, ()) = tokio::join!(http.schema(7), answer);
        let found = match found {
            Ok(schema) => {
                assert_eq!(schema, "\"int\"");
                "ok"
            }
            Err(Failure::Refused(_)) => "refused",
            Err(Failure::Away(_)) => "away",
        };
        assert_eq!(found, expected, "{status} {body}");
    }
    drop(listener);
    let gone = http::Http::new(&format!("http://{address}"));
    assert!(matches!(gone.schema(7).await, Err(Failure::Away(_))));
}
