//! What travels in a lane: frames, each with the number of the request that it belongs to.
//!
//! ```text
//! length of the rest  u32
//! number              u64
//! kind                u8    0 request, 1 reply, 2 reply that is fetched, 3 no reply, 4 closing
//! request             method, target, fields, body
//! reply               status u16, fields, body
//! reply to fetch      status u16, fields, number of the body u64
//! fields              how many u16, then name and value of each
//! ```
//! Numbers are big-endian. A text has its length before it, as u32. A body is the rest.

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    uri::PathAndQuery,
};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// A frame is at most this long: a short body, and all fields that there may be.
pub(super) const FRAME_BYTES_MAX: usize = 1 << 20;

/// Hardly any request has more fields.
const FIELDS_USUALLY: usize = 24;

/// Bytes of the length, which doesn't count itself.
const LENGTH_BYTES: usize = 4;

const REQUEST: u8 = 0;
const REPLY: u8 = 1;
const LEFT: u8 = 2;
const NO_REPLY: u8 = 3;
const CLOSING: u8 = 4;

/// One frame.
#[derive(Debug)]
pub(super) enum Frame {
    Request(Request<Bytes>),
    Reply(Response<ReplyBody>),
    /// Nobody will ever say what came of the request.
    NoReply,
    /// The sender wants no more requests. It has no number.
    Closing,
}

/// The body of a reply.
#[derive(Debug)]
pub(in super::super) enum ReplyBody {
    Whole(Bytes),
    /// It is to be fetched, by this number.
    Left(u64),
}

