//! Confluent's wire format: a zero, the id of a schema as four bytes, the highest first, and what Avro makes of a value.

use bytes::{BufMut as _, Bytes, BytesMut};

const MAGIC: u8 = 0;
const HEAD_BYTES: usize = 5;

/// Ids are signed where they come from, and not negative.
const ID_MAX: u32 = i32::MAX.unsigned_abs();

/// The id of the schema, and the rest.
pub(super) fn split(value: &[u8]) -> Result<(u32, &[u8]), String> {
    let form = "a zero, four bytes with the id of its schema, and what Avro makes of it";
    match value {
        [] => Err("it has no value, and an event of Avro has one".to_owned()),
        [MAGIC, one, two, three, four, body @ ..] => {
            match u32::from_be_bytes([*one, *two, *three, *four]) {
                id @ ..=ID_MAX => Ok((id, body)),
                id => Err(format!("no schema has the id {id}; expected {form}")),
            }
        }
        [first, ..] => Err(format!(
            "it has {} bytes and begins with {first:#04x}; expected {form}",
            value.len()
        )),
    }
}

/// A value of these parts.
pub(super) fn join(id: u32, body: &[u8]) -> Bytes {
    let mut value = BytesMut::with_capacity(HEAD_BYTES + body.len());
    value.put_u8(MAGIC);
    value.put_u32(id);
    value.put_slice(body);
    value.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes() {
        let value = join(0x0102_0304, b"\x06abc");
        assert_eq!(&value[..], b"\x00\x01\x02\x03\x04\x06abc");
        assert_eq!(split(&value), Ok((0x0102_0304, &b"\x06abc"[..])));
        assert_eq!(split(&join(ID_MAX, b"")), Ok((ID_MAX, &b""[..])));
    }

    #[test]
    fn what_is_none() {
        for (value, what) in [
            (&b""[..], "no value"),
            (b"{}", "begins with 0x7b"),
            (b"\x01\x00\x00\x00\x01", "begins with 0x01"),
            (b"\x00\x00\x00\x01", "has 4 bytes"),
            (
                b"\x00\x80\x00\x00\x00abc",
                "no schema has the id 2147483648",
            ),
        ] {
            let error = split(value).unwrap_err();
            assert!(error.contains(what), "{value:?}: {error}");
        }
    }
}
