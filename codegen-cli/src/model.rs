//! What a document says, in the terms of a service: the one thing between reading and writing.

use serde_json::Value;

use crate::diagnostic::Span;

/// A document that can be generated from.
#[derive(Clone, Debug, Default)]
pub struct Api {
    /// `info.title`.
    pub title: String,
    /// `info.version`.
    pub version: String,
    /// `info.description`.
    pub description: String,
    /// The named types; a [`TypeId`] is an index into it.
    pub types: Vec<TypeDef>,
    /// The operations, in the order of the document.
    pub operations: Vec<Operation>,
    /// The resources that are kept as state; [`Decision::State`] has an index into it.
    pub resources: Vec<Resource>,
    /// The security schemes.
    pub security: Vec<SecurityScheme>,
    /// The document itself: OpenAPI 3.1, bundled into one file, with every decision written into it (`x-memgen`). The service
    /// decodes, checks and serves by it.
    pub document: Value,
}

/// The place of a type in [`Api::types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub usize);

/// A type with a name.
#[derive(Clone, Debug)]
pub struct TypeDef {
    /// The name as the document has it (`Pet`, `inline_response_200`), or words made of where it stands (`create pet body address`).
    /// Not unique, and in no case; [`crate::names`] sees to that.
    pub words: String,
    /// Where its schema is in [`Api::document`], such as `#/components/schemas/Pet`; empty where the schema was made of several.
    pub pointer: String,
    /// What the document says of it.
    pub doc: String,
    /// What it is.
    pub kind: TypeKind,
}

/// What a type is.
#[derive(Clone, Debug)]
pub enum TypeKind {
    /// An object with known fields.
    Struct(Struct),
    /// One of these strings or integers. `null` among them made the references nullable.
    Enum(Vec<Value>),
    /// One of several types (`oneOf`, `anyOf`).
    Union(Union),
}

/// An object with known fields.
#[derive(Clone, Debug, Default)]
pub struct Struct {
    /// The fields, in the order of the document; those of `allOf` are merged in.
    pub fields: Vec<Field>,
    /// The type of all other fields, if they are kept (`additionalProperties` is there and not `false`).
    pub extra: Option<TypeRef>,
}

/// A field of a struct.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the flags of OpenAPI"
)]
pub struct Field {
    /// The name in JSON.
    pub name: String,
    /// What the document says of it.
    pub doc: String,
    /// Its type; nullable if `null` is allowed.
    pub ty: TypeRef,
    /// It must be there.
    pub required: bool,
    /// Only in replies.
    pub read_only: bool,
    /// Only in requests.
    pub write_only: bool,
    /// It should not be used any more.
    pub deprecated: bool,
    /// What it is when it is left out.
    pub default: Option<Value>,
}

/// One of several types.
#[derive(Clone, Debug)]
pub struct Union {
    /// The alternatives, those with more required fields first, so that the first one that reads a value loses nothing of it.
    pub variants: Vec<Variant>,
    /// The property whose value says which one it is.
    pub discriminator: Option<String>,
}

/// An alternative of a union.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Words for its name.
    pub words: String,
    /// Its type.
    pub ty: TypeRef,
    /// The values of the discriminator that mean it.
    pub tags: Vec<String>,
}

/// The use of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeRef {
    /// A type of [`Api::types`].
    Named(TypeId),
    /// The same on the heap, where a type contains itself.
    Boxed(Box<TypeRef>),
    /// `null` or the type.
    Nullable(Box<TypeRef>),
    /// A list.
    List(Box<TypeRef>),
    /// A map with text keys.
    Map(Box<TypeRef>),
    /// Any JSON value.
    Any,
    /// `true` or `false`.
    Bool,
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer; any integer without a format.
    I64,
    /// An unsigned 32-bit integer.
    U32,
    /// An unsigned 64-bit integer.
    U64,
    /// A number.
    F64,
    /// A decimal number, exact.
    Decimal,
    /// A text.
    String,
    /// `format: uuid`.
    Uuid,
    /// `format: date`.
    Date,
    /// `format: date-time`.
    DateTime,
    /// `format: byte`: base64.
    Base64,
    /// `format: binary` inside a value, such as a file in a multipart form.
    File,
}

impl TypeRef {
    /// The type with a name that it is, or is a list, a map or an option of.
    #[must_use]
    pub fn named(&self) -> Option<TypeId> {
        match self {
            Self::Named(id) => Some(*id),
            Self::Boxed(inner) | Self::Nullable(inner) | Self::List(inner) | Self::Map(inner) => {
                inner.named()
            }
            _ => None,
        }
    }
}

