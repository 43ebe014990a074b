//! Who asks: the document's security schemes, and the function that says whether credentials are right.
//!
//! An operation that demands a scheme is closed until somebody has said what opens it: a function, or the setting `credentials`.

use std::{collections::BTreeMap, fmt, future::Future, pin::Pin, sync::Arc};

use axum::http::{HeaderName, header, request::Parts};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    document::Document,
    parameters::{cookie, follow},
};
use crate::problem::{Problem, Result};

/// Who a request comes from, as the function that checks credentials has found out.
///
/// ```
/// use memgen::contract::Principal;
/// let principal = Principal::new("ann").with_scope("pets:write");
/// assert_eq!(principal.name, "ann");
/// assert!(principal.scopes.contains(&"pets:write".to_owned()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name of the user, or of the program.
    pub name: String,
    /// What it may do. An operation that asks for a scope that is not among them is answered 403.
    pub scopes: Vec<String>,
}

impl Principal {
    /// A principal of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            scopes: Vec::new(),
        }
    }

    /// Adds a scope.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }
}

/// What a request shows to say who it comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A key in a header, in the query or in a cookie.
    ApiKey(String),
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A bearer token: also that of OAuth 2 and of `OpenID` Connect.
    Bearer(String),
    /// What stands after the scheme's name in `Authorization`.
    Other(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKey(_) => "ApiKey(…)",
            Self::Basic { .. } => "Basic(…)",
            Self::Bearer(_) => "Bearer(…)",
            Self::Other(_) => "Other(…)",
        })
    }
}

impl Credentials {
    /// As it stands in the setting `credentials`.
    fn text(&self) -> String {
        match self {
            Self::ApiKey(text) | Self::Bearer(text) | Self::Other(text) => text.clone(),
            Self::Basic { user, password } => format!("{user}:{password}"),
        }
    }
}

/// Credentials to be checked.
///
/// ```
/// use memgen::{Result, contract::{Attempt, Credentials, Principal}, problem::Problem};
///
/// pub async fn authenticate(attempt: Attempt) -> Result<Principal> {
///     match (attempt.scheme.as_str(), &attempt.credentials) {
///         ("session", Credentials::ApiKey(token)) if token == "let me in" => Ok(Principal::new("ann")),
///         _ => Err(Problem::unauthorized("this token is not known")),
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The scheme's name in the document.
    pub scheme: String,
    /// The scopes that the operation asks for.
    pub scopes: Vec<String>,
    /// What the request shows.
    pub credentials: Credentials,
    configured: Configured,
}

/// The secrets of the setting `credentials`, by scheme.
#[derive(Clone, Default)]
pub(crate) struct Configured(Arc<BTreeMap<String, Vec<String>>>);

impl fmt::Debug for Configured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Configured {
    /// Of `scheme=secret` lines.
    pub(crate) fn new(lines: &[(String, String)]) -> Self {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (scheme, secret) in lines {
            all.entry(scheme.clone()).or_default().push(secret.clone());
        }
        Self(Arc::new(all))
    }
}

impl Attempt {
    /// Accepts what the setting `credentials` lists for the scheme, and nothing else.
    ///
    /// # Errors
    /// 401; while nothing is set for the scheme, it says how to open it.
    pub fn configured(&self) -> Result<Principal> {
        let Some(secrets) = self.configured.0.get(&self.scheme) else {
            return Err(Problem::unauthorized(format!(
                "`{}` is closed: nobody has said which credentials are right. Write `authenticate` in src/security.rs, or start the service with \
                 `--credentials {}=SECRET`",
                self.scheme, self.scheme
            )));
        };
        let shown = self.credentials.text();
        // Each is compared to its end, so that the time says nothing about how much was right.
        let right = secrets.iter().fold(false, |right, secret| {
            right | constant_time_eq::constant_time_eq(secret.as_bytes(), shown.as_bytes())
        });
        if !right {
            return Err(Problem::unauthorized(format!(
                "these credentials are not known for `{}`",
                self.scheme
            )));
        }
        let name = match &self.credentials {
            Credentials::Basic { user, .. } => user.clone(),
            _ => self.scheme.clone(),
        };
        Ok(Principal {
            name,
            scopes: self.scopes.clone(),
        })
    }
}

