//! A network between two programs that can be cut, slowed down, or made to carry one way only.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

/// How many chunks may be on their way in one direction of one connection.
const ON_THE_WAY_MAX: usize = 256;
const CHUNK_BYTES: usize = 16 << 10;

/// Forwards connections to one address. It has a thread of its own, and ends when it is dropped.
///
/// What a cut holds back arrives when it is mended, as TCP would send it again; unless an end gave up and closed its connection.
///
/// ```no_run
/// # let server = "127.0.0.1:2181".parse().unwrap();
/// use memgen_tests::proxy::{Proxy, Way};
/// let proxy = Proxy::to(server);
/// println!("connect to {}", proxy.address());
/// proxy.cut(Way::Both);
/// proxy.mend();
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: Arc<Network>,
}

/// Which way of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the address that the proxy stands for.
    There,
    /// From it.
    Back,
    /// Both.
    Both,
}

#[derive(Debug)]
struct Network {
    there: watch::Sender<bool>,
    back: watch::Sender<bool>,
    delay_ns: AtomicU64,
    /// Counts the times at which all connections were closed.
    closed: watch::Sender<u64>,
    stopped: watch::Sender<bool>,
}

impl Proxy {
    /// A proxy on a free port.
    #[must_use]
    pub fn to(target: SocketAddr) -> Self {
        let network = Arc::new(Network {
            there: watch::Sender::new(true),
            back: watch::Sender::new(true),
            delay_ns: AtomicU64::new(0),
            closed: watch::Sender::new(0),
            stopped: watch::Sender::new(false),
        });
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket of ours");
        let address = listener.local_addr().expect("it is bound");
        let of_thread = network.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let mut stopped = of_thread.stopped.subscribe();
                tokio::select! {
                    () = accept(listener, target, of_thread) => {}
                    _ = stopped.wait_for(|stopped| *stopped) => {}
                }
            });
        });
        Self { address, network }
    }

    /// Where to connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nothing passes that way any more. Connections stay open, and new ones are accepted, but stay silent.
    pub fn cut(&self, way: Way) {
        if way != Way::Back {
            self.network.there.send_replace(false);
        }
        if way != Way::There {
            self.network.back.send_replace(false);
        }
    }

    /// Everything passes again.
    pub fn mend(&self) {
        self.network.there.send_replace(true);
        self.network.back.send_replace(true);
    }

    /// How long everything takes from now on, each way.
    pub fn delay(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_nanos()).expect("a delay of less than centuries");
        self.network.delay_ns.store(delay, Ordering::Relaxed);
    }

    /// Closes all connections. What was on its way is lost.
    pub fn close_connections(&self) {
        self.network.closed.send_modify(|count| *count += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.stopped.send_replace(true);
    }
}

async fn accept(listener: std::net::TcpListener, target: SocketAddr, network: Arc<Network>) {
    let listener = TcpListener::from_std(listener).expect("it is not blocking");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let network = network.clone();
        tokio::spawn(async move {
            let mut closed = network.closed.subscribe();
            closed.mark_unchanged();
            tokio::select! {
                () = forward(stream, target, &network) => {}
                _ = closed.changed() => {}
            }
        });
    }
}

async fn forward(near: TcpStream, target: SocketAddr, network: &Network) {
    // No connection is made through a cut.
    open(&network.there).await;
    open(&network.back).await;
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    for stream in [&near, &far] {
        stream.set_nodelay(true).expect("a socket of ours");
    }
    let (near, far) = (near.into_split(), far.into_split());
    // When one way is at its end, so is the connection.
    tokio::select! {
        () = pump(near.0, far.1, &network.there, &network.delay_ns) => {}
        () = pump(far.0, near.1, &network.back, &network.delay_ns) => {}
    }
}

async fn open(way: &watch::Sender<bool>) {
    let _ = way.subscribe().wait_for(|open| *open).await;
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: &watch::Sender<bool>,
    delay_ns: &AtomicU64,
) {
    let (sender, mut on_the_way) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY_MAX);
    let read = async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            open(way).await;
            let Ok(length @ 1..) = from.read(&mut chunk).await else {
                return;
            };
            let delay = Duration::from_nanos(delay_ns.load(Ordering::Relaxed));
            let arrives = Instant::now() + delay;
            if sender
                .send((arrives, chunk[..length].to_vec()))
                .await
                .is_err()
            {
                return;
            }
        }
    };
    let write = async move {
        while let Some((arrives, chunk)) = on_the_way.recv().await {
            sleep_until(arrives).await;
            open(way).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    // The end of reading ends the writing once all has arrived.
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// Answers each byte.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    while let Ok(byte) = stream.read_u8().await {
                        if stream.write_u8(byte).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn it_carries_what_it_should() {
        const SOON: Duration = Duration::from_secs(10);
        const SILENCE: Duration = Duration::from_millis(50);
        let proxy = Proxy::to(echo().await);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_u8(1).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 1);

        for way in [Way::There, Way::Back, Way::Both] {
            proxy.cut(way);
            stream.write_u8(2).await.unwrap();
            let silent = timeout(SILENCE, stream.read_u8()).await;
            assert!(silent.is_err(), "{way:?}");
            let mut other = TcpStream::connect(proxy.address()).await.unwrap();
            other.write_u8(3).await.unwrap();
            assert!(timeout(SILENCE, other.read_u8()).await.is_err(), "{way:?}");
            proxy.mend();
            assert_eq!(stream.read_u8().await.unwrap(), 2);
            assert_eq!(other.read_u8().await.unwrap(), 3);
        }

        proxy.delay(SILENCE);
        let before = Instant::now();
        stream.write_u8(4).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 4);
        assert!(before.elapsed() >= SILENCE * 2);

        proxy.close_connections();
        let closed = timeout(SOON, stream.read_u8()).await.unwrap();
        assert!(closed.is_err());
        drop(TcpStream::connect(proxy.address()).await.unwrap());
        let address = proxy.address();
        drop(proxy);
        let gone = timeout(SOON, async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        });
        gone.await.expect("it ends");
    }
}
