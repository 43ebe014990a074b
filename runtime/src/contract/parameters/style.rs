//! How lists and objects are written as text.

/// How a list or an object is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::contract) enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
    /// `content`: JSON as it is.
    Json,
    /// `content`: a text as it is.
    Whole,
}

impl Style {
    /// The style of this name.
    pub(in crate::contract) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "simple" => Self::Simple,
            "label" => Self::Label,
            "matrix" => Self::Matrix,
            "form" => Self::Form,
            "spaceDelimited" => Self::SpaceDelimited,
            "pipeDelimited" => Self::PipeDelimited,
            "deepObject" => Self::DeepObject,
            _ => return None,
        })
    }

    /// What stands between the items of a list that is one text.
    pub(in crate::contract) const fn separator(self) -> char {
        match self {
            Self::SpaceDelimited => ' ',
            Self::PipeDelimited => '|',
            _ => ',',
        }
    }
}

/// `name,value,name,value`, or `name=value` in each part.
pub(in crate::contract) fn pairs(
    parts: &[&str],
    explode: bool,
) -> Result<Vec<(String, String)>, String> {
    if explode {
        let pair = |part: &&str| {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("`{part}` has no `=`"))?;
            Ok((name.to_owned(), value.to_owned()))
        };
        return parts.iter().map(pair).collect();
    }
    if parts.len() % 2 == 1 {
        return Err("is no list of names and values".to_owned());
    }
    let pairs = parts
        .chunks(2)
        .map(|pair| (pair[0].to_owned(), pair[1].to_owned()));
    Ok(pairs.collect())
}