/// 403 for one who may not do all that the operation asks for.
fn allowed(
    principal: Principal,
    name: &str,
    scheme: &Scheme,
    scopes: &[String],
) -> Result<Principal> {
    let lacks = |scope: &&String| !principal.scopes.contains(scope);
    let lacking: Vec<&str> = scopes.iter().filter(lacks).map(String::as_str).collect();
    if lacking.is_empty() {
        return Ok(principal);
    }
    let problem = Problem::forbidden(format!(
        "`{}` may not do this: it lacks the scope `{}`",
        principal.name,
        lacking.join(" ")
    ));
    // RFC 6750
    let scopes = scopes.join(" ");
    let challenge = format!(
        "{}, error=\"insufficient_scope\", scope=\"{scopes}\"",
        scheme.challenge(name)
    );
    Err(match scheme {
        Scheme::Bearer => problem.with_header(header::WWW_AUTHENTICATE, &challenge),
        _ => problem,
    })
}

/// The user's function.
pub(crate) type Authenticate =
    Arc<dyn Fn(Attempt) -> Pin<Box<dyn Future<Output = Result<Principal>> + Send>> + Send + Sync>;

/// A scheme of the document.
#[derive(Clone, Debug)]
enum Scheme {
    Header(HeaderName),
    Query(String),
    Cookie(String),
    Basic,
    Bearer,
    Other(String),
}

/// What an operation demands: one of several sets of schemes, each with scopes.
#[derive(Clone, Debug)]
pub(crate) struct Demand(Vec<Vec<(String, Scheme, Vec<String>)>>);

impl Demand {
    /// What the operation at a JSON pointer demands, or else the document. `None` if it is open.
    pub(crate) fn of_operation(document: &Document, operation: &str) -> Option<Self> {
        let own = document.value.pointer(&format!("{operation}/security"));
        let asked = own.or_else(|| document.value.get("security"))?.as_array()?;
        if asked.is_empty() {
            return None;
        }
        // What asks for nothing comes last: who shows who they are, is known.
        let mut asked: Vec<&Value> = asked.iter().collect();
        asked.sort_by_key(|set| set.as_object().is_none_or(serde_json::Map::is_empty));
        let sets = asked.into_iter().map(|set| {
            let schemes = set.as_object().into_iter().flatten();
            schemes
                .map(|(name, scopes)| {
                    let scopes = scopes.as_array().into_iter().flatten();
                    let scopes = scopes.filter_map(|it| Some(it.as_str()?.to_owned()));
                    (name.clone(), Scheme::find(document, name), scopes.collect())
                })
                .collect()
        });
        Some(Self(sets.collect()))
    }

    /// Who asks. `None` if nobody has to say so.
    pub(crate) async fn check(
        &self,
        head: &Parts,
        authenticate: Option<&Authenticate>,
        configured: &Configured,
    ) -> Result<Option<Principal>> {
        let mut refused = None;
        'sets: for set in &self.0 {
            let mut principal = None;
            for (name, scheme, scopes) in set {
                let Some(credentials) = scheme.credentials(head) else {
                    continue 'sets;
                };
                let attempt = Attempt {
                    scheme: name.clone(),
                    scopes: scopes.clone(),
                    credentials,
                    configured: configured.clone(),
                };
                let outcome = match authenticate {
                    Some(authenticate) => authenticate(attempt).await,
                    None => attempt.configured(),
                };
                match outcome.and_then(|found| allowed(found, name, scheme, scopes)) {
                    Ok(found) => principal = Some(found),
                    Err(problem) => {
                        refused.get_or_insert(problem);
                        continue 'sets;
                    }
                }
            }
            return Ok(principal);
        }
        let problem = refused.unwrap_or_else(|| {
            Problem::unauthorized(format!("this operation asks for {}", self.names()))
        });
        Err(if problem.status() == 401 {
            problem.with_header(header::WWW_AUTHENTICATE, &self.challenges())
        } else {
            problem
        })
    }

    fn names(&self) -> String {
        let sets = self.0.iter().map(|set| {
            let names: Vec<_> = set.iter().map(|(name, ..)| format!("`{name}`")).collect();
            names.join(" and ")
        });
        sets.collect::<Vec<_>>().join(", or ")
    }

    fn challenges(&self) -> String {
        let mut all: Vec<String> = Vec::new();
        for (name, scheme, _) in self.0.iter().flatten() {
            let challenge = scheme.challenge(name);
            if !all.contains(&challenge) {
                all.push(challenge);
            }
        }
        all.join(", ")
    }
}

