//! What a document may cost.
//!
//! Each limit is far above what real documents need, and low enough that what is beyond it is an error within seconds.

/// The deepest nesting of values. Real documents stay below 60.
pub(super) const DEPTH_MAX: usize = 200;
/// The bytes of all files of a document together.
pub(super) const BYTES_MAX: u64 = 64 << 20;
/// The files that one document may be made of.
pub(super) const FILES_MAX: usize = 2000;
/// The values of all files together, those that aliases repeat counted each time; and the values of the document with all that it refers to copied in.
pub(super) const VALUES_MAX: usize = 4_000_000;
/// The references that are followed from one to the next.
pub(super) const HOPS_MAX: usize = 64;

/// How much is left of [`VALUES_MAX`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    values: usize,
}

impl Budget {
    /// Takes so many values. Says what is wrong when there are too many.
    pub(super) fn take(&mut self, values: usize) -> Result<(), String> {
        self.values = self.values.saturating_add(values);
        if self.is_spent() {
            return Err(format!(
                "the document has more than {VALUES_MAX} values, those counted each time that aliases and references repeat"
            ));
        }
        Ok(())
    }

    /// Whether there were too many.
    pub(super) const fn is_spent(self) -> bool {
        self.values > VALUES_MAX
    }
}
