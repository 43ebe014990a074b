//! Which form of a reply a client prefers (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};

use super::body::essence;

/// The most ranges that are looked at; what comes behind them says nothing.
const RANGES_MAX: usize = 64;

/// The one of `offered` that the client likes best: the first one, where it does not care. `None` if it accepts none of them.
pub(crate) fn preferred<'o>(headers: &HeaderMap, offered: &[&'o str]) -> Option<&'o str> {
    let values = headers.get_all(header::ACCEPT).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let ranges: Vec<Range> = texts
        .flat_map(|text| text.split(','))
        .filter_map(Range::read)
        .take(RANGES_MAX)
        .collect();
    if ranges.is_empty() {
        return offered.first().copied();
    }
    let liked = offered
        .iter()
        .map(|offered| (quality(&ranges, &essence(offered)), *offered));
    // Of equals the first: `max_by_key` has the last.
    liked
        .rev()
        .filter(|(quality, _)| *quality > 0)
        .max_by_key(|(quality, _)| *quality)
        .map(|(_, offered)| offered)
}

/// `text/*;q=0.5`
struct Range {
    kind: String,
    subtype: String,
    /// In thousandths.
    quality: u16,
}

impl Range {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let quality = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("q")
                .then(|| value.trim().parse::<f32>().ok())?
        });
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 0 and 1000"
        )]
        let quality = (quality.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0) as u16;
        Some(Self {
            kind: kind.to_ascii_lowercase(),
            subtype: subtype.to_ascii_lowercase(),
            quality,
        })
    }

    /// How exactly it means a media type; `None` if it does not.
    fn precision(&self, kind: &str, subtype: &str) -> Option<u8> {
        match (self.kind.as_str(), self.subtype.as_str()) {
            ("*", "*") => Some(0),
            (own, "*") if own == kind => Some(1),
            (own, other) if own == kind && other == subtype => Some(2),
            _ => None,
        }
    }
}

fn quality(ranges: &[Range], media_type: &str) -> u16 {
    let (kind, subtype) = media_type.split_once('/').unwrap_or((media_type, ""));
    let meant = ranges
        .iter()
        .filter_map(|range| Some((range.precision(kind, subtype)?, range.quality)));
    meant.max().map_or(0, |(_, quality)| quality)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_best_of_what_is_offered() {
        let offered = ["application/json", "text/csv", "application/hal+json; v=1"];
        for (accept, best) in [
            (None, Some(0)),
            (Some("*/*"), Some(0)),
            (Some("text/csv"), Some(1)),
            (Some("TEXT/CSV;q=0.1"), Some(1)),
            (Some("text/*, application/json;q=0.5"), Some(1)),
            (Some("application/json;q=0.5, text/csv;q=0.9"), Some(1)),
            (Some("*/*;q=0.5, application/hal+json"), Some(2)),
            (Some("application/json;q=0, */*"), Some(1)),
            (Some("image/png"), None),
            (Some("application/json;q=0"), None),
            (Some("rubbish"), Some(0)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            let best = best.map(|index: usize| offered[index]);
            assert_eq!(preferred(&headers, &offered), best, "{accept:?}");
        }
    }
}
