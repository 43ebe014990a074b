//! What is in the files of `--peer-tls-…`, once it was found to be of use.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_rustls::rustls::{
    ClientConfig, Error as TlsError, InconsistentKeys, RootCertStore, ServerConfig,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::ring::default_provider,
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject as _},
    },
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use xxhash_rust::xxh3::xxh3_128;

use crate::config::Config;

/// The most that a file may hold.
const FILE_BYTES_MAX: u64 = 1 << 20;

const HTTP2: &[u8] = b"h2";

/// Where a node finds its certificate and its key, and the authority that signs those of all nodes.
pub(super) struct Files {
    cert: Named,
    key: Named,
    ca: Named,
}

/// A file, and the setting that names it.
struct Named {
    setting: &'static str,
    path: PathBuf,
}

impl Files {
    /// The files that are set. Some without the others were refused when the settings were read.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let named = |setting, path: &Option<PathBuf>| {
            let path = path.clone()?;
            Some(Named { setting, path })
        };
        Some(Self {
            cert: named("--peer-tls-cert", &config.peer_tls_cert)?,
            key: named("--peer-tls-key", &config.peer_tls_key)?,
            ca: named("--peer-tls-ca", &config.peer_tls_ca)?,
        })
    }
}

impl Named {
    fn wrong(&self, what: impl std::fmt::Display) -> String {
        format!("`{}` {}: {what}", self.setting, self.path.display())
    }

    fn read(&self) -> Result<Vec<u8>, String> {
        let read = |path: &Path| {
            let mut text = Vec::new();
            let file = File::open(path)?;
            file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
            Ok(text)
        };
        let text = read(&self.path).map_err(|error: std::io::Error| self.wrong(error))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(self.wrong(format!("it is longer than {FILE_BYTES_MAX} bytes")));
        }
        Ok(text)
    }

    fn certificates(&self, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        let certificates = read.map_err(|error| self.wrong(error))?;
        if certificates.is_empty() {
            return Err(self.wrong("there is no certificate in it; PEM is expected"));
        }
        Ok(certificates)
    }
}

/// What the files hold at one moment.
pub(super) struct Texts {
    cert: Vec<u8>,
    key: Vec<u8>,
    ca: Vec<u8>,
}

impl Texts {
    pub(super) fn read(files: &Files) -> Result<Self, String> {
        Ok(Self {
            cert: files.cert.read()?,
            key: files.key.read()?,
            ca: files.ca.read()?,
        })
    }

    /// Tells one state of the files from another.
    pub(super) fn hash(&self) -> u128 {
        let each = [&self.cert, &self.key, &self.ca].map(|text| xxh3_128(text).to_le_bytes());
        xxh3_128(each.as_flattened())
    }

    /// The same for files that can't be read.
    pub(super) fn hash_of_error(error: &str) -> u128 {
        xxh3_128(error.as_bytes())
    }
}

/// What a node shows, and whom it believes.
pub(super) struct Identity {
    pub(super) client: Arc<ClientConfig>,
    pub(super) server: Arc<ServerConfig>,
    /// The state of the files that it was made of.
    pub(super) made_of: u128,
}

impl Identity {
    /// # Errors
    /// What other nodes would refuse is refused here, with the file that is to be mended.
    pub(super) fn of(files: &Files, texts: &Texts, name: &ServerName<'_>) -> Result<Self, String> {
        let chain = files.cert.certificates(&texts.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&texts.key).map_err(|error| {
            files.key.wrong(match error {
                pem::Error::NoItemsFound => {
                    "there is no private key in it; PEM is expected".to_owned()
                }
                error => error.to_string(),
            })
        })?;
        let mut roots = RootCertStore::empty();
        for root in files.ca.certificates(&texts.ca)? {
            roots.add(root).map_err(|error| files.ca.wrong(error))?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(default_provider());
        let servers = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|error| files.ca.wrong(error))?;
        let clients = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|error| files.ca.wrong(error))?;

        let (own, between) = chain
            .split_first()
            .expect("`certificates` gives one at least");
        let now = UnixTime::now();
        let unfit = |error| {
            files.cert.wrong(format!(
                "other nodes would not believe it by {}: {error}",
                files.ca.path.display()
            ))
        };
        servers
            .verify_server_cert(own, between, name, &[], now)
            .map_err(unfit)?;
        clients
            .verify_client_cert(own, between, now)
            .map_err(unfit)?;

        let keyed = |error| match error {
            TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                let cert = files.cert.path.display();
                files.key.wrong(format!("it is not the key of {cert}"))
            }
            error => files.key.wrong(error),
        };
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(keyed)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| error.to_string())?
            .with_webpki_verifier(servers)
            .with_client_auth_cert(chain, key)
            .map_err(keyed)?;
        server.alpn_protocols = vec![HTTP2.to_vec()];
        client.alpn_protocols = vec![HTTP2.to_vec()];
        // Each connection is looked at anew: whose authority was withdrawn has nothing to resume.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        client.resumption = Resumption::disabled();
        Ok(Self {
            client: Arc::new(client),
            server: Arc::new(server),
            made_of: texts.hash(),
        })
    }
}
