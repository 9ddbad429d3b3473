//! A pattern's characters, taken one after the other; what an escape means as a character. Knows Python's escapes, and no
//! groups.

use super::class::{Category, Element};
use super::error::PatternError;

/// A place in a pattern.
pub(super) struct Reader {
    chars: Vec<char>,
    pub(super) at: usize,
}

/// What a backslash with digits means.
pub(super) enum Numbered {
    /// What a group kept.
    Group(usize),
    /// A character.
    Character(char),
}

impl Reader {
    pub(super) fn new(pattern: &str) -> Self {
        Self { chars: pattern.chars().collect(), at: 0 }
    }

    /// Whether all of the pattern is ASCII.
    pub(super) fn is_ascii(&self) -> bool {
        self.chars.iter().all(char::is_ascii)
    }

    /// The text from a place to here.
    pub(super) fn since(&self, at: usize) -> String {
        self.chars[at..self.at].iter().collect()
    }

    /// The character behind the next one.
    pub(super) fn after_next(&self) -> Option<char> {
        self.chars.get(self.at + 1).copied()
    }

    /// So many characters at most, as long as they are of a kind; nothing is taken.
    fn run(&self, most: usize, is: impl Fn(&char) -> bool) -> String {
        self.chars[self.at..].iter().take(most).take_while(|c| is(c)).collect()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    pub(super) fn error<T>(what: impl Into<String>, at: usize) -> Result<T, PatternError> {
        Err(PatternError::python(what, at))
    }

    /// The text up to `end`, which is taken, too.
    pub(super) fn until(&mut self, end: char, what: &str) -> Result<String, PatternError> {
        let start = self.at;
        while let Some(c) = self.next() {
            if c == end {
                let found: String = self.chars[start..self.at - 1].iter().collect();
                return if found.is_empty() { Self::error(format!("missing {what}"), start) } else { Ok(found) };
            }
        }
        Self::error(format!("missing {end}, unterminated {what}"), start)
    }

    pub(super) fn comment(&mut self, start: usize) -> Result<(), PatternError> {
        while let Some(c) = self.next() {
            if c == ')' {
                return Ok(());
            }
        }
        Self::error("missing ), unterminated comment", start)
    }

    pub(super) fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some(c) = self.peek().filter(char::is_ascii_digit) {
            digits.push(c);
            self.at += 1;
        }
        digits
    }

    /// The next character, for a message; an escape with its letter.
    pub(super) fn shown(&self) -> String {
        let length = if self.peek() == Some('\\') { 2 } else { 1 };
        self.chars[self.at..].iter().take(length).collect()
    }

    pub(super) fn element(&mut self, ascii: bool, start: usize) -> Result<Element, PatternError> {
        let at = self.at;
        let Some(c) = self.next() else { return Self::error("unterminated character set", start) };
        if c != '\\' {
            return Ok(Element::Range(c, c));
        }
        let Some(letter) = self.peek() else { return Self::error("bad escape (end of pattern)", at) };
        if let Some(category) = Category::of(letter, ascii) {
            self.at += 1;
            return Ok(Element::Category(category));
        }
        let c = match letter {
            'b' => {
                self.at += 1;
                '\u{8}'
            }
            '0'..='7' => {
                let digits = self.run(3, |c| is_octal(*c));
                self.at += digits.len();
                Self::octal(&digits, at)?
            }
            _ => self.character(at)?,
        };
        Ok(Element::Range(c, c))
    }

    /// A group's number, or a character's in octal digits, behind the backslash at `start`.
    pub(super) fn numbered(&mut self, start: usize) -> Result<Numbered, PatternError> {
        let digits = self.run(3, char::is_ascii_digit);
        let octal = self.run(3, |c| is_octal(*c));
        if digits.starts_with('0') || octal.len() == 3 {
            self.at += octal.len();
            return Self::octal(&octal, start).map(Numbered::Character);
        }
        let number = &digits[..digits.len().min(2)];
        self.at += number.len();
        Ok(Numbered::Group(number.parse().unwrap_or(usize::MAX)))
    }

    fn octal(digits: &str, at: usize) -> Result<char, PatternError> {
        match u8::from_str_radix(digits, 8) {
            Ok(byte) => Ok(char::from(byte)),
            Err(_) => Self::error(format!("octal escape value \\{digits} outside of range 0-0o377"), at),
        }
    }

    /// The character that an escape means; `at` is its backslash.
    pub(super) fn character(&mut self, at: usize) -> Result<char, PatternError> {
        let Some(c) = self.next() else { return Self::error("bad escape (end of pattern)", at) };
        Ok(match c {
            'a' => '\u{7}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => self.hexadecimal(2, at)?,
            'u' => self.hexadecimal(4, at)?,
            'U' => self.hexadecimal(8, at)?,
            'N' => return Err(PatternError::Unsupported("characters by their names (`\\N{...}`)".to_owned())),
            c if c.is_ascii_alphanumeric() => return Self::error(format!("bad escape \\{c}"), at),
            c => c,
        })
    }

    pub(super) fn hexadecimal(&mut self, count: usize, at: usize) -> Result<char, PatternError> {
        let digits = self.run(count, char::is_ascii_hexdigit);
        self.at += digits.len();
        if digits.len() < count {
            return Self::error(format!("incomplete escape {}", self.since(at)), at);
        }
        let number = u32::from_str_radix(&digits, 16).unwrap_or(u32::MAX);
        match char::from_u32(number) {
            Some(c) => Ok(c),
            None if number < 0x11_0000 => Err(PatternError::Unsupported(format!("half of a character, `\\u{digits}`"))),
            None => Self::error(format!("bad escape \\U{digits}"), at),
        }
    }
}

fn is_octal(c: char) -> bool {
    matches!(c, '0'..='7')
}
