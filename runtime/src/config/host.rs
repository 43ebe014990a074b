//! The name of this machine.

/// The host's name, as far as it is legal in the name of a node.
pub(super) fn name() -> String {
    legal(&rustix::system::uname().nodename().to_string_lossy())
}

fn legal(name: &str) -> String {
    /// Leaves room for a port within the length of a name.
    const LENGTH_MAX: usize = 100;
    let kept = |letter: char| {
        if letter.is_ascii_alphanumeric() || "._-".contains(letter) {
            letter
        } else {
            '-'
        }
    };
    let name: String = name.chars().map(kept).take(LENGTH_MAX).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "node" } else { name }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values;

    #[test]
    fn every_host_gives_a_legal_name() {
        for (host, expected) in [
            ("db-7.example.com", "db-7.example.com"),
            (".x", "x"),
            ("", "node"),
            ("b\u{fc}ro x", "b-ro-x"),
        ] {
            assert_eq!(legal(host), expected);
        }
        for host in [name(), legal(&"x".repeat(300))] {
            let node = format!("{host}-65535");
            assert_eq!(values::name(&node), Ok(node));
        }
    }
}
