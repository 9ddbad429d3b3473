//! A pattern of Python's, read as its module `re` reads it and written for the engine.
//!
//! Source: the syntax of Python's documentation of `re` (3.12), its errors in its words. Knows no engine but its syntax.

use std::collections::HashMap;

use super::class::{Category, Element, boundary, bracketed};
use super::error::PatternError;
use super::flags::{FLAG_LETTERS, Flags};
use super::item::{Item, Kind, MOST_REPEATS, Width, counted, literal, once};
use super::reader::{Numbered, Reader};

/// Patterns nest no deeper.
const DEEPEST: usize = 50;

/// A pattern in the engine's syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) pattern: String,
    /// How many groups it has.
    pub(super) groups: usize,
    /// Those with a name.
    pub(super) names: HashMap<String, usize>,
    /// Whether the engine's groups may keep another part than Python's: Python goes once more through the repeat of a group
    /// that may be empty.
    pub(super) doubtful: bool,
}

/// Reads a pattern that will search `text`: what ends a text depends on whether its last character is a line break.
pub(super) fn translate(pattern: &str, flags: Flags, text: &str) -> Result<Translated, PatternError> {
    let mut parser = Parser::new(pattern, text);
    let flags = parser.global_flags(flags)?;
    parser.check_case(flags)?;
    let whole = parser.alternatives(flags, 0)?;
    if parser.reader.peek().is_some() {
        return Err(PatternError::python("unbalanced parenthesis", parser.reader.at));
    }
    if let Some((group, at)) = parser.conditions.iter().find(|(group, _)| *group >= parser.widths.len()) {
        return Err(PatternError::python(format!("invalid group reference {group}"), *at));
    }
    if let Some(at) = parser.stretching {
        return Err(PatternError::python("look-behind requires fixed-width pattern", at));
    }
    if parser.doubtful && parser.refers {
        return Err(PatternError::unsure_group());
    }
    let case = if flags.ignore_case { "(?i)" } else { "" };
    Ok(Translated {
        pattern: format!("{case}(?:{})", whole.text),
        groups: parser.widths.len() - 1,
        names: parser.names,
        doubtful: parser.doubtful,
    })
}

struct Parser<'a> {
    reader: Reader,
    /// What will be searched.
    text: &'a str,
    /// The width of each group, the whole as group 0; `None` while it is open.
    widths: Vec<Option<Width>>,
    names: HashMap<String, usize>,
    /// Groups that conditions ask for, and where.
    conditions: Vec<(usize, usize)>,
    /// Where a look-behind of no fixed width begins: Python's last complaint.
    stretching: Option<usize>,
    /// Whether groups are repeated that may be empty.
    doubtful: bool,
    /// Whether the pattern itself asks for what a group kept.
    refers: bool,
}

impl<'a> Parser<'a> {
    fn new(pattern: &str, text: &'a str) -> Self {
        let (names, conditions) = (HashMap::new(), Vec::new());
        Self {
            reader: Reader::new(pattern),
            text,
            widths: vec![None],
            names,
            conditions,
            stretching: None,
            doubtful: false,
            refers: false,
        }
    }

    /// Flags for the whole pattern, which stand at its start and nowhere else.
    fn global_flags(&mut self, mut flags: Flags) -> Result<Flags, PatternError> {
        loop {
            let start = self.reader.at;
            if self.reader.eat("(?#") {
                self.reader.comment(start)?;
            } else if self.reader.eat("(?") && self.reader.peek().is_some_and(|c| FLAG_LETTERS.contains(c)) {
                let (added, colon) = flags.switched(&mut self.reader)?;
                if colon {
                    self.reader.at = start;
                    return Ok(flags);
                }
                flags = added;
            } else {
                self.reader.at = start;
                return Ok(flags);
            }
        }
    }

    /// Letters outside of ASCII that are the same as ones within must not be found there.
    fn check_case(&self, flags: Flags) -> Result<(), PatternError> {
        if flags.ascii && flags.ignore_case && !(self.text.is_ascii() && self.reader.is_ascii()) {
            return Err(PatternError::Unsupported("`(?a)` with `(?i)` outside of ASCII".to_owned()));
        }
        Ok(())
    }