/// An operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Unique in the document: its `operationId`, or one that was made of method and path; [`Api::document`] has it in either case.
    pub id: String,
    /// In lower case.
    pub method: String,
    /// The path template, as the document has it.
    pub path: String,
    /// Its first tag, or one made of the first segment of its path.
    pub tag: String,
    /// In one line.
    pub summary: String,
    /// At length.
    pub description: String,
    /// It should not be used any more.
    pub deprecated: bool,
    /// Where it stands in the user's files.
    pub span: Span,
    /// Where it stands in [`Api::document`].
    pub pointer: String,
    /// Its parameters; those of the path item are among them.
    pub parameters: Vec<Parameter>,
    /// What it takes.
    pub body: Option<Body>,
    /// What it answers.
    pub responses: Vec<Response>,
    /// The names of the security schemes that it asks for, in any combination; empty if it is open.
    pub security: Vec<String>,
    /// What becomes of it.
    pub decision: Decision,
    /// Why.
    pub reason: String,
}

/// What becomes of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The runtime does it on the state of this resource.
    State {
        /// The place in [`Api::resources`].
        resource: usize,
        /// What it does.
        action: Action,
    },
    /// A method of a trait, for the user to write; 501 until then.
    Handler,
    /// It can't be done; it answers 501, and [`Operation::reason`] says why.
    Unsupported,
}

/// What the runtime does for an operation on a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Makes a new entity.
    Create,
    /// Lists entities.
    List,
    /// Reads one.
    Get,
    /// Replaces one, or makes it.
    Replace,
    /// Changes some fields of one.
    Update,
    /// Removes one.
    Delete,
}

/// Where a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the path.
    Path,
    /// In the query string.
    Query,
    /// In a header.
    Header,
    /// In a cookie.
    Cookie,
}

/// A parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// The name on the wire.
    pub name: String,
    /// The name in the JSON object that the runtime makes of all parameters: `name`, or `query:name` where an earlier parameter of the operation
    /// (in the order path, query, header, cookie) has that name already.
    pub field: String,
    /// Where it is.
    pub place: Place,
    /// What the document says of it.
    pub doc: String,
    /// Its type.
    pub ty: TypeRef,
    /// It must be there.
    pub required: bool,
}

/// What an operation takes.
#[derive(Clone, Debug)]
pub struct Body {
    /// It must be there.
    pub required: bool,
    /// What the document says of it.
    pub doc: String,
    /// Each media type that is understood, and the type of what it holds. Media types with the same [`Payload`] stand side by side.
    pub contents: Vec<Content>,
}

/// A media type and what it holds.
#[derive(Clone, Debug)]
pub struct Content {
    /// Such as `application/json`; may be a range (`image/*`).
    pub media_type: String,
    /// What it holds.
    pub payload: Payload,
}

/// What a body holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Something that becomes JSON by the schema: JSON itself (also `+json`, `*/*`), a URL-encoded form, a multipart form.
    Value(TypeRef),
    /// Text of any other `text/…`, and XML.
    Text,
    /// Bytes.
    Binary,
    /// `text/event-stream`, each event with such data. In replies only.
    Events(TypeRef),
}

/// The status of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// One status.
    Code(u16),
    /// `2XX`: the first digit.
    Class(u8),
    /// `default`.
    Default,
}

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its status.
    pub status: Status,
    /// What the document says of it.
    pub doc: String,
    /// What it holds; empty if it has no body.
    pub contents: Vec<Content>,
    /// Its headers.
    pub headers: Vec<Header>,
}

/// A header of a response.
#[derive(Clone, Debug)]
pub struct Header {
    /// The name on the wire.
    pub name: String,
    /// What the document says of it.
    pub doc: String,
    /// Its type.
    pub ty: TypeRef,
    /// It must be there.
    pub required: bool,
}

/// A resource: entities with a key, kept as a state.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Words for its name, in the singular (`pet`, `order item`); unique. The topic is made of it.
    pub words: String,
    /// What the document says of it.
    pub doc: String,
    /// The path of the collection; path parameters of parents are in it.
    pub collection: String,
    /// The type of the entity: a struct, or what else an object can be.
    pub entity: TypeId,
    /// The key, in order: those of the parents first.
    pub key: Vec<KeyField>,
    /// How many of the first key fields decide the partition: those of the outermost parent, or all.
    pub partition_by: usize,
    /// The number of partitions.
    pub partitions: u32,
    /// The topic of its changelog.
    pub topic: String,
    /// When its writes count: `all` or `leader` in Kafka, `fsync` or `os` in the embedded log, one of each at most.
    pub ack: Vec<String>,
    /// Types of the user's crate that its values had before, as paths.
    pub migrate: Vec<String>,
}

/// A part of the key of a resource.
#[derive(Clone, Debug)]
pub struct KeyField {
    /// The path parameter.
    pub parameter: String,
    /// Its type: an integer, `String` or `Uuid`.
    pub ty: TypeRef,
    /// Where the entity has it, as a JSON pointer within the entity; `None` if only the path does.
    pub at: Option<String>,
}

/// A security scheme.
#[derive(Clone, Debug)]
pub struct SecurityScheme {
    /// The name in the document.
    pub name: String,
    /// `apiKey`, `basic`, `bearer`, `oauth2`, `openIdConnect`, or another `http` scheme.
    pub kind: String,
    /// What the document says of it.
    pub doc: String,
}
