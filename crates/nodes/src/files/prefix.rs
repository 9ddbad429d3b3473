//! `filename_prefix`: placeholders such as `%year%`, `%date:yyyy-MM-dd%` and `%width%`.
//!
//! Knows a moment and a size. Reads no clock by itself, so that a test can say what time it is.

/// A local date and time, as far as file names show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Year, four digits in names.
    pub year: i16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute.
    pub minute: u8,
    /// Second.
    pub second: u8,
}

impl Moment {
    /// The present moment in the system's time zone.
    pub fn now() -> Self {
        let now = jiff::Zoned::now();
        let part = |n: i8| u8::try_from(n).unwrap_or_default();
        Self {
            year: now.year(),
            month: part(now.month()),
            day: part(now.day()),
            hour: part(now.hour()),
            minute: part(now.minute()),
            second: part(now.second()),
        }
    }

    fn named(self, name: &str) -> Option<String> {
        Some(match name {
            "year" => self.year.to_string(),
            "month" => format!("{:02}", self.month),
            "day" => format!("{:02}", self.day),
            "hour" => format!("{:02}", self.hour),
            "minute" => format!("{:02}", self.minute),
            "second" => format!("{:02}", self.second),
            _ => return None,
        })
    }

    /// `format` with runs of `y M d h H m s` replaced: `yyyy-MM-dd_hh-mm-ss`.
    fn formatted(self, format: &str) -> String {
        let mut out = String::new();
        let mut rest = format;
        while let Some(c) = rest.chars().next() {
            let run = rest.len() - rest.trim_start_matches(c).len();
            let (letters, tail) = rest.split_at(run);
            match self.letters(c, letters.len()) {
                Some(text) => out.push_str(&text),
                None => out.push_str(letters),
            }
            rest = tail;
        }
        out
    }

    fn letters(self, letter: char, count: usize) -> Option<String> {
        let number = match letter {
            'y' if count == 2 => return Some(format!("{:02}", self.year.rem_euclid(100))),
            'y' if count == 4 => return Some(self.year.to_string()),
            'M' => self.month,
            'd' => self.day,
            'h' | 'H' => self.hour,
            'm' => self.minute,
            's' => self.second,
            _ => return None,
        };
        match count {
            1 => Some(number.to_string()),
            2 => Some(format!("{number:02}")),
            _ => None,
        }
    }
}

/// Fills `%width%`, `%height%`, `%year%` … `%second%` and `%date:…%`. Anything else between percent signs stays,
/// `%batch_num%` in particular, which the saver fills per image.
pub fn fill_prefix(prefix: &str, width: usize, height: usize, moment: Moment) -> String {
    let mut out = String::new();
    let mut rest = prefix;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let filled = after.split_once('%').and_then(|(name, tail)| Some((value(name, width, height, moment)?, tail)));
        if let Some((text, tail)) = filled {
            out.push_str(&text);
            rest = tail;
        } else {
            out.push('%');
            rest = after;
        }
    }
    out + rest
}

fn value(name: &str, width: usize, height: usize, moment: Moment) -> Option<String> {
    match name {
        "width" => Some(width.to_string()),
        "height" => Some(height.to_string()),
        _ => match name.strip_prefix("date:") {
            Some(format) => Some(moment.formatted(format)),
            None => moment.named(name),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, fill_prefix};

    const M: Moment = Moment { year: 2026, month: 3, day: 9, hour: 7, minute: 5, second: 1 };

    #[test]
    fn placeholders_are_filled_and_unknown_ones_stay() {
        assert_eq!(fill_prefix("a_%width%x%height%", 64, 32, M), "a_64x32");
        assert_eq!(fill_prefix("%year%-%month%-%day%/%hour%%minute%%second%", 1, 1, M), "2026-03-09/070501");
        assert_eq!(fill_prefix("%date:yyyy-MM-dd_hh-mm-ss%", 1, 1, M), "2026-03-09_07-05-01");
        assert_eq!(fill_prefix("%date:yy.M.d H%", 1, 1, M), "26.3.9 7");
        assert_eq!(fill_prefix("100% %batch_num% %width%", 8, 8, M), "100% %batch_num% 8");
        assert_eq!(fill_prefix("%%width%%", 8, 8, M), "%8%");
    }
}