    /// Branches up to the end of a group or of the pattern.
    fn alternatives(&mut self, flags: Flags, depth: usize) -> Result<Item, PatternError> {
        if depth > DEEPEST {
            return Err(PatternError::Unsupported(format!("groups within groups, more than {DEEPEST} deep")));
        }
        let mut whole = self.branch(flags, depth)?;
        while self.reader.eat("|") {
            let branch = self.branch(flags, depth)?;
            let width = whole.width.or(branch.width);
            let keeps = whole.keeps || branch.keeps;
            whole = Item { keeps, ..Item::plain(format!("{}|{}", whole.text, branch.text), width) };
        }
        Ok(whole)
    }

    fn branch(&mut self, flags: Flags, depth: usize) -> Result<Item, PatternError> {
        let mut items: Vec<Item> = Vec::new();
        while let Some(c) = self.reader.peek().filter(|c| !matches!(c, '|' | ')')) {
            let start = self.reader.at;
            if flags.verbose && (c.is_ascii_whitespace() || c == '\x0b') {
                self.reader.at += 1;
            } else if flags.verbose && c == '#' {
                while self.reader.next().is_some_and(|c| c != '\n') {}
            } else if let Some((least, most)) = self.repeat()? {
                let item = self.repeated(items.pop(), least, most, start)?;
                items.push(item);
            } else {
                items.extend(self.atom(flags, depth)?);
            }
        }
        let width = items.iter().fold(Width::NONE, |width, item| width.then(item.width));
        let keeps = items.iter().any(|item| item.keeps);
        Ok(Item { keeps, ..Item::plain(items.into_iter().map(|item| item.text).collect::<String>(), width) })
    }

    /// The bounds of a repeat, if one stands here.
    fn repeat(&mut self) -> Result<Option<(u64, u64)>, PatternError> {
        let bounds = match self.reader.peek() {
            Some('*') => (0, MOST_REPEATS),
            Some('+') => (1, MOST_REPEATS),
            Some('?') => (0, 1),
            Some('{') => return self.braces(),
            _ => return Ok(None),
        };
        self.reader.at += 1;
        Ok(Some(bounds))
    }

    /// `{m,n}`; anything else in braces means itself.
    fn braces(&mut self) -> Result<Option<(u64, u64)>, PatternError> {
        let start = self.reader.at;
        self.reader.at += 1;
        let low = self.reader.digits();
        let high = if self.reader.eat(",") { self.reader.digits() } else { low.clone() };
        if self.reader.at == start + 1 || !self.reader.eat("}") {
            self.reader.at = start;
            return Ok(None);
        }
        let number = |text: &str, missing: u64| match text {
            "" => Some(missing),
            digits => digits.parse::<u64>().ok().filter(|count| *count < MOST_REPEATS),
        };
        let (Some(least), Some(most)) = (number(&low, 0), number(&high, MOST_REPEATS)) else {
            return Reader::error("the repetition number is too large", start);
        };
        if most < least {
            return Reader::error("min repeat greater than max repeat", start);
        }
        Ok(Some((least, most)))
    }

    fn repeated(&mut self, item: Option<Item>, least: u64, most: u64, start: usize) -> Result<Item, PatternError> {
        let item = match item {
            Some(item) if item.kind == Kind::Plain => item,
            Some(item) if item.kind == Kind::Repeat => return Reader::error("multiple repeat", start),
            _ => return Reader::error("nothing to repeat", start),
        };
        let lazy = self.reader.eat("?");
        let possessive = !lazy && self.reader.eat("+");
        self.doubtful |= item.keeps && item.width.least == 0 && (most > 1 || possessive);
        let text =
            if item.width.most == 0 { once(&item.text, least, lazy) } else { counted(&item.text, least, most, lazy) };
        let text = if possessive { format!("(?>{text})") } else { text };
        Ok(Item { text, width: item.width.times(least, most), kind: Kind::Repeat, keeps: item.keeps })
    }

    /// One part of a branch; `None` for a comment.
    fn atom(&mut self, flags: Flags, depth: usize) -> Result<Option<Item>, PatternError> {
        let start = self.reader.at;
        let Some(c) = self.reader.next() else { return Ok(None) };
        let item = match c {
            '.' => Item::plain(if flags.dotall { r"\O" } else { r"[^\x{A}]" }, Width::ONE),
            '^' => Item::place(if flags.multiline { "(?m:^)" } else { r"\A" }),
            '$' if flags.multiline => Item::place("(?m:$)"),
            '$' if self.text.ends_with('\n') => Item::place(r"(?=\x{A}?\z)"),
            '$' => Item::place(r"\z"),
            '(' => return self.group(flags, depth, start),
            '[' => self.class(flags, start)?,
            '\\' => self.escape(flags, start)?,
            c => literal(c),
        };
        Ok(Some(item))
    }

