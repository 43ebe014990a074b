//! The bare servers: the least that could be called the same.

use std::{
    fs::OpenOptions,
    io::Write as _,
    sync::{Arc, mpsc},
    thread,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, put},
};
use crossbeam_skiplist::SkipMap;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::load::{key, value};

/// What `register` holds under a key.
#[derive(Clone, Debug, Serialize)]
struct Register {
    key: String,
    value: Value,
}

type Map = Arc<SkipMap<String, Arc<Register>>>;

/// A handler that reads from a concurrent map of `keys` entries.
pub(crate) fn read(keys: usize) {
    async fn handler(State(map): State<Map>, Path(key): Path<String>) -> Response {
        match map.get(&key) {
            Some(entry) => Json(&**entry.value()).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
    let map = Map::default();
    for number in 0..keys {
        let register = Register {
            key: key(number),
            value: Value::String(value(number)),
        };
        map.insert(register.key.clone(), Arc::new(register));
    }
    serve(
        Router::new()
            .route("/r/{key}", get(handler))
            .with_state(map),
    );
}

/// A write that waits for the disk.
type Write = (Vec<u8>, oneshot::Sender<()>);

/// A handler that appends to `file`, and replies when the disk has it. All that wait share one `fdatasync`.
pub(crate) fn write(file: &str) {
    async fn handler(
        State(writes): State<mpsc::Sender<Write>>,
        Path(key): Path<String>,
        body: Bytes,
    ) -> Response {
        let (done, durable) = oneshot::channel();
        let line = [key.as_bytes(), b"\t", &body, b"\n"].concat();
        if writes.send((line, done)).is_err() || durable.await.is_err() {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        (StatusCode::CREATED, body).into_response()
    }
    let (writes, waiting) = mpsc::channel::<Write>();
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .expect("the file is writable");
    thread::spawn(move || {
        while let Ok(first) = waiting.recv() {
            let group: Vec<Write> = std::iter::once(first).chain(waiting.try_iter()).collect();
            let bytes: Vec<u8> = group.iter().flat_map(|(line, _)| line).copied().collect();
            file.write_all(&bytes).expect("there is room");
            file.sync_data().expect("the disk works");
            for (_, done) in group {
                // Whoever waited may be gone.
                let _ = done.send(());
            }
        }
    });
    serve(
        Router::new()
            .route("/r/{key}", put(handler))
            .with_state(writes),
    );
}

#[allow(clippy::print_stdout, reason = "its parent reads where it listens")]
fn serve(router: Router) {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        println!("api http://{}", listener.local_addr().expect("it is bound"));
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            stream.set_nodelay(true).expect("a socket has the option");
        });
        axum::serve(listener, router)
            .await
            .expect("it serves for ever");
    });
}
