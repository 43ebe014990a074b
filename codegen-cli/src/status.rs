//! What a node says about itself, as a table.

use std::fmt;

use serde::Deserialize;

/// A node's `/status`. What a later version adds is left out.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    service: String,
    version: String,
    cluster: String,
    node: String,
    pub(crate) ready: bool,
    log: Log,
    partitions: Vec<Partition>,
}

#[derive(Debug, Deserialize)]
struct Log {
    kind: String,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Partition {
    topic: String,
    #[serde(rename = "partition")]
    number: u32,
    phase: String,
    halted_because: Option<String>,
    keys: u64,
    bytes: i64,
    position: u64,
    queue: u64,
}

impl Status {
    /// Reads the JSON.
    pub(crate) fn read(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }
}

/// The columns. The first two are text, the others numbers.
const HEAD: [&str; 6] = ["PARTITION", "PHASE", "KEYS", "MEMORY", "POSITION", "QUEUE"];
const TEXT_COLUMNS: usize = 2;

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service,
            version,
            cluster,
            node,
            log,
            ..
        } = self;
        let ready = if self.ready { "ready" } else { "not ready" };
        writeln!(f, "{service} {version}, node {node} of {cluster}: {ready}")?;
        writeln!(f, "log: {}, {}", log.kind, size(log.bytes))?;
        let mut rows = vec![HEAD.map(str::to_owned)];
        rows.extend(self.partitions.iter().map(|partition| {
            [
                format!("{}/{}", partition.topic, partition.number),
                partition.phase.clone(),
                partition.keys.to_string(),
                size(u64::try_from(partition.bytes).unwrap_or(0)),
                partition.position.to_string(),
                partition.queue.to_string(),
            ]
        }));
        let widths: [usize; HEAD.len()] = std::array::from_fn(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        });
        for row in &rows {
            let cells = row
                .iter()
                .zip(widths)
                .enumerate()
                .map(|(column, (cell, width))| {
                    if column < TEXT_COLUMNS {
                        format!("{cell:<width$}")
                    } else {
                        format!("{cell:>width$}")
                    }
                });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  "))?;
        }
        for partition in &self.partitions {
            if let Some(reason) = &partition.halted_because {
                writeln!(
                    f,
                    "{}/{} halted: {reason}",
                    partition.topic, partition.number
                )?;
            }
        }
        Ok(())
    }
}

/// Bytes, in the largest unit that leaves a digit in front.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let rows = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn a_table() {
        let json = br#"{
            "service": "graph", "version": "0.1.0", "cluster": "c", "node": "1", "ready": false,
            "log": {"kind": "embedded", "bytes": 2048, "later": 1},
            "partitions": [
                {"topic": "vertex", "partition": 0, "phase": "serving", "keys": 12, "bytes": 100, "position": 40, "queue": 0},
                {"topic": "vertex", "partition": 1, "phase": "halted", "halted_because": "a bad record",
                 "keys": 0, "bytes": 0, "position": 3, "queue": 1}
            ]
        }"#;
        let table = Status::read(json).map(|status| status.to_string());
        let expected = "\
graph 0.1.0, node 1 of c: not ready
log: embedded, 2.0 KiB
PARTITION  PHASE    KEYS  MEMORY  POSITION  QUEUE
vertex/0   serving    12   100 B        40      0
vertex/1   halted      0     0 B         3      1
vertex/1 halted: a bad record
";
        assert_eq!(table.ok().as_deref(), Some(expected));
    }
}