    fn group(&mut self, flags: Flags, depth: usize, start: usize) -> Result<Option<Item>, PatternError> {
        if !self.reader.eat("?") {
            return self.capture(None, flags, depth, start).map(Some);
        }
        let Some(c) = self.reader.next() else { return Reader::error("unexpected end of pattern", self.reader.at) };
        let item = match c {
            'P' if self.reader.eat("<") => {
                let at = self.reader.at;
                let name = self.reader.until('>', "group name")?;
                Self::check_name(&name, at)?;
                return self.capture(Some(name), flags, depth, start).map(Some);
            }
            'P' if self.reader.eat("=") => {
                let at = self.reader.at;
                let name = self.reader.until(')', "group name")?;
                Self::check_name(&name, at)?;
                let Some(group) = self.names.get(&name).copied() else {
                    return Reader::error(format!("unknown group name '{name}'"), at);
                };
                self.reference(group, at)?
            }
            'P' => return Reader::error(format!("unknown extension ?P{}", self.reader.shown()), start + 1),
            ':' => self.body("(?:", flags, depth, start)?,
            '>' => self.body("(?>", flags, depth, start)?,
            '#' => return self.reader.comment(start).map(|()| None),
            '=' => Item { width: Width::NONE, ..self.body("(?=", flags, depth, start)? },
            '!' => Item { width: Width::NONE, ..self.body("(?!", flags, depth, start)? },
            '<' if self.reader.eat("=") => self.look_behind("(?<=", flags, depth, start)?,
            '<' if self.reader.eat("!") => self.look_behind("(?<!", flags, depth, start)?,
            '<' => return Reader::error(format!("unknown extension ?<{}", self.reader.shown()), start + 1),
            '(' => self.condition(flags, depth, start)?,
            c if c == '-' || FLAG_LETTERS.contains(c) => {
                self.reader.at -= 1;
                let (inner, colon) = flags.switched(&mut self.reader)?;
                if !colon {
                    return Reader::error("global flags not at the start of the expression", start);
                }
                self.check_case(inner)?;
                let open = match (flags.ignore_case, inner.ignore_case) {
                    (false, true) => "(?i:",
                    (true, false) => "(?-i:",
                    _ => "(?:",
                };
                self.body(open, inner, depth, start)?
            }
            _ => {
                self.reader.at -= 1;
                return Reader::error(format!("unknown extension ?{}", self.reader.shown()), start + 1);
            }
        };
        Ok(Some(item))
    }

    fn body(&mut self, open: &str, flags: Flags, depth: usize, start: usize) -> Result<Item, PatternError> {
        let inner = self.alternatives(flags, depth + 1)?;
        if !self.reader.eat(")") {
            return Reader::error("missing ), unterminated subpattern", start);
        }
        Ok(Item { keeps: inner.keeps, ..Item::plain(format!("{open}{})", inner.text), inner.width) })
    }

    fn look_behind(&mut self, open: &str, flags: Flags, depth: usize, start: usize) -> Result<Item, PatternError> {
        let item = self.body(open, flags, depth, start)?;
        if item.width.least != item.width.most {
            self.stretching.get_or_insert(start);
        }
        Ok(Item { width: Width::NONE, ..item })
    }

    fn capture(
        &mut self,
        name: Option<String>,
        flags: Flags,
        depth: usize,
        start: usize,
    ) -> Result<Item, PatternError> {
        let group = self.widths.len();
        if let Some(name) = name {
            if let Some(before) = self.names.get(&name) {
                let what = format!("redefinition of group name '{name}' as group {group}; was group {before}");
                return Reader::error(what, start);
            }
            self.names.insert(name, group);
        }
        self.widths.push(None);
        let item = self.body("(", flags, depth, start)?;
        self.widths[group] = Some(item.width);
        Ok(Item { keeps: true, ..item })
    }

