//! What may stand where in a document: OpenAPI 3.0 and 3.1 in one table.
//!
//! The table says where references are references, and where a `$ref` is only data; and which names are unknown.

/// What an object of a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The whole document.
    Document,
    /// `info`.
    Info,
    /// `components`.
    Components,
    /// What stands at a path.
    PathItem,
    /// An operation.
    Operation,
    /// A parameter.
    Parameter,
    /// A header of a response or a part.
    Header,
    /// A request's body.
    RequestBody,
    /// What a media type holds.
    MediaType,
    /// How a part of a form is encoded.
    Encoding,
    /// A response.
    Response,
    /// A schema.
    Schema,
    /// An example.
    Example,
    /// A link.
    Link,
    /// A callback: a map of path items.
    Callback,
    /// A security scheme.
    SecurityScheme,
    /// A tag.
    Tag,
    /// A server.
    Server,
    /// `discriminator`.
    Discriminator,
}

/// What the value of a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Data that nothing is known of: not looked into.
    Data,
    /// A text.
    Text,
    /// `true` or `false`.
    Flag,
    /// One object.
    One(Kind),
    /// A list of objects.
    List(Kind),
    /// An object whose members are such objects.
    Map(Kind),
    /// A schema, or `true` or `false`.
    SchemaOrBool,
    /// A schema, or a list of them (`items` of old drafts).
    SchemaOrList,
}

impl Shape {
    /// Whether an operation can't do without. A schema that is missing lets every value through; the rest is for people.
    pub(super) const fn is_needed(self) -> bool {
        match self {
            Self::One(kind) | Self::List(kind) | Self::Map(kind) => !matches!(
                kind,
                Kind::Schema
                    | Kind::Example
                    | Kind::Link
                    | Kind::Callback
                    | Kind::Tag
                    | Kind::Server
                    | Kind::Discriminator
            ),
            Self::Data | Self::Text | Self::Flag | Self::SchemaOrBool | Self::SchemaOrList => false,
        }
    }
}

use Shape::{Data, Flag, List, Map, One, SchemaOrBool, SchemaOrList, Text};

impl Kind {
    /// The names that it may have.
    #[allow(clippy::too_many_lines)] // it is a table
    pub(super) const fn names(self) -> &'static [(&'static str, Shape)] {
        match self {
            Self::Document => &[
                ("openapi", Data),
                ("info", One(Self::Info)),
                ("jsonSchemaDialect", Data),
                ("servers", List(Self::Server)),
                ("paths", Map(Self::PathItem)),
                ("webhooks", Map(Self::PathItem)),
                ("components", One(Self::Components)),
                ("security", Data),
                ("tags", List(Self::Tag)),
                ("externalDocs", Data),
                ("$self", Data),
            ],
            Self::Info => &[
                ("title", Text),
                ("summary", Text),
                ("description", Text),
                ("termsOfService", Data),
                ("contact", Data),
                ("license", Data),
                ("version", Data),
            ],
            Self::Components => &[
                ("schemas", Map(Self::Schema)),
                ("responses", Map(Self::Response)),
                ("parameters", Map(Self::Parameter)),
                ("examples", Map(Self::Example)),
                ("requestBodies", Map(Self::RequestBody)),
                ("headers", Map(Self::Header)),
                ("securitySchemes", Map(Self::SecurityScheme)),
                ("links", Map(Self::Link)),
                ("callbacks", Map(Self::Callback)),
                ("pathItems", Map(Self::PathItem)),
                ("mediaTypes", Map(Self::MediaType)),
            ],
            Self::PathItem => &[
                ("summary", Text),
                ("description", Text),
                ("get", One(Self::Operation)),
                ("put", One(Self::Operation)),
                ("post", One(Self::Operation)),
                ("delete", One(Self::Operation)),
                ("options", One(Self::Operation)),
                ("head", One(Self::Operation)),
                ("patch", One(Self::Operation)),
                ("trace", One(Self::Operation)),
                ("query", One(Self::Operation)),
                ("servers", List(Self::Server)),
                ("parameters", List(Self::Parameter)),
            ],
            Self::Operation => &[
                ("tags", Data),
                ("summary", Text),
                ("description", Text),
                ("externalDocs", Data),
                ("operationId", Text),
                ("parameters", List(Self::Parameter)),
                ("requestBody", One(Self::RequestBody)),
                ("responses", Map(Self::Response)),
                ("callbacks", Map(Self::Callback)),
                ("deprecated", Flag),
                ("security", Data),
                ("servers", List(Self::Server)),
            ],
            Self::Parameter => &[
                ("name", Text),
                ("in", Text),
                ("description", Text),
                ("required", Flag),
                ("deprecated", Flag),
                ("allowEmptyValue", Flag),
                ("style", Data),
                ("explode", Flag),
                ("allowReserved", Flag),
                ("schema", SchemaOrBool),
                ("example", Data),
                ("examples", Map(Self::Example)),
                ("content", Map(Self::MediaType)),
            ],
            Self::Header => &[
                ("description", Text),
                ("required", Flag),
                ("deprecated", Flag),
                ("allowEmptyValue", Flag),
                ("style", Data),
                ("explode", Flag),
                ("allowReserved", Flag),
                ("schema", SchemaOrBool),
                ("example", Data),
                ("examples", Map(Self::Example)),
                ("content", Map(Self::MediaType)),
            ],
            Self::RequestBody => &[
                ("description", Text),
                ("content", Map(Self::MediaType)),
                ("required", Flag),
            ],
            Self::MediaType => &[
                ("schema", SchemaOrBool),
                ("itemSchema", SchemaOrBool),
                ("example", Data),
                ("examples", Map(Self::Example)),
                ("encoding", Map(Self::Encoding)),
            ],
            Self::Encoding => &[
                ("contentType", Data),
                ("headers", Map(Self::Header)),
                ("style", Data),
                ("explode", Flag),
                ("allowReserved", Flag),
            ],
            Self::Response => &[
                ("description", Text),
                ("summary", Text),
                ("headers", Map(Self::Header)),
                ("content", Map(Self::MediaType)),
                ("links", Map(Self::Link)),
            ],
            Self::Schema => SCHEMA,
            Self::Example => &[
                ("summary", Text),
                ("description", Text),
                ("value", Data),
                ("externalValue", Data),
                ("dataValue", Data),
                ("serializedValue", Data),
            ],
            Self::Link => &[
                ("operationRef", Data),
                ("operationId", Data),
                ("parameters", Data),
                ("requestBody", Data),
                ("description", Text),
                ("server", One(Self::Server)),
            ],
            Self::Callback => &[],
            Self::SecurityScheme => &[
                ("type", Text),
                ("description", Text),
                ("name", Data),
                ("in", Data),
                ("scheme", Data),
                ("bearerFormat", Data),
                ("flows", Data),
                ("openIdConnectUrl", Data),
                ("oauth2MetadataUrl", Data),
                ("deprecated", Flag),
            ],
            Self::Tag => &[
                ("name", Text),
                ("summary", Text),
                ("description", Text),
                ("externalDocs", Data),
                ("parent", Data),
                ("kind", Data),
            ],
            Self::Server => &[
                ("url", Text),
                ("name", Text),
                ("description", Text),
                ("variables", Data),
            ],
            Self::Discriminator => &[
                ("propertyName", Text),
                ("mapping", Data),
                ("defaultMapping", Data),
            ],
        }
    }

    /// What stands at a name.
    pub(super) fn shape(self, name: &str) -> Option<Shape> {
        if self == Self::Callback {
            return Some(One(Self::PathItem));
        }
        let names = self.names();
        let found = names.iter().find(|(known, _)| *known == name);
        found.map(|(_, shape)| *shape)
    }

    /// Whether a name in a map of such objects is that of an extension.
    pub(super) fn is_extension(self, name: &str) -> bool {
        name.starts_with("x-") && matches!(self, Self::PathItem | Self::Response)
    }

    /// The section of `components` that holds such objects, for those that can be referred to.
    pub(super) const fn section(self) -> Option<&'static str> {
        Some(match self {
            Self::Schema => "schemas",
            Self::Response => "responses",
            Self::Parameter => "parameters",
            Self::Example => "examples",
            Self::RequestBody => "requestBodies",
            Self::Header => "headers",
            Self::SecurityScheme => "securitySchemes",
            Self::Link => "links",
            Self::Callback => "callbacks",
            _ => return None,
        })
    }

    /// What it is called in messages.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Info => "info object",
            Self::Components => "components object",
            Self::PathItem => "path item",
            Self::Operation => "operation",
            Self::Parameter => "parameter",
            Self::Header => "header",
            Self::RequestBody => "request body",
            Self::MediaType => "media type",
            Self::Encoding => "encoding",
            Self::Response => "response",
            Self::Schema => "schema",
            Self::Example => "example",
            Self::Link => "link",
            Self::Callback => "callback",
            Self::SecurityScheme => "security scheme",
            Self::Tag => "tag",
            Self::Server => "server",
            Self::Discriminator => "discriminator",
        }
    }
}

