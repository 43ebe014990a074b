//! What a document may cost.

/// The deepest nesting of values. Real documents stay below 60.
pub(super) const DEPTH_MAX: usize = 200;
/// The longest file, in bytes.
pub(super) const FILE_BYTES_MAX: u64 = 64 << 20;
/// The files that one document may be made of.
pub(super) const FILES_MAX: usize = 2000;
/// The values of all files together, those that aliases repeat counted each time. A file of 64 MB has fewer.
pub(super) const NODES_MAX: usize = 8_000_000;

/// How much of the limits is left for a file.
#[derive(Debug, Default)]
pub(super) struct Budget {
    nodes: usize,
}

impl Budget {
    /// Takes one value. Says what is wrong when there are too many.
    pub(super) fn take(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES_MAX {
            return Err(format!(
                "more than {NODES_MAX} values, counted with what aliases repeat"
            ));
        }
        Ok(())
    }
}
