//! The node below which everything lies: made, or checked whether it is ours.

use zookeeper_client::{Acl, Acls, AuthId, Client, CreateMode, Error, Permission};

use super::{
    Settings,
    error::is_denied,
    layout::{self, LASTING, LAYOUT, Layout, PLAN, PlanEntry},
};

/// Why the root can't be worked with.
#[derive(Debug)]
pub(super) enum RootError {
    /// It is not ours, or access to it is denied. The text says what to do.
    Refused(String),
    /// Later, perhaps.
    Failed(Error),
}

/// The root.
#[derive(Debug)]
pub(super) struct Root {
    path: String,
    layout: Layout,
    protected: bool,
}

impl Root {
    pub(super) fn new(settings: &Settings) -> Self {
        let path = settings
            .address
            .root()
            .map_or_else(|| format!("/memgen/{}", settings.cluster), str::to_owned);
        Self {
            path,
            layout: Layout::of(&settings.cluster),
            protected: settings.address.digest().is_some(),
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Who may do what with each node below: whoever has our credentials everything, and nobody else anything.
    pub(super) fn acls(&self) -> Acls<'static> {
        if self.protected {
            Acls::creator_all()
        } else {
            Acls::anyone_all()
        }
    }

    /// Makes what is not there, and refuses what is not ours. The client comes back with this as its root.
    pub(super) async fn set_up(&self, client: Client) -> Result<Client, RootError> {
        let set_up = async {
            self.create_ancestors(&client).await?;
            let client = client
                .chroot(self.path.as_str())
                .map_err(|_| Error::UnexpectedError(format!("{} is no root", self.path)))?;
            if let Some(why) = self.claim(&client).await? {
                return Ok(Err(why));
            }
            let lasting = CreateMode::Persistent.with_acls(self.acls());
            for path in LASTING {
                exists(client.create(path, &[], &lasting).await)?;
            }
            let empty = layout::to_bytes(&PlanEntry::default());
            exists(client.create(PLAN, &empty, &lasting).await)?;
            Ok(Ok(client))
        };
        match set_up.await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(why)) => Err(RootError::Refused(why)),
            Err(error) if is_denied(&error) => Err(RootError::Refused(format!(
                "ZooKeeper denies access to {} ({error}): check the user and the password of --coordinator, or choose another root",
                self.path
            ))),
            Err(error) => Err(RootError::Failed(error)),
        }
    }

    /// Those above the root are for anyone to add to, so that clusters with other credentials find room beside this one.
    async fn create_ancestors(&self, client: &Client) -> Result<(), Error> {
        let open = [Acl::new(
            Permission::READ | Permission::CREATE,
            AuthId::anyone(),
        )];
        let shared = [open[0].clone(), Acl::new(Permission::ALL, AuthId::authed())];
        let above = if self.protected {
            CreateMode::Persistent.with_acls(Acls::new(&shared))
        } else {
            CreateMode::Persistent.with_acls(Acls::anyone_all())
        };
        let own = CreateMode::Persistent.with_acls(self.acls());
        for (end, _) in self.path.match_indices('/').skip(1) {
            exists(client.create(&self.path[..end], &[], &above).await)?;
        }
        exists(client.create(&self.path, &[], &own).await)
    }

    /// Writes the layout if the root is empty: why the root can't be used, if it can't.
    async fn claim(&self, client: &Client) -> Result<Option<String>, Error> {
        let lasting = CreateMode::Persistent.with_acls(self.acls());
        loop {
            match client.get_data(LAYOUT).await {
                Ok((kept, _)) => {
                    let difference = self.layout.difference(&self.path, &kept);
                    return match difference {
                        None => self.open_to_all(client).await,
                        difference => Ok(difference),
                    };
                }
                Err(Error::NoNode) => {}
                Err(error) => return Err(error),
            }
            let children = client.list_children("/").await?;
            // Another node of ours may have come in between.
            let is_new = children.is_empty() || children.iter().any(|child| LAYOUT[1..] == **child);
            if !is_new {
                return Ok(Some(format!(
                    "{} has nodes that are not memgen's: choose another root",
                    self.path
                )));
            }
            exists(
                client
                    .create(LAYOUT, &layout::to_bytes(&self.layout), &lasting)
                    .await,
            )?;
        }
    }

    /// Says so if the root is open although we have credentials: made by a node without them, it would never be closed.
    async fn open_to_all(&self, client: &Client) -> Result<Option<String>, Error> {
        if !self.protected {
            return Ok(None);
        }
        let (acls, _) = client.get_acl(LAYOUT).await?;
        let open = acls.iter().any(|acl| acl.scheme() == "world");
        Ok(open.then(|| {
            format!(
                "{0} is open to everybody, though --coordinator has credentials: choose another root, or close it once for all (`setAcl -R {0} auth::cdrwa` in zkCli.sh, \
                 after `addauth digest USER:PASSWORD`)",
                self.path
            )
        }))
    }
}

/// Whether a node is there now, made or not.
fn exists<T>(created: Result<T, Error>) -> Result<(), Error> {
    match created {
        Ok(_) | Err(Error::NodeExists) => Ok(()),
        Err(error) => Err(error),
    }
}
