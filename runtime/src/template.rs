//! Path templates (`/vertex/{id}/edges`) and what a concrete path has in their place.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::problem::Problem;

/// A path with placeholders, split once at start-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    text: String,
    /// Each placeholder's name and the index of its segment.
    placeholders: Vec<(String, usize)>,
}

impl Template {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let placeholders = text
            .split('/')
            .enumerate()
            .filter_map(|(index, segment)| {
                let name = segment.strip_prefix('{')?.strip_suffix('}')?;
                Some((name.to_owned(), index))
            })
            .collect();
        Self { text, placeholders }
    }

    /// The template as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The names of the placeholders, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.placeholders.iter().map(|(name, _)| name.as_str())
    }

    /// The template for axum's router. It wants one name per place over all routes, so places are numbered.
    pub(crate) fn numbered(&self) -> String {
        let mut numbered = self.text.clone();
        for (name, index) in &self.placeholders {
            numbered = numbered.replacen(&format!("{{{name}}}"), &format!("{{:{index}}}"), 1);
        }
        numbered.replace("{:", "{p")
    }

    /// The decoded text in the place of `name` of a path that matched this template.
    pub(crate) fn value<'p>(&self, path: &'p str, name: &str) -> Result<Cow<'p, str>, Problem> {
        let index = self
            .placeholders
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, index)| *index)
            .ok_or_else(|| Problem::internal(format!("no `{{{name}}}` in `{}`", self.text)))?;
        let raw = path.split('/').nth(index).unwrap_or_default();
        if !raw.as_bytes().contains(&b'%') {
            return Ok(Cow::Borrowed(raw));
        }
        percent_decode_str(raw)
            .decode_utf8()
            .map_err(|_| Problem::bad_request(format!("`{name}` in the path is not UTF-8")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_and_decoded() {
        let template = Template::new("/c/{customer}/orders/{order}/ship");
        assert_eq!(template.names().collect::<Vec<_>>(), ["customer", "order"]);
        assert_eq!(template.numbered(), "/c/{p2}/orders/{p4}/ship");
        let path = "/c/a%2Fb/orders/%C3%BC/ship";
        assert_eq!(template.value(path, "customer").unwrap(), "a/b");
        assert_eq!(template.value(path, "order").unwrap(), "ü");
        assert_eq!(
            template
                .value("/c/%ff/orders/1/ship", "customer")
                .unwrap_err()
                .status(),
            400
        );
    }
}