const SCHEMA: &[(&str, Shape)] = &[
    ("$schema", Data),
    ("$id", Data),
    ("$anchor", Data),
    ("$dynamicAnchor", Data),
    ("$dynamicRef", Data),
    ("$comment", Data),
    ("$vocabulary", Data),
    ("$defs", Map(Kind::Schema)),
    ("definitions", Map(Kind::Schema)),
    ("title", Text),
    ("description", Text),
    ("type", Data),
    ("format", Text),
    ("enum", Data),
    ("const", Data),
    ("default", Data),
    ("example", Data),
    ("examples", Data),
    ("nullable", Flag),
    ("readOnly", Flag),
    ("writeOnly", Flag),
    ("deprecated", Flag),
    ("externalDocs", Data),
    ("xml", Data),
    ("discriminator", One(Kind::Discriminator)),
    ("multipleOf", Data),
    ("maximum", Data),
    ("exclusiveMaximum", Data),
    ("minimum", Data),
    ("exclusiveMinimum", Data),
    ("maxLength", Data),
    ("minLength", Data),
    ("pattern", Data),
    ("maxItems", Data),
    ("minItems", Data),
    ("uniqueItems", Flag),
    ("maxContains", Data),
    ("minContains", Data),
    ("maxProperties", Data),
    ("minProperties", Data),
    ("required", Data),
    ("dependentRequired", Data),
    ("contentEncoding", Data),
    ("contentMediaType", Data),
    ("contentSchema", SchemaOrBool),
    ("properties", Map(Kind::Schema)),
    ("patternProperties", Map(Kind::Schema)),
    ("additionalProperties", SchemaOrBool),
    ("unevaluatedProperties", SchemaOrBool),
    ("propertyNames", SchemaOrBool),
    ("dependentSchemas", Map(Kind::Schema)),
    ("items", SchemaOrList),
    ("additionalItems", SchemaOrBool),
    ("unevaluatedItems", SchemaOrBool),
    ("prefixItems", List(Kind::Schema)),
    ("contains", SchemaOrBool),
    ("allOf", List(Kind::Schema)),
    ("oneOf", List(Kind::Schema)),
    ("anyOf", List(Kind::Schema)),
    ("not", SchemaOrBool),
    ("if", SchemaOrBool),
    ("then", SchemaOrBool),
    ("else", SchemaOrBool),
];
