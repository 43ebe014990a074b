//! Text of strangers, as it may be shown.

/// Text such that a terminal only shows it: without what controls the terminal, hides, or turns the direction of what is around. Longer text is cut.
///
/// ```
/// use memgen_cli::text::shown;
///
/// assert_eq!(shown("a\u{1b}[31m\nb", 80), "a\u{fffd}[31m\u{fffd}b");
/// assert_eq!(shown("abcdef", 4), "abcd…");
/// ```
#[must_use]
pub fn shown(text: &str, chars_max: usize) -> String {
    let hard = |one: char| one.is_control() || is_hidden(one);
    let cut = text.char_indices().nth(chars_max).map(|(at, _)| at);
    let kept = &text[..cut.unwrap_or(text.len())];
    let mut shown = if kept.contains(hard) {
        kept.replace(hard, "\u{fffd}")
    } else {
        kept.to_owned()
    };
    if cut.is_some() {
        shown.push('…');
    }
    shown
}

/// Characters that hide, or turn the direction of text. The compiler refuses the latter in comments.
#[must_use]
pub const fn is_hidden(one: char) -> bool {
    matches!(one, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}
