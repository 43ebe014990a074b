//! The entries that everything is measured with: keys of 20 bytes, values of 100.

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 20;
/// Bytes of a value.
pub(crate) const VALUE_BYTES: usize = 100;
/// Entries of the servers that are read from and written to.
pub(crate) const ENTRIES: usize = 100_000;

/// The key with this number.
pub(crate) fn key(number: usize) -> String {
    digits::<KEY_BYTES>(number)
}

/// The value with this number.
pub(crate) fn value(number: usize) -> String {
    digits::<VALUE_BYTES>(number)
}

fn digits<const LENGTH: usize>(number: usize) -> String {
    format!("{number:0LENGTH$}")
}

/// Writes a number over the digits that are there.
pub(crate) fn overwrite(digits: &mut [u8], mut number: usize) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

/// The numbers below `count`, each once, in an order without locality: that of entries that came as chance would have it.
pub(crate) fn shuffled(count: usize) -> impl Iterator<Item = usize> {
    // Prime, and longer than any log, so that each number comes up once.
    const STEP: usize = 2_654_435_761;
    assert!(count < STEP, "no log is that long");
    (0..count).map(move |number| number * STEP % count)
}
