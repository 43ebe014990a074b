//! Why two nodes don't get a connection, in words that say what to do.

use std::{
    error::Error,
    io,
    sync::Mutex,
    time::{Duration, Instant},
};

use tokio_rustls::rustls::{Error as TlsError, InvalidMessage};

/// A connection that did not come to be, since one side refused the other: to try again is of no use before somebody has mended it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refusal(pub(super) String);

impl Refusal {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    /// What a handshake that failed says, if it is more than that the other side is gone.
    pub(super) fn of_handshake(error: &io::Error) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<TlsError>()?;
        Some(Self(match error {
            TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
                "it does not speak TLS: set `--peer-tls-cert` at all nodes, or at none".to_owned()
            }
            TlsError::NoCertificatesPresented => "it shows no certificate".to_owned(),
            TlsError::InvalidCertificate(why) => {
                format!("its certificate is not good here: {why}")
            }
            TlsError::AlertReceived(alert) => {
                format!("it does not take this node's certificate (alert {alert:?})")
            }
            error => error.to_string(),
        }))
    }

    /// The refusal that lies behind an error.
    pub(crate) fn behind<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut at = Some(error);
        while let Some(error) = at {
            if let Some(refusal) = error.downcast_ref() {
                return Some(refusal);
            }
            // An `io::Error` does not name what it holds as its source, but the source of that.
            let held = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            if let Some(refusal) = held.and_then(|held| held.downcast_ref()) {
                return Some(refusal);
            }
            at = error.source();
        }
        None
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(io::ErrorKind::InvalidData, refusal)
    }
}

/// Says something seldom, however often it happens: others decide how often that is.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    const EVERY: Duration = Duration::from_secs(10);

    /// Whether it is time to say it.
    pub(super) fn is_due(&self) -> bool {
        let mut said = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = said.is_none_or(|said| said.elapsed() >= Self::EVERY);
        if due {
            *said = Some(Instant::now());
        }
        due
    }
}