    fn check_name(name: &str, at: usize) -> Result<(), PatternError> {
        let begins = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if begins && name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return Ok(());
        }
        Reader::error(format!("bad character in group name '{name}'"), at)
    }

    fn reference(&mut self, group: usize, at: usize) -> Result<Item, PatternError> {
        self.refers = true;
        match self.widths.get(group) {
            Some(Some(width)) => Ok(Item::plain(format!("(?:\\{group})"), *width)),
            Some(None) => Reader::error("cannot refer to an open group", at),
            None => Reader::error(format!("invalid group reference {group}"), at),
        }
    }

    /// `(?(group)yes|no)`.
    fn condition(&mut self, flags: Flags, depth: usize, start: usize) -> Result<Item, PatternError> {
        let at = self.reader.at;
        let name = self.reader.until(')', "group name")?;
        let group = if name.chars().all(|c| c.is_ascii_digit()) {
            name.parse::<usize>().unwrap_or(usize::MAX)
        } else {
            Self::check_name(&name, at)?;
            match self.names.get(&name) {
                Some(group) => *group,
                None => return Reader::error(format!("unknown group name '{name}'"), at),
            }
        };
        if group == 0 {
            return Reader::error("bad group number", at);
        }
        if self.widths.get(group) == Some(&None) {
            return Err(PatternError::Unsupported("a condition on the group that it stands in".to_owned()));
        }
        self.conditions.push((group, at));
        self.refers = true;
        let yes = self.branch(flags, depth + 1)?;
        let no = if self.reader.eat("|") { Some(self.branch(flags, depth + 1)?) } else { None };
        if self.reader.peek() == Some('|') {
            return Reader::error("conditional backref with more than two branches", self.reader.at);
        }
        if !self.reader.eat(")") {
            return Reader::error("missing ), unterminated subpattern", start);
        }
        let width = yes.width.or(no.as_ref().map_or(Width::NONE, |no| no.width));
        let keeps = yes.keeps || no.as_ref().is_some_and(|no| no.keeps);
        let no = no.map(|no| format!("|{}", no.text)).unwrap_or_default();
        Ok(Item { keeps, ..Item::plain(format!("(?({group}){}{no})", yes.text), width) })
    }

    /// A class in brackets, behind the opening one.
    fn class(&mut self, flags: Flags, start: usize) -> Result<Item, PatternError> {
        let negated = self.reader.eat("^");
        let mut elements = Vec::new();
        loop {
            let at = self.reader.at;
            if !elements.is_empty() && self.reader.eat("]") {
                return Ok(Item::plain(bracketed(negated, &elements), Width::ONE));
            }
            let low = self.reader.element(flags.ascii, start)?;
            if self.reader.peek() != Some('-') || self.reader.after_next() == Some(']') {
                elements.push(low);
                continue;
            }
            self.reader.at += 1;
            match (low, self.reader.element(flags.ascii, start)?) {
                (Element::Range(low, _), Element::Range(high, _)) if low <= high => {
                    elements.push(Element::Range(low, high));
                }
                _ => {
                    let shown = self.reader.since(at);
                    return Reader::error(format!("bad character range {shown}"), at);
                }
            }
        }
    }

    /// An escape outside of brackets, behind its backslash.
    fn escape(&mut self, flags: Flags, start: usize) -> Result<Item, PatternError> {
        let Some(c) = self.reader.peek() else { return Reader::error("bad escape (end of pattern)", start) };
        if let Some(category) = Category::of(c, flags.ascii) {
            self.reader.at += 1;
            return Ok(Item::plain(category.class(), Width::ONE));
        }
        let item = match c {
            'A' => Item::place(r"\A"),
            'Z' => Item::place(r"\z"),
            // Python before 3.14 has no place within a word, nor outside of one, in an empty text.
            'B' if self.text.is_empty() => Item::place("(?!)"),
            'b' if self.text.is_ascii() => Item::place(r"\b"),
            'B' if self.text.is_ascii() => Item::place(r"\B"),
            'b' => Item::place(boundary(false, flags.ascii)),
            'B' => Item::place(boundary(true, flags.ascii)),
            '0'..='9' => {
                return match self.reader.numbered(start)? {
                    Numbered::Character(c) => Ok(literal(c)),
                    Numbered::Group(group) => self.reference(group, start + 1),
                };
            }
            _ => return Ok(literal(self.reader.character(start)?)),
        };
        self.reader.at += 1;
        Ok(item)
    }
}
