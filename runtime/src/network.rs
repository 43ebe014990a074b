//! Sockets: those of the machine, or in a simulation those of its network.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

#[cfg(feature = "testing")]
use crate::testing::{
    Process,
    network::{SimListener, SimStream},
};

/// What listens at an address.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(TcpListener),
    #[cfg(feature = "testing")]
    Simulated(SimListener),
}

impl Listening {
    /// Listens at an address.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        #[cfg(feature = "testing")]
        if let Some(process) = Process::current() {
            return process.network().listen(address).map(Self::Simulated);
        }
        TcpListener::bind(address).await.map(Self::Tcp)
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr(),
            #[cfg(feature = "testing")]
            Self::Simulated(socket) => Ok(socket.address()),
        }
    }

    pub(crate) async fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, address) = socket.accept().await?;
                Ok((Stream::of(stream), address))
            }
            #[cfg(feature = "testing")]
            Self::Simulated(socket) => {
                let (stream, address) = socket.accept().await;
                Ok((Stream::Simulated(stream), address))
            }
        }
    }
}

/// The bytes of a connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(feature = "testing")]
    Simulated(SimStream),
}

impl Stream {
    /// Opens a connection.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        #[cfg(feature = "testing")]
        if let Some(process) = Process::current() {
            let (network, host) = (process.network().clone(), process.host());
            return network.connect(host, address).await.map(Self::Simulated);
        }
        TcpStream::connect(address).await.map(Self::of)
    }

    fn of(stream: TcpStream) -> Self {
        // Only loses time if it fails.
        drop(stream.set_nodelay(true));
        Self::Tcp(stream)
    }

    /// Waits until there is something to read, and looks at it: how much of the buffer was filled.
    pub(crate) async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.peek(buffer).await,
            #[cfg(feature = "testing")]
            Self::Simulated(stream) => stream.peek(buffer).await,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(feature = "testing")]
            Self::Simulated(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            #[cfg(feature = "testing")]
            Self::Simulated(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            #[cfg(feature = "testing")]
            Self::Simulated(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(feature = "testing")]
            Self::Simulated(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(feature = "testing")]
            Self::Simulated(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(feature = "testing")]
            Self::Simulated(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
