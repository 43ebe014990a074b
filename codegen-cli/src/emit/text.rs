//! Lines of Rust, laid out as rustfmt would.

/// The widest line.
const WIDTH: usize = 100;
/// The most between the parentheses of an attribute in one line, as rustfmt has it.
const ATTRIBUTE: usize = 70;

/// A text that grows line by line.
#[derive(Debug, Default)]
pub(super) struct Text {
    out: String,
    depth: usize,
}

impl Text {
    pub(super) fn finish(self) -> String {
        self.out
    }

    /// One line; an empty one has no blanks.
    pub(super) fn line(&mut self, line: &str) {
        if !line.is_empty() {
            self.out.extend(std::iter::repeat_n("    ", self.depth));
            self.out.push_str(line);
        }
        self.out.push('\n');
    }

    /// An empty line, if something is before it and that is neither empty nor the beginning of a block.
    pub(super) fn gap(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") && !self.out.ends_with("{\n") {
            self.out.push('\n');
        }
    }

    /// A line that begins a block.
    pub(super) fn open(&mut self, line: &str) {
        self.line(line);
        self.depth += 1;
    }

    /// A line that ends one.
    pub(super) fn close(&mut self, line: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.line(line);
    }

    /// Ends a block that has no last line.
    pub(super) fn dedent(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Comments that document what comes next.
    pub(super) fn doc(&mut self, lines: &[String]) {
        self.comment("///", lines);
    }

    /// Comments that document what is around them.
    pub(super) fn inner_doc(&mut self, lines: &[String]) {
        self.comment("//!", lines);
    }

    fn comment(&mut self, sign: &str, lines: &[String]) {
        for line in lines {
            if line.is_empty() {
                self.line(sign);
            } else {
                self.line(&format!("{sign} {line}"));
            }
        }
    }

    /// `#[name(arguments)]`, if there are any.
    pub(super) fn attribute(&mut self, name: &str, arguments: &[String]) {
        if arguments.is_empty() {
            return;
        }
        let flat = arguments.join(", ");
        let line = format!("#[{name}({flat})]");
        let width = flat.chars().count();
        if width <= ATTRIBUTE || arguments.len() == 1 && self.fits(&line) {
            self.line(&line);
            return;
        }
        self.open(&format!("#[{name}("));
        for (index, argument) in arguments.iter().enumerate() {
            let comma = if index + 1 < arguments.len() { "," } else { "" };
            self.line(&format!("{argument}{comma}"));
        }
        self.close(")]");
    }

    /// Items of a list, as many in a line as fit.
    pub(super) fn filled(&mut self, items: &[String]) {
        let mut line = String::new();
        for item in items {
            let longer = format!("{line}{item}, ");
            if !line.is_empty() && !self.fits(longer.trim_end()) {
                self.line(line.trim_end());
                line.clear();
            }
            line.push_str(item);
            line.push_str(", ");
        }
        if !line.is_empty() {
            self.line(line.trim_end());
        }
    }

    /// `before name: type,`
    pub(super) fn field(&mut self, name: &str, ty: &str) {
        let flat = format!("{name}: {ty},");
        if self.fits(&flat) {
            self.line(&flat);
            return;
        }
        self.depth += 1;
        let next = self.fits(&format!("{ty},"));
        self.depth -= 1;
        let inner = ty
            .split_once('<')
            .and_then(|(outer, inner)| Some((outer, inner.strip_suffix('>')?)));
        match inner {
            // Only a long name is left then.
            Some((outer, inner)) if !next && !inner.contains('<') => {
                self.open(&format!("{name}: {outer}<"));
                self.line(&format!("{inner},"));
                self.close(">,");
            }
            _ => {
                self.open(&format!("{name}:"));
                self.line(&format!("{ty},"));
                self.dedent();
            }
        }
    }

    /// `name(types),`
    pub(super) fn variant(&mut self, name: &str, types: &[&str], after: &str) {
        if types.is_empty() {
            self.line(&format!("{name}{after},"));
            return;
        }
        let flat = format!("{name}({}){after},", types.join(", "));
        if self.fits(&flat) || !after.is_empty() {
            self.line(&flat);
            return;
        }
        self.open(&format!("{name}("));
        for ty in types {
            self.line(&format!("{ty},"));
        }
        self.close("),");
    }

    /// `before(arguments)after`, with each argument on its own line if they do not fit into one.
    pub(super) fn call(&mut self, before: &str, arguments: &[String], after: &str) {
        let flat = format!("{before}({}){after}", arguments.join(", "));
        // A signature without a body may not end in the last column.
        if arguments.is_empty() || self.fits(&format!("{flat} ")) {
            self.line(&flat);
            return;
        }
        if self.fits(&flat) {
            self.line(&format!("{before}({})", arguments.join(", ")));
            self.line(after.trim_start());
            return;
        }
        self.open(&format!("{before}("));
        for argument in arguments {
            self.line(&format!("{argument},"));
        }
        self.close(&format!("){after}"));
    }

    pub(super) fn fits(&self, line: &str) -> bool {
        self.depth * 4 + line.chars().count() <= WIDTH
    }
}

/// A text of the document as a literal.
pub(super) fn literal(text: &str) -> String {
    format!("{text:?}")
}
