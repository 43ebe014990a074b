//! The statuses of HTTP by their names, so that a reply `NotFound` needs no number.

/// The status of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// One status.
    Code(u16),
    /// The first field says it. Whether it may be an error.
    Open { fails: bool },
}

impl Status {
    /// Whether it may be an error.
    pub(crate) const fn fails(self) -> bool {
        match self {
            Self::Code(code) => code >= 400,
            Self::Open { fails } => fails,
        }
    }

    /// The status that a variant of this name has: `NotFound`, `Status299`, or a class such as `ClientError`.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        if let Some((code, _)) = NAMES.iter().find(|(_, known)| *known == name) {
            return Some(Self::Code(*code));
        }
        if let Some((_, fails)) = OPEN.iter().find(|(known, _)| *known == name) {
            return Some(Self::Open { fails: *fails });
        }
        let code = name.strip_prefix("Status")?.parse().ok()?;
        (200..600).contains(&code).then_some(Self::Code(code))
    }
}

/// The names of what leaves the status to the handler, and whether it may be an error.
const OPEN: [(&str, bool); 5] = [
    ("Success", false),
    ("Redirection", false),
    ("ClientError", true),
    ("ServerError", true),
    ("Default", true),
];

/// The names of single statuses: what the crate `http` calls them, in upper camel case.
const NAMES: [(u16, &str); 58] = [
    (200, "Ok"),
    (201, "Created"),
    (202, "Accepted"),
    (203, "NonAuthoritativeInformation"),
    (204, "NoContent"),
    (205, "ResetContent"),
    (206, "PartialContent"),
    (207, "MultiStatus"),
    (208, "AlreadyReported"),
    (226, "ImUsed"),
    (300, "MultipleChoices"),
    (301, "MovedPermanently"),
    (302, "Found"),
    (303, "SeeOther"),
    (304, "NotModified"),
    (305, "UseProxy"),
    (307, "TemporaryRedirect"),
    (308, "PermanentRedirect"),
    (400, "BadRequest"),
    (401, "Unauthorized"),
    (402, "PaymentRequired"),
    (403, "Forbidden"),
    (404, "NotFound"),
    (405, "MethodNotAllowed"),
    (406, "NotAcceptable"),
    (407, "ProxyAuthenticationRequired"),
    (408, "RequestTimeout"),
    (409, "Conflict"),
    (410, "Gone"),
    (411, "LengthRequired"),
    (412, "PreconditionFailed"),
    (413, "PayloadTooLarge"),
    (414, "UriTooLong"),
    (415, "UnsupportedMediaType"),
    (416, "RangeNotSatisfiable"),
    (417, "ExpectationFailed"),
    (418, "IMATeapot"),
    (421, "MisdirectedRequest"),
    (422, "UnprocessableEntity"),
    (423, "Locked"),
    (424, "FailedDependency"),
    (425, "TooEarly"),
    (426, "UpgradeRequired"),
    (428, "PreconditionRequired"),
    (429, "TooManyRequests"),
    (431, "RequestHeaderFieldsTooLarge"),
    (451, "UnavailableForLegalReasons"),
    (500, "InternalServerError"),
    (501, "NotImplemented"),
    (502, "BadGateway"),
    (503, "ServiceUnavailable"),
    (504, "GatewayTimeout"),
    (505, "HttpVersionNotSupported"),
    (506, "VariantAlsoNegotiates"),
    (507, "InsufficientStorage"),
    (508, "LoopDetected"),
    (510, "NotExtended"),
    (511, "NetworkAuthenticationRequired"),
];