impl Scheme {
    fn find(document: &Document, name: &str) -> Self {
        let at = format!(
            "/components/securitySchemes/{}",
            super::parameters::escape(name)
        );
        let found = document.value.pointer(&at);
        let found = found.and_then(|found| follow(document, found, at));
        let Some((scheme, _)) = found else {
            // A scheme that the document does not describe opens nothing.
            return Self::Other(name.to_owned());
        };
        let text = |name: &str| scheme.get(name).and_then(Value::as_str).unwrap_or_default();
        match (
            text("type"),
            text("in"),
            text("scheme").to_ascii_lowercase().as_str(),
        ) {
            ("apiKey", "header", _) => match HeaderName::try_from(text("name")) {
                Ok(name) => Self::Header(name),
                Err(_) => Self::Other(name.to_owned()),
            },
            ("apiKey", "query", _) => Self::Query(text("name").to_owned()),
            ("apiKey", "cookie", _) => Self::Cookie(text("name").to_owned()),
            ("http", _, "basic") => Self::Basic,
            ("http", _, "bearer") | ("oauth2" | "openIdConnect", ..) => Self::Bearer,
            ("http", _, other) => Self::Other(other.to_owned()),
            _ => Self::Other(name.to_owned()),
        }
    }

    /// What a client is asked for, in `WWW-Authenticate`.
    fn challenge(&self, name: &str) -> String {
        let name: String = name
            .chars()
            .filter(|it| !matches!(it, '"' | '\\') && !it.is_control())
            .collect();
        match self {
            Self::Basic => format!("Basic realm=\"{name}\", charset=\"UTF-8\""),
            Self::Bearer => format!("Bearer realm=\"{name}\""),
            Self::Other(kind) => format!("{kind} realm=\"{name}\""),
            Self::Header(_) | Self::Query(_) | Self::Cookie(_) => {
                format!("ApiKey realm=\"{name}\"")
            }
        }
    }

    /// What a request shows for this scheme.
    fn credentials(&self, head: &Parts) -> Option<Credentials> {
        let header = |name: &HeaderName| head.headers.get(name)?.to_str().ok().map(str::trim);
        // `Bearer token`, by the name of the scheme.
        let authorization = |kind: &str| {
            let (scheme, rest) = header(&header::AUTHORIZATION)?.split_once(' ')?;
            scheme.eq_ignore_ascii_case(kind).then(|| rest.trim())
        };
        match self {
            Self::Header(name) => Some(Credentials::ApiKey(header(name)?.to_owned())),
            Self::Query(name) => {
                let query = head.uri.query()?;
                let mut pairs = form_urlencoded::parse(query.as_bytes());
                let (_, value) = pairs.find(|(own, _)| own == name)?;
                Some(Credentials::ApiKey(value.into_owned()))
            }
            Self::Cookie(name) => Some(Credentials::ApiKey(cookie(&head.headers, name)?)),
            Self::Basic => {
                let decoded = STANDARD.decode(authorization("basic")?).ok()?;
                let text = String::from_utf8(decoded).ok()?;
                let (user, password) = text.split_once(':')?;
                Some(Credentials::Basic {
                    user: user.to_owned(),
                    password: password.to_owned(),
                })
            }
            Self::Bearer => Some(Credentials::Bearer(authorization("bearer")?.to_owned())),
            Self::Other(kind) => Some(Credentials::Other(authorization(kind)?.to_owned())),
        }
    }
}
