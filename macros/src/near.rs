//! "Did you mean …?"

/// The word that was probably meant, if one is near enough: one slip for each three letters, at least one.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let slips_max = (word.chars().count() / 3).max(1);
    let lower = word.to_lowercase();
    known
        .iter()
        .map(|candidate| (distance(&lower, candidate), *candidate))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// ": did you mean `x`?", or nothing.
pub(crate) fn did_you_mean(word: &str, known: &[&str]) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!(": did you mean `{near}`?"))
}

/// `` `a`, `b`, `c` ``
pub(crate) fn list<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("`{}`", word.as_ref()))
        .collect();
    quoted.join(", ")
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let rows = [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("get", "get", 0),
            ("gte", "get", 1),
            ("pots", "post", 1),
            ("partition", "partitions", 1),
            ("kitten", "sitting", 3),
            ("ä", "a", 1),
        ];
        for (a, b, slips) in rows {
            assert_eq!(distance(a, b), slips, "{a} {b}");
        }
    }

    #[test]
    fn only_near_words_are_meant() {
        let known = ["path", "topic", "partitions", "global", "crud"];
        let rows = [
            ("pth", Some("path")),
            ("partition", Some("partitions")),
            ("partitoins", Some("partitions")),
            ("Topic", Some("topic")),
            ("globl", Some("global")),
            ("curd", Some("crud")),
            ("x", None),
            ("retention", None),
        ];
        for (word, meant) in rows {
            assert_eq!(nearest(word, &known), meant, "{word}");
        }
    }
}
