//! References: which file and which place one means.

use std::{collections::HashMap, path::Path, rc::Rc};

use percent_encoding::percent_decode_str;

use super::{
    super::{
        node::{Node, Text, Value, escape},
        parse,
    },
    Bundler, Target,
};

/// What a reference comes to.
pub(super) enum Found {
    /// A place.
    At(Target),
    /// Nothing; why.
    Nothing(String),
}

impl Bundler<'_> {
    /// What a reference in a file means.
    pub(super) fn resolve(&mut self, file: u32, reference: &str) -> Found {
        let (place, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if reference.is_empty() {
            return Found::Nothing("is empty".to_owned());
        }
        let file = if place.is_empty() {
            file
        } else {
            match self.open(file, place) {
                Ok(file) => file,
                Err(why) => return Found::Nothing(why),
            }
        };
        let Some(tree) = self.tree(file) else {
            return Found::Nothing("stands in a file that can't be read".to_owned());
        };
        let fragment = percent_decode_str(fragment).decode_utf8_lossy();
        let pointer = if fragment.is_empty() || fragment.starts_with('/') {
            fragment.into_owned()
        } else {
            let anchors = self.anchors.entry(file);
            let anchors = anchors.or_insert_with(|| anchored(&tree));
            match anchors.get(&*fragment) {
                Some(pointer) => pointer.clone(),
                None => {
                    return Found::Nothing(format!(
                        "names the anchor `{fragment}`, which nothing has"
                    ));
                }
            }
        };
        if tree.pointer(&pointer).is_none() {
            return Found::Nothing("leads nowhere".to_owned());
        }
        Found::At((file, pointer))
    }

    /// The number of a file that is named in another one.
    fn open(&mut self, from: u32, place: &str) -> Result<u32, String> {
        if place.contains("://") || place.starts_with("//") || place.starts_with("urn:") {
            return Err(
                "is somewhere in the network, where nothing is fetched from; save it as a file"
                    .to_owned(),
            );
        }
        let Some(Some(folder)) = self.folders.get(from as usize).cloned() else {
            return Err("is in another file, and this document came without its folder".to_owned());
        };
        let place = percent_decode_str(place).decode_utf8_lossy();
        if place.starts_with(['/', '\\']) || place.contains(':') {
            return Err(
                "is not relative to this file; write where the file is from here".to_owned(),
            );
        }
        let path = Path::new(&*place);
        // A document may come from anyone: it says which documents belong to it, and reads nothing else.
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if !["yaml", "yml", "json"]
            .iter()
            .any(|known| extension == *known)
        {
            return Err("is in a file that is not called .yaml, .yml or .json".to_owned());
        }
        let wanted = folder.join(path);
        let path = wanted.canonicalize().map_err(|error| {
            self.sources.miss(wanted);
            format!("is in a file that can't be read: {error}")
        })?;
        if let Some(file) = self.by_path.get(&path) {
            return Ok(*file);
        }
        // What is no file may never end.
        if !path.is_file() {
            return Err("is in something that is no file".to_owned());
        }
        let name = self
            .root_folder
            .as_ref()
            .and_then(|root| path.strip_prefix(root).ok());
        let name = name.unwrap_or(&path).display().to_string();
        let file = self
            .sources
            .read(&path, &name)
            .map_err(|why| format!("is in a file that can't be read: {why}"))?;
        self.by_path.insert(path.clone(), file);
        self.folders.push(path.parent().map(Path::to_owned));
        let text = self.sources.text(file);
        let tree = parse(text, &name, file, &mut self.budget, self.diagnostics);
        self.files.push(tree.map(Rc::new));
        Ok(file)
    }
}

/// The reference, if the object is nothing else.
pub(super) fn pure_reference(node: &Node) -> Option<&str> {
    let object = node.as_object()?;
    let reference = object.get("$ref")?.node.as_str()?;
    (object.len() == 1).then_some(reference)
}

/// Where what has an anchor or an id stands. Of several with one name, the first counts.
fn anchored(tree: &Node) -> HashMap<Text, String> {
    let mut anchors = HashMap::new();
    look_for_anchors(tree, &mut String::new(), &mut anchors);
    anchors
}

fn look_for_anchors(node: &Node, pointer: &mut String, anchors: &mut HashMap<Text, String>) {
    let before = pointer.len();
    let mut inside = |part: &str, node: &Node, anchors: &mut HashMap<Text, String>| {
        pointer.push('/');
        pointer.push_str(part);
        look_for_anchors(node, pointer, anchors);
        pointer.truncate(before);
    };
    match &node.value {
        Value::Object(object) => {
            for (name, member) in object {
                inside(&escape(name), &member.node, anchors);
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                inside(&index.to_string(), item, anchors);
            }
        }
        _ => {}
    }
    let text = |key: &str| match &node.member(key)?.value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    let id = text("$id").and_then(|id| Some(id.strip_prefix('#')?.into()));
    for name in [text("$anchor"), text("$dynamicAnchor"), id]
        .into_iter()
        .flatten()
    {
        // Outer ones after what is in them, which they hide.
        anchors.insert(name, pointer.clone());
    }
}
