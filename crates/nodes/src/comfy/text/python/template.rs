//! What is put in the place of a find: text, and groups of the find. Knows Python's way to write it.

use std::collections::HashMap;

use super::error::PatternError;

/// A replacement, read as Python's `re.sub` reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::comfy::text) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

impl Template {
    /// Reads a replacement for a pattern with so many groups, and these names.
    ///
    /// # Errors
    /// `PatternError::Python` in Python's words.
    pub(super) fn new(text: &str, groups: usize, names: &HashMap<String, usize>) -> Result<Self, PatternError> {
        let chars: Vec<char> = text.chars().collect();
        let mut reader = Reader { chars: &chars, at: 0, groups, names, parts: Vec::new() };
        reader.read()?;
        Ok(Self { parts: reader.parts })
    }

    /// Whether it has parts of the find, other than the whole.
    pub(super) fn has_groups(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Group(1..)))
    }

    /// Appends the replacement of a find; groups that found nothing are empty.
    pub(super) fn push<'t>(&self, out: &mut String, group: impl Fn(usize) -> Option<&'t str>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(index) => out.push_str(group(*index).unwrap_or_default()),
            }
        }
    }
}

struct Reader<'a> {
    chars: &'a [char],
    at: usize,
    groups: usize,
    names: &'a HashMap<String, usize>,
    parts: Vec<Part>,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), PatternError> {
        while let Some(c) = self.chars.get(self.at).copied() {
            let start = self.at;
            self.at += 1;
            if c == '\\' { self.escape(start)? } else { self.text(c) }
        }
        Ok(())
    }

    fn text(&mut self, c: char) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push(c),
            _ => self.parts.push(Part::Text(c.into())),
        }
    }

    fn group(&mut self, index: usize, at: usize) -> Result<(), PatternError> {
        if index > self.groups {
            return Err(PatternError::python(format!("invalid group reference {index}"), at));
        }
        self.parts.push(Part::Group(index));
        Ok(())
    }

    fn escape(&mut self, start: usize) -> Result<(), PatternError> {
        let Some(c) = self.chars.get(self.at).copied() else {
            return Err(PatternError::python("bad escape (end of pattern)", start));
        };
        self.at += 1;
        match c {
            'g' => return self.named(),
            '0'..='9' => return self.numbered(c, start),
            'a' => self.text('\u{7}'),
            'b' => self.text('\u{8}'),
            'f' => self.text('\u{c}'),
            'n' => self.text('\n'),
            'r' => self.text('\r'),
            't' => self.text('\t'),
            'v' => self.text('\u{b}'),
            '\\' => self.text('\\'),
            c if c.is_ascii_alphabetic() => return Err(PatternError::python(format!("bad escape \\{c}"), start)),
            c => {
                self.text('\\');
                self.text(c);
            }
        }
        Ok(())
    }

    /// `\g<name>` or `\g<1>`, behind the `g`.
    fn named(&mut self) -> Result<(), PatternError> {
        if self.chars.get(self.at) != Some(&'<') {
            return Err(PatternError::python("missing <", self.at));
        }
        let start = self.at + 1;
        let Some(length) = self.chars[start..].iter().position(|c| *c == '>') else {
            return Err(PatternError::python("missing >, unterminated name", start));
        };
        let name: String = self.chars[start..start + length].iter().collect();
        self.at = start + length + 1;
        if !name.is_empty() && name.chars().all(|c| c.is_ascii_digit()) {
            return self.group(name.parse().unwrap_or(usize::MAX), start);
        }
        match self.names.get(&name) {
            Some(index) => self.group(*index, start),
            None if name.is_empty() => Err(PatternError::python("missing group name", start)),
            None => Err(PatternError::python(format!("unknown group name '{name}'"), start)),
        }
    }

    /// A group's number, or a character's in octal digits, behind its first digit.
    fn numbered(&mut self, first: char, start: usize) -> Result<(), PatternError> {
        let octal = |c: &char| matches!(c, '0'..='7');
        let next = |place: usize| self.chars.get(self.at + place).copied();
        let (second, third) = (next(0), next(1));
        let mut digits = String::from(first);
        if first == '0' {
            digits.extend([second, third].into_iter().map_while(|c| c.filter(octal)));
        } else if let Some(second) = second.filter(char::is_ascii_digit) {
            digits.push(second);
            digits.extend(third.filter(|third| octal(&first) && octal(&second) && octal(third)));
        }
        self.at += digits.len() - 1;
        if first != '0' && digits.len() < 3 {
            return self.group(digits.parse().unwrap_or(usize::MAX), start + 1);
        }
        let number = u32::from_str_radix(&digits, 8).ok().filter(|number| *number <= 0o377);
        let outside = || PatternError::python(format!("octal escape value \\{digits} outside of range 0-0o377"), start);
        self.text(number.and_then(char::from_u32).ok_or_else(outside)?);
        Ok(())
    }
}
