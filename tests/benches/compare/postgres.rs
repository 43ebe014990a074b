//! `PostgreSQL` with durable commits, and the least that could be called a ledger before it: a handler of axum that calls one function of the database.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use memgen_tests::Folder;
use tokio_postgres::{Client, Config, NoTls, Statement};

use crate::{
    Outcome,
    accounts::{ACCOUNTS, OPENING, Transfer},
    options::Options,
    process::{announce_and_wait, on_cores_of_servers},
};

/// Connections to the database: each is a process of its own there.
const SESSIONS: usize = 32;

/// Both accounts are locked first, in the order of their numbers, so that nobody waits in a circle. One call is one transaction.
const SCHEMA: &str = "
CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE FUNCTION transfer(payer int, receiver int, amount bigint) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM accounts WHERE id IN (payer, receiver) ORDER BY id FOR UPDATE;
    UPDATE accounts SET balance = balance - amount WHERE id = payer AND balance >= amount;
    IF NOT FOUND THEN RETURN 409; END IF;
    UPDATE accounts SET balance = balance + amount WHERE id = receiver;
    IF NOT FOUND THEN RAISE 'no account'; END IF;
    RETURN 204;
END $$;
";

/// A database of its own, without a network. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Postgres {
    child: Child,
    socket: String,
    _folder: Folder,
}

impl Postgres {
    /// Makes a database and starts it, on the cores of servers.
    pub(crate) fn start(options: &Options) -> Outcome<Self> {
        let folder = Folder::new();
        let data = folder.path().join("data");
        if is_root() {
            // PostgreSQL does not run as root.
            run(Command::new("chown").arg("postgres").arg(folder.path()))?;
        }
        let mut initdb = as_nobody_special("initdb");
        let initdb = initdb.args(["--auth=trust", "--username=postgres", "--no-sync", "-D"]);
        run(initdb.arg(&data).stdout(Stdio::null()))?;
        let mut postgres = as_nobody_special("postgres");
        postgres.arg("-D").arg(&data).arg("-k").arg(folder.path());
        for setting in [
            "listen_addresses=",
            "fsync=on",
            "synchronous_commit=on",
            "max_connections=200",
        ] {
            postgres.args(["-c", setting]);
        }
        let mut postgres = on_cores_of_servers(options, postgres);
        let log = std::fs::File::create(folder.path().join("log"))?;
        postgres
            .stdout(Stdio::null())
            .stderr(log)
            .stdin(Stdio::null());
        let postgres = Self {
            child: postgres.spawn()?,
            socket: folder.path().display().to_string(),
            _folder: folder,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let client = connect_patiently(postgres.socket()).await?;
            client.batch_execute(SCHEMA).await?;
            let (count, opening) = (i32::try_from(ACCOUNTS)?, i64::try_from(OPENING)?);
            let fill = "INSERT INTO accounts SELECT id, $2::bigint FROM generate_series(0, $1::int - 1) id";
            client.execute(fill, &[&count, &opening]).await?;
            client.batch_execute("VACUUM ANALYZE accounts").await?;
            Outcome::Ok(())
        })?;
        Ok(postgres)
    }

    /// The folder of its socket.
    pub(crate) fn socket(&self) -> &str {
        &self.socket
    }

    /// Its process, of which all its others are children.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once, with its children; it may be gone already.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).status();
        let _ = self.child.wait();
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// A program of `PostgreSQL`, which is found by the path, or else where Debian has it.
fn as_nobody_special(program: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let debian = debian.flatten().map(|version| version.path().join("bin"));
    let found = folders.chain(debian).map(|folder| folder.join(program));
    let found = found.into_iter().find(|file| file.exists());
    let found = found.unwrap_or_else(|| PathBuf::from(program));
    if !is_root() {
        return Command::new(found);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    command.arg(found);
    command
}

fn run(command: &mut Command) -> Outcome<()> {
    let status = command.current_dir(Path::new("/")).status();
    let status = status.map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {status}").into())
}

async fn connect(socket: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    let config = config.host_path(socket).user("postgres").dbname("postgres");
    let (client, connection) = config.connect(NoTls).await?;
    // It ends with the client.
    tokio::spawn(connection);
    Ok(client)
}

/// The same while it starts.
async fn connect_patiently(socket: &str) -> Outcome<Client> {
    for _ in 0..200 {
        if let Ok(client) = connect(socket).await {
            return Ok(client);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(connect(socket).await?)
}

/// What the handler shares.
struct Front {
    sessions: Vec<(Client, Statement)>,
    next: AtomicUsize,
}

async fn transfer(State(front): State<Arc<Front>>, transfer: Json<Transfer>) -> StatusCode {
    match front.transfer(&transfer).await {
        Ok(status) => status,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Front {
    async fn transfer(&self, transfer: &Transfer) -> Outcome<StatusCode> {
        let (from, to) = (i32::try_from(transfer.from)?, i32::try_from(transfer.to)?);
        let amount = i64::try_from(transfer.amount)?;
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.sessions.len();
        let (client, statement) = &self.sessions[next];
        let row = client.query_one(statement, &[&from, &to, &amount]).await?;
        let status: i32 = row.try_get(0)?;
        Ok(StatusCode::from_u16(u16::try_from(status)?)?)
    }
}

/// Serves transfers: `FOLDER` of the socket.
pub(crate) fn serve(args: &[String]) -> Outcome<()> {
    let [socket] = args else {
        return Err("a front needs the folder of a socket".into());
    };
    // As memgen's own `main` makes it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (listener, front) = runtime.block_on(async {
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let client = connect_patiently(socket).await?;
            let call = "SELECT transfer($1, $2, $3)";
            let statement = client.prepare(call).await?;
            sessions.push((client, statement));
        }
        let next = AtomicUsize::new(0);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        Outcome::Ok((listener, Front { sessions, next }))
    })?;
    let router = Router::new()
        .route("/transfers", post(transfer))
        .with_state(Arc::new(front));
    let address = listener.local_addr()?;
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        // Only loses time if it fails.
        let _ = stream.set_nodelay(true);
    });
    runtime.spawn(async move { axum::serve(listener, router).await });
    announce_and_wait(address);
    Ok(())
}
