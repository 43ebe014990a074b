//! Certificates for nodes that speak TLS with each other, and for strangers.

use std::{fs, path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::{io::AsyncBufReadExt as _, net::TcpStream};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    },
};

use crate::Folder;

/// An authority that signs certificates, all of which are for this machine, as `localhost` and as `127.0.0.1`.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    folder: Folder,
}

impl Authority {
    /// A new one of this name, with a key of its own.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("there is chance");
        let mut params = CertificateParams::new([]).expect("no name is wrong");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("it has a key").pem();
        let (issuer, folder) = (Issuer::new(params, key), Folder::new());
        let authority = Self {
            issuer,
            pem,
            folder,
        };
        authority.trust(&[&authority]);
        authority
    }

    /// The file of this name.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts these authorities into the file of those that nodes believe.
    pub fn trust(&self, authorities: &[&Self]) {
        let pems: Vec<&str> = authorities.iter().map(|one| one.pem.as_str()).collect();
        fs::write(self.file("ca.pem"), pems.concat()).expect("the folder is ours");
    }

    /// A certificate for these names, and its key.
    #[must_use]
    pub fn sign(&self, names: &[&str]) -> [String; 2] {
        let key = KeyPair::generate().expect("there is chance");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("they are names");
        let signed = params.signed_by(&key, &self.issuer).expect("it has a key");
        [signed.pem(), key.serialize_pem()]
    }

    /// Makes nodes show a certificate; those that run notice it.
    pub fn install(&self, [cert, key]: &[String; 2]) {
        fs::write(self.file("node.pem"), cert).expect("the folder is ours");
        fs::write(self.file("node.key"), key).expect("the folder is ours");
    }

    /// The flags with which nodes use the files of this authority, and a new certificate of it in them.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        self.install(&self.sign(&["localhost", "127.0.0.1"]));
        let flag = |name: &str, file| format!("--peer-tls-{name}={}", self.file(file).display());
        vec![
            flag("cert", "node.pem"),
            flag("key", "node.key"),
            flag("ca", "ca.pem"),
        ]
    }

    /// Connects to the peer address of a node, showing this, and waits until it says something. It looks at nothing that the node shows but its authority.
    ///
    /// # Errors
    /// How it was refused.
    pub async fn knock(
        &self,
        address: &str,
        shows: Option<&[String; 2]>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(self.pem.as_bytes()) {
            roots.add(root.expect("it is PEM")).expect("it is one");
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("there is one")
            .with_root_certificates(roots);
        let config = match shows {
            None => config.with_no_client_auth(),
            Some([cert, key]) => {
                let cert = CertificateDer::from_pem_slice(cert.as_bytes()).expect("it is PEM");
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("it is PEM");
                config
                    .with_client_auth_cert(vec![cert], key)
                    .expect("it is its key")
            }
        };
        let name = ServerName::try_from("localhost").expect("it is a name");
        let stream = TcpStream::connect(address).await?;
        let mut stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        if stream.fill_buf().await?.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(stream)
    }
}