/// Why a frame can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is too long for a lane")]
pub(super) struct TooLong;

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no frame: {0}")]
pub(super) struct NoFrame(&'static str);

impl NoFrame {
    /// It may be one, but not here.
    pub(super) const UNEXPECTED: Self = Self("only requests are expected here");
    const SHORT: Self = Self("it ends too early");
}

/// A frame on its way.
pub(super) struct Encoded(BytesMut);

impl Encoded {
    pub(super) fn request(number: u64, request: &Request<Bytes>) -> Result<Self, TooLong> {
        let mut frame = Self::begin(number, REQUEST, request.body().len());
        frame.text(request.method().as_str().as_bytes())?;
        let target = request.uri().path_and_query();
        frame.text(target.map_or("/", PathAndQuery::as_str).as_bytes())?;
        frame.fields(request.headers())?;
        frame.0.put_slice(request.body());
        frame.end()
    }

    pub(super) fn reply(number: u64, reply: &Response<ReplyBody>) -> Result<Self, TooLong> {
        let (kind, length) = match reply.body() {
            ReplyBody::Whole(body) => (REPLY, body.len()),
            ReplyBody::Left(_) => (LEFT, size_of::<u64>()),
        };
        let mut frame = Self::begin(number, kind, length);
        frame.0.put_u16(reply.status().as_u16());
        frame.fields(reply.headers())?;
        match reply.body() {
            ReplyBody::Whole(body) => frame.0.put_slice(body),
            ReplyBody::Left(left) => frame.0.put_u64(*left),
        }
        frame.end()
    }

    pub(super) fn no_reply(number: u64) -> Self {
        Self::bare(number, NO_REPLY)
    }

    pub(super) fn closing() -> Self {
        Self::bare(0, CLOSING)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bare(number: u64, kind: u8) -> Self {
        let frame = Self::begin(number, kind, 0);
        frame
            .end()
            .unwrap_or_else(|TooLong| unreachable!("it is a few bytes long"))
    }

    fn begin(number: u64, kind: u8, body_bytes: usize) -> Self {
        // Most heads fit into that.
        let mut bytes = BytesMut::with_capacity(body_bytes + 500);
        bytes.put_u32(0);
        bytes.put_u64(number);
        bytes.put_u8(kind);
        Self(bytes)
    }

    fn text(&mut self, text: &[u8]) -> Result<(), TooLong> {
        self.0
            .put_u32(u32::try_from(text.len()).map_err(|_| TooLong)?);
        self.0.put_slice(text);
        Ok(())
    }

    fn fields(&mut self, fields: &HeaderMap) -> Result<(), TooLong> {
        self.0
            .put_u16(u16::try_from(fields.len()).map_err(|_| TooLong)?);
        for (name, value) in fields {
            self.text(name.as_str().as_bytes())?;
            self.text(value.as_bytes())?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<Self, TooLong> {
        let length = self.0.len() - LENGTH_BYTES;
        if length > FRAME_BYTES_MAX {
            return Err(TooLong);
        }
        let length = u32::try_from(length).map_err(|_| TooLong)?;
        self.0[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        Ok(self)
    }
}

/// Takes frames out of what comes, in whatever pieces.
#[derive(Default)]
pub(super) struct Decoder(BytesMut);

impl Decoder {
    pub(super) fn push(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
    }

    /// The next frame and its number, if all of it is there.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Frame)>, NoFrame> {
        let Some(length) = self.0.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(NoFrame("it is too long"));
        }
        if self.0.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        self.0.advance(LENGTH_BYTES);
        decode(self.0.split_to(length).freeze()).map(Some)
    }
}

fn decode(mut bytes: Bytes) -> Result<(u64, Frame), NoFrame> {
    let number = bytes.try_get_u64().map_err(|_| NoFrame::SHORT)?;
    let kind = bytes.try_get_u8().map_err(|_| NoFrame::SHORT)?;
    let frame = match kind {
        REQUEST => Frame::Request(request(bytes)?),
        REPLY | LEFT => Frame::Reply(reply(bytes, kind)?),
        NO_REPLY if bytes.is_empty() => Frame::NoReply,
        CLOSING if bytes.is_empty() && number == 0 => Frame::Closing,
        _ => return Err(NoFrame("nobody knows its kind")),
    };
    Ok((number, frame))
}

fn request(mut bytes: Bytes) -> Result<Request<Bytes>, NoFrame> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() =
        Method::from_bytes(&text(&mut bytes)?).map_err(|_| NoFrame("its method is none"))?;
    let target = PathAndQuery::from_maybe_shared(text(&mut bytes)?);
    *request.uri_mut() = Uri::from(target.map_err(|_| NoFrame("its target is none"))?);
    *request.headers_mut() = fields(&mut bytes)?;
    *request.body_mut() = bytes;
    Ok(request)
}

fn reply(mut bytes: Bytes, kind: u8) -> Result<Response<ReplyBody>, NoFrame> {
    let status = bytes.try_get_u16().map_err(|_| NoFrame::SHORT)?;
    let status = StatusCode::from_u16(status).map_err(|_| NoFrame("its status is none"))?;
    let fields = fields(&mut bytes)?;
    let body = if kind == REPLY {
        ReplyBody::Whole(bytes)
    } else {
        let left = bytes.try_get_u64().map_err(|_| NoFrame::SHORT)?;
        if !bytes.is_empty() {
            return Err(NoFrame("something is behind it"));
        }
        ReplyBody::Left(left)
    };
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    *reply.headers_mut() = fields;
    Ok(reply)
}

fn fields(bytes: &mut Bytes) -> Result<HeaderMap, NoFrame> {
    let count = usize::from(bytes.try_get_u16().map_err(|_| NoFrame::SHORT)?);
    // What is claimed takes no memory before it is there.
    let mut fields = HeaderMap::with_capacity(count.min(FIELDS_USUALLY));
    for _ in 0..count {
        let name = HeaderName::from_bytes(&text(bytes)?);
        let name = name.map_err(|_| NoFrame("a name of a field is none"))?;
        let value = HeaderValue::from_maybe_shared(text(bytes)?);
        let value = value.map_err(|_| NoFrame("a value of a field is none"))?;
        let appended = fields.try_append(name, value);
        appended.map_err(|_| NoFrame("it has too many fields"))?;
    }
    Ok(fields)
}

fn text(bytes: &mut Bytes) -> Result<Bytes, NoFrame> {
    let length = bytes.try_get_u32().map_err(|_| NoFrame::SHORT)? as usize;
    if length > bytes.len() {
        return Err(NoFrame::SHORT);
    }
    Ok(bytes.split_to(length))
}

/// What was read from these bytes, as bytes again.
#[cfg(feature = "fuzzing")]
pub(crate) fn again(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    let mut again = Vec::new();
    while let Some((number, frame)) = decoder.next().map_err(|error| error.to_string())? {
        let encoded = match frame {
            Frame::Request(request) => Encoded::request(number, &request),
            Frame::Reply(reply) => Encoded::reply(number, &reply),
            Frame::NoReply => Ok(Encoded::no_reply(number)),
            Frame::Closing => Ok(Encoded::closing()),
        };
        again.extend_from_slice(encoded.map_err(|error| error.to_string())?.bytes());
    }
    Ok(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request<Bytes> {
        let request = Request::builder().method("PATCH").uri("/a/%20?b=c");
        let request = request.header("x-a", "1").header("x-a", "2");
        let request = request.header("x-b", HeaderValue::from_bytes(b"\xff").expect("a value"));
        request
            .body(Bytes::from_static(b"body"))
            .expect("a request")
    }

    fn reply(body: ReplyBody) -> Response<ReplyBody> {
        let reply = Response::builder().status(418).header("etag", "\"1\"");
        reply.body(body).expect("a reply")
    }

    fn all() -> Vec<u8> {
        let whole = reply(ReplyBody::Whole(Bytes::from_static(b"tea")));
        let frames = [
            Encoded::request(1, &request()).expect("it is short"),
            Encoded::reply(u64::MAX, &whole).expect("it is short"),
            Encoded::reply(2, &reply(ReplyBody::Left(7))).expect("it is short"),
            Encoded::no_reply(3),
            Encoded::closing(),
        ];
        frames
            .iter()
            .flat_map(|frame| frame.bytes().to_vec())
            .collect()
    }

    /// A frame as it is read, in words.
    fn words(decoder: &mut Decoder) -> Vec<String> {
        let mut words = Vec::new();
        while let Some(frame) = decoder.next().expect("frames") {
            words.push(format!("{frame:?}"));
        }
        words
    }

    #[test]
    fn frames_come_back_in_whatever_pieces() {
        let bytes = all();
        let mut whole = Decoder::default();
        whole.push(&bytes);
        let whole = words(&mut whole);
        assert_eq!(whole.len(), 5, "{whole:?}");
        for part in [
            "method: PATCH, uri: /a/%20?b=c",
            r#""x-a": "1", "x-a": "2", "x-b": "\xff""#,
            "body: b\"body\"",
        ] {
            assert!(whole[0].contains(part), "{}", whole[0]);
        }
        assert!(
            whole[1].contains("18446744073709551615, Reply"),
            "{}",
            whole[1]
        );
        assert!(whole[1].contains("status: 418"), "{}", whole[1]);
        assert!(whole[1].contains("body: Whole(b\"tea\")"), "{}", whole[1]);
        assert!(whole[2].contains("body: Left(7)"), "{}", whole[2]);
        assert_eq!(whole[3..], ["(3, NoReply)", "(0, Closing)"]);
        for length in 1..bytes.len() {
            let mut decoder = Decoder::default();
            let mut read = Vec::new();
            for piece in bytes.chunks(length) {
                decoder.push(piece);
                read.extend(words(&mut decoder));
            }
            assert_eq!(read, whole, "in pieces of {length}");
        }
    }

    /// What is decoded of a frame with this kind and rest.
    fn decoded(kind: u8, rest: &[u8]) -> Result<Option<(u64, Frame)>, NoFrame> {
        let mut frame = Encoded::begin(0, kind, 0);
        frame.0.put_slice(rest);
        let mut decoder = Decoder::default();
        decoder.push(frame.end().expect("it is short").bytes());
        decoder.next()
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let text = |text: &str| {
            [
                &u32::try_from(text.len()).expect("short").to_be_bytes(),
                text.as_bytes(),
            ]
            .concat()
        };
        let get = [text("GET"), text("/")].concat();
        let cases = [
            (REQUEST, vec![], "it ends too early"),
            (REQUEST, vec![0, 0, 0, 9, b'G'], "it ends too early"),
            (
                REQUEST,
                [text("G T"), text("/")].concat(),
                "its method is none",
            ),
            (
                REQUEST,
                [text("GET"), text("/ü b")].concat(),
                "its target is none",
            ),
            (REQUEST, get.clone(), "it ends too early"),
            (
                REQUEST,
                [&get[..], &[255, 255]].concat(),
                "it ends too early",
            ),
            (
                REQUEST,
                [&get[..], &[0, 1], &text("a b"), &text("")].concat(),
                "a name of a field is none",
            ),
            (
                REQUEST,
                [&get[..], &[0, 1], &text("a"), &text("\n")].concat(),
                "a value of a field is none",
            ),
            (REPLY, vec![0, 9, 0, 0], "its status is none"),
            (LEFT, vec![0, 200, 0, 0, 1], "it ends too early"),
            (
                LEFT,
                vec![0, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1],
                "something is behind it",
            ),
            (NO_REPLY, vec![0], "nobody knows its kind"),
            (5, vec![], "nobody knows its kind"),
        ];
        for (kind, rest, why) in cases {
            let error = decoded(kind, &rest).expect_err(why);
            assert_eq!(error, NoFrame(why), "{kind} {rest:?}");
        }
        let mut decoder = Decoder::default();
        decoder.push(&(1_u32 << 20 | 1).to_be_bytes());
        assert_eq!(
            decoder.next().expect_err("too long"),
            NoFrame("it is too long")
        );
    }

    #[test]
    fn what_is_too_long_is_not_begun() {
        let long = Request::new(Bytes::from(vec![0; FRAME_BYTES_MAX]));
        assert_eq!(Encoded::request(1, &long).err(), Some(TooLong));
    }
}
