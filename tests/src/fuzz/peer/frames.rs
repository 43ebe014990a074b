//! HTTP/2 as bytes: just enough to say anything that can be said, right or wrong.

/// What a connection begins with.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const FRAME_HEADER_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// The longest content of a frame that any receiver takes.
const FRAME_BYTES_MAX: usize = 16 << 10;

/// A request, right or wrong.
pub(super) struct Request {
    method: Vec<u8>,
    path: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Of a line with method and path, a line for each header, an empty line, and the body.
    pub(super) fn of_text(text: &[u8]) -> Self {
        let mut rest = text;
        let mut line = || {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let line = &rest[..end];
            rest = &rest[end + 1..];
            Some(line).filter(|line| !line.is_empty())
        };
        let first = line().unwrap_or_default();
        let headers: Vec<_> = std::iter::from_fn(line)
            .map(|header| halves(header, b": "))
            .collect();
        let (method, path) = halves(first, b" ");
        Self {
            method,
            path,
            headers,
            body: rest.to_vec(),
        }
    }
}

fn halves(text: &[u8], between: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let at = text
        .windows(between.len())
        .position(|window| window == between);
    let (one, other) = text.split_at(at.unwrap_or(text.len()));
    (
        one.to_vec(),
        other.get(between.len()..).unwrap_or_default().to_vec(),
    )
}

/// A connection that asks for all of them at once.
pub(super) fn connection(requests: &[Request]) -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    frame(&mut bytes, SETTINGS, 0, 0, &[]);
    for (stream, request) in (1..).step_by(2).zip(requests) {
        let mut head = Vec::new();
        for (name, value) in [
            (&b":method"[..], &request.method[..]),
            (b":scheme", b"http"),
            (b":path", &request.path),
        ] {
            field(&mut head, name, value);
        }
        for (name, value) in &request.headers {
            field(&mut head, name, value);
        }
        let ends = if request.body.is_empty() {
            END_STREAM
        } else {
            0
        };
        frame(&mut bytes, HEADERS, END_HEADERS | ends, stream, &head);
        let mut parts = request.body.chunks(FRAME_BYTES_MAX).peekable();
        while let Some(part) = parts.next() {
            let ends = if parts.peek().is_none() {
                END_STREAM
            } else {
                0
            };
            frame(&mut bytes, DATA, ends, stream, part);
        }
    }
    bytes
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, content: &[u8]) {
    let length = u32::try_from(content.len())
        .expect("inputs are short")
        .to_be_bytes();
    bytes.extend(&length[1..]);
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(content);
}

/// A field of a head: a literal that goes into no table, without Huffman's code (RFC 7541, section 6.2.2).
fn field(head: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    head.push(0);
    for text in [name, value] {
        let mut length = text.len();
        if length < 127 {
            head.push(u8::try_from(length).expect("it was compared"));
        } else {
            head.push(127);
            length -= 127;
            while length >= 128 {
                head.push(u8::try_from(length % 128).expect("it is a remainder") | 128);
                length /= 128;
            }
            head.push(u8::try_from(length).expect("it was divided"));
        }
        head.extend(text);
    }
}

/// How many requests end in these bytes of a client.
pub(super) fn ends(bytes: &[u8]) -> usize {
    let bytes = bytes.strip_prefix(PREFACE).unwrap_or(bytes);
    let frames = frames(bytes);
    frames
        .filter(|(kind, flags)| matches!(*kind, DATA | HEADERS) && flags & END_STREAM != 0)
        .count()
}

/// How many of them are answered in these bytes of a server. The body of an answer may never end.
pub(super) fn answers(bytes: &[u8]) -> usize {
    frames(bytes)
        .filter(|(kind, _)| matches!(*kind, HEADERS | RESET))
        .count()
}

/// The kind and the flags of each frame.
fn frames(mut rest: &[u8]) -> impl Iterator<Item = (u8, u8)> {
    std::iter::from_fn(move || {
        let (header, behind) = rest.split_at_checked(FRAME_HEADER_BYTES)?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        rest = behind.get(length..).unwrap_or_default();
        Some((header[3], header[4]))
    })
}
