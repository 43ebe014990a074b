//! The value of one parameter: from text to JSON, by its place, its style and its schema.

use serde_json::Value;

use super::{Parameter, Place, Style, Texts, pairs};
use crate::contract::{coerce, document::Document, nested::Nested, schema::Schema};

impl Parameter {
    /// The value that a request has for it.
    pub(super) fn value(
        &self,
        document: &Document,
        request: &Texts<'_>,
    ) -> Result<Option<Value>, String> {
        let schema = self
            .schema
            .as_deref()
            .and_then(|at| document.value.pointer(at));
        let nothing = Value::Bool(true);
        let schema = document.schema(schema.unwrap_or(&nothing));
        let raw = match self.place {
            Place::Query => return self.of_query(schema, &request.query),
            Place::Path => request
                .path
                .iter()
                .find(|(name, _)| *name == self.name)
                .map(|(_, text)| text.clone()),
            Place::Header => request.header(&self.name)?,
            Place::Cookie => request.cookie(&self.name),
        };
        let Some(raw) = raw else { return Ok(None) };
        if raw.contains('\0') {
            return Err("contains NUL".to_owned());
        }
        let (text, separator) = match self.style {
            Style::Json => return json(&raw).map(Some),
            Style::Whole => return Ok(Some(Value::String(raw))),
            Style::Label => {
                let text = raw.strip_prefix('.').ok_or("does not begin with `.`")?;
                (text.to_owned(), if self.explode { '.' } else { ',' })
            }
            Style::Matrix => return self.of_matrix(schema, &raw).map(Some),
            _ => (raw, ','),
        };
        if self.kinds.list() {
            let items = text.split(separator).filter(|_| !text.is_empty());
            // Lists in headers may have blanks after the commas (RFC 9110).
            let header = self.place == Place::Header;
            let items = items.map(|item| if header { item.trim() } else { item });
            return coerce::list(schema, items.map(str::to_owned)).map(Some);
        }
        if self.kinds.object() {
            let parts: Vec<&str> = text.split(separator).collect();
            return pairs(&parts, self.explode)
                .and_then(|pairs| coerce::object(schema, pairs))
                .map(Some);
        }
        self.plain_value(&text).map(Some)
    }

    fn plain_value(&self, text: &str) -> Result<Value, String> {
        self.kinds
            .read(text)
            .ok_or_else(|| format!("`{text}` is not {}", self.kinds.expected()))
    }

    /// `;color=blue;color=black`, `;color=blue,black`, `;R=100;G=200`
    fn of_matrix(&self, schema: Schema<'_>, raw: &str) -> Result<Value, String> {
        let text = raw.strip_prefix(';').ok_or("does not begin with `;`")?;
        let parts: Vec<&str> = text.split(';').collect();
        if self.kinds.object() && self.explode {
            return pairs(&parts, true).and_then(|pairs| coerce::object(schema, pairs));
        }
        let own = |part: &&str| -> Result<String, String> {
            match part.split_once('=') {
                Some((name, value)) if name == self.name => Ok(value.to_owned()),
                None if *part == self.name => Ok(String::new()),
                _ => Err(format!("does not begin with `;{}=`", self.name)),
            }
        };
        let texts: Vec<String> = parts.iter().map(own).collect::<Result<_, _>>()?;
        if self.kinds.list() {
            let items = texts
                .iter()
                .flat_map(|text| text.split(','))
                .map(str::to_owned);
            return coerce::list(schema, items);
        }
        let text = texts.first().cloned().unwrap_or_default();
        if self.kinds.object() {
            let parts: Vec<&str> = text.split(',').collect();
            return pairs(&parts, false).and_then(|pairs| coerce::object(schema, pairs));
        }
        self.plain_value(&text)
    }

    fn of_query(
        &self,
        schema: Schema<'_>,
        query: &[(String, String)],
    ) -> Result<Option<Value>, String> {
        let own: Vec<&String> = query
            .iter()
            .filter(|(name, _)| *name == self.name)
            .map(|(_, text)| text)
            .collect();
        let first = own.first().map(|text| text.as_str());
        match self.style {
            Style::Json => return first.map(json).transpose(),
            Style::Whole => return Ok(first.map(|text| Value::String(text.to_owned()))),
            Style::DeepObject => return self.deep(schema, query),
            Style::Form if self.explode && self.kinds.object() => {
                let known = schema.properties();
                let mine = query
                    .iter()
                    .filter(|(name, _)| known.contains_key(name.as_str()));
                let mine: Vec<_> = mine.cloned().collect();
                if mine.is_empty() {
                    return Ok(None);
                }
                return coerce::object(schema, mine).map(Some);
            }
            _ => {}
        }
        let Some(first) = first else {
            // Many clients write lists so, whatever the document says.
            let bracketed = format!("{}[]", self.name);
            let texts: Vec<String> = query
                .iter()
                .filter(|(name, _)| *name == bracketed)
                .map(|(_, text)| text.clone())
                .collect();
            if self.kinds.list() && !texts.is_empty() {
                return coerce::list(schema, texts).map(Some);
            }
            return Ok(None);
        };
        let separator = self.style.separator();
        if self.kinds.list() {
            let exploded = self.explode || own.len() > 1;
            let texts: Vec<String> = if exploded {
                own.into_iter().cloned().collect()
            } else if first.is_empty() {
                Vec::new()
            } else {
                first.split(separator).map(str::to_owned).collect()
            };
            return coerce::list(schema, texts).map(Some);
        }
        if self.kinds.object() {
            let parts: Vec<&str> = first.split(separator).collect();
            return pairs(&parts, false)
                .and_then(|pairs| coerce::object(schema, pairs))
                .map(Some);
        }
        if own.len() > 1 {
            return Err("is given more than once".to_owned());
        }
        self.plain_value(first).map(Some)
    }

    /// `price[min]=1&price[max]=2`, and objects within: `a[b][c]=1`.
    fn deep(
        &self,
        schema: Schema<'_>,
        query: &[(String, String)],
    ) -> Result<Option<Value>, String> {
        let prefix = format!("{}[", self.name);
        let mut nested = Nested::default();
        let why = |(pointer, why): (String, String)| match pointer.trim_start_matches('/') {
            "" => why,
            pointer => format!("`{pointer}`: {why}"),
        };
        for (name, text) in query {
            let Some(rest) = name.strip_prefix(&prefix) else {
                continue;
            };
            let path: Vec<&str> = rest
                .strip_suffix(']')
                .ok_or_else(|| format!("`{name}` has no `]` at its end"))?
                .split("][")
                .collect();
            nested.put(&path, text).map_err(why)?;
        }
        if nested.is_empty() {
            return Ok(None);
        }
        nested.read(schema).map(Some).map_err(why)
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))
}
