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

use super::{super::HEAD_BYTES_MAX, SHORT_BYTES_MAX};

/// A frame is at most this long: a short body, and all of a head that there may be.
pub(super) const FRAME_BYTES_MAX: usize = HEAD_BYTES_MAX as usize + SHORT_BYTES_MAX;

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

/// Puts a request behind what is there.
pub(super) fn put_request(
    out: &mut BytesMut,
    number: u64,
    request: &Request<Bytes>,
) -> Result<(), TooLong> {
    put(out, number, REQUEST, |out| {
        put_text(out, request.method().as_str().as_bytes());
        let target = request.uri().path_and_query();
        put_text(out, target.map_or("/", PathAndQuery::as_str).as_bytes());
        put_fields(out, request.headers())?;
        out.put_slice(request.body());
        Ok(())
    })
}

/// Puts a reply behind what is there.
pub(super) fn put_reply(
    out: &mut BytesMut,
    number: u64,
    reply: &Response<ReplyBody>,
) -> Result<(), TooLong> {
    let kind = match reply.body() {
        ReplyBody::Whole(_) => REPLY,
        ReplyBody::Left(_) => LEFT,
    };
    put(out, number, kind, |out| {
        out.put_u16(reply.status().as_u16());
        put_fields(out, reply.headers())?;
        match reply.body() {
            ReplyBody::Whole(body) => out.put_slice(body),
            ReplyBody::Left(left) => out.put_u64(*left),
        }
        Ok(())
    })
}

/// Says that a request will have no reply.
pub(super) fn put_no_reply(out: &mut BytesMut, number: u64) {
    put_bare(out, number, NO_REPLY);
}

/// Says that no more requests are wanted.
pub(super) fn put_closing(out: &mut BytesMut) {
    put_bare(out, 0, CLOSING);
}

fn put_bare(out: &mut BytesMut, number: u64, kind: u8) {
    let fits = put(out, number, kind, |_| Ok(()));
    fits.expect("a few bytes are not too long");
}

/// Puts a frame behind what is there, or nothing if it is too long.
fn put(
    out: &mut BytesMut,
    number: u64,
    kind: u8,
    rest: impl FnOnce(&mut BytesMut) -> Result<(), TooLong>,
) -> Result<(), TooLong> {
    let start = out.len();
    out.put_u32(0);
    out.put_u64(number);
    out.put_u8(kind);
    let length = rest(out).and_then(|()| {
        let length = out.len() - start - LENGTH_BYTES;
        let fits = length <= FRAME_BYTES_MAX;
        u32::try_from(length).ok().filter(|_| fits).ok_or(TooLong)
    });
    match length {
        Ok(length) => {
            out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
            Ok(())
        }
        Err(too_long) => {
            out.truncate(start);
            Err(too_long)
        }
    }
}

/// The frame of a text whose length is no `u32` is refused for that length.
fn put_text(out: &mut BytesMut, text: &[u8]) {
    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.put_slice(text);
}

fn put_fields(out: &mut BytesMut, fields: &HeaderMap) -> Result<(), TooLong> {
    out.put_u16(u16::try_from(fields.len()).map_err(|_| TooLong)?);
    for (name, value) in fields {
        put_text(out, name.as_str().as_bytes());
        put_text(out, value.as_bytes());
    }
    Ok(())
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
    let mut again = BytesMut::new();
    while let Some((number, frame)) = decoder.next().map_err(|error| error.to_string())? {
        let fits = match frame {
            Frame::Request(request) => put_request(&mut again, number, &request),
            Frame::Reply(reply) => put_reply(&mut again, number, &reply),
            Frame::NoReply => {
                put_no_reply(&mut again, number);
                Ok(())
            }
            Frame::Closing => {
                put_closing(&mut again);
                Ok(())
            }
        };
        fits.map_err(|error| error.to_string())?;
    }
    Ok(again.to_vec())
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

    fn all() -> BytesMut {
        let mut all = BytesMut::new();
        let whole = reply(ReplyBody::Whole(Bytes::from_static(b"tea")));
        put_request(&mut all, 1, &request()).expect("it is short");
        put_reply(&mut all, u64::MAX, &whole).expect("it is short");
        put_reply(&mut all, 2, &reply(ReplyBody::Left(7))).expect("it is short");
        put_no_reply(&mut all, 3);
        put_closing(&mut all);
        all
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
        let mut frame = BytesMut::new();
        let fits = put(&mut frame, 0, kind, |out| {
            out.put_slice(rest);
            Ok(())
        });
        fits.expect("it is short");
        let mut decoder = Decoder::default();
        decoder.push(&frame);
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
        let length = u32::try_from(FRAME_BYTES_MAX + 1).expect("it is short");
        decoder.push(&length.to_be_bytes());
        assert_eq!(
            decoder.next().expect_err("too long"),
            NoFrame("it is too long")
        );
    }

    #[test]
    fn what_is_too_long_is_not_begun() {
        let long = Request::new(Bytes::from(vec![0; FRAME_BYTES_MAX]));
        let mut out = all();
        let before = out.clone();
        assert_eq!(put_request(&mut out, 1, &long), Err(TooLong));
        assert_eq!(out, before);
    }
}
