//! Words in brackets that WAS Node Suite fills in: the time, and names of the machine.

use jiff::Zoned;

/// `text` with its words in brackets filled in, at the time that it is now.
pub(crate) fn filled(text: &str) -> String {
    if text.contains('[') { filled_at(text, &Zoned::now()) } else { text.to_owned() }
}

fn filled_at(text: &str, now: &Zoned) -> String {
    let seconds = now.timestamp().as_second().to_string();
    let words = [
        ("[time]", seconds),
        ("[hostname]", hostname()),
        // Kiln computes on the device that it is given; this one is what the pack says of a machine without a card.
        ("[cuda_device]", "cpu".to_owned()),
        ("[cuda_name]", "cpu".to_owned()),
        ("[user]", std::env::var("USER").unwrap_or_else(|_| "null".to_owned())),
    ];
    let text = words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value));
    times(&text, now)
}

/// Fills `[time(FORMAT)]` in, where FORMAT is that of C's `strftime`. What is no format stays as it is.
fn times(text: &str, now: &Zoned) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(start) = rest.find("[time(") {
        let inside = &rest[start + "[time(".len()..];
        // As the pack's expression has it: up to the first `)]`, within one line.
        let format = inside.find(")]").map(|end| &inside[..end]).filter(|format| !format.contains('\n'));
        let Some(format) = format else {
            let end = start + "[time(".len();
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        };
        let whole = "[time(".len() + format.len() + ")]".len();
        out.push_str(&rest[..start]);
        match jiff::fmt::strtime::format(format, now) {
            Ok(time) => out.push_str(&time),
            Err(_) => out.push_str(&rest[start..start + whole]),
        }
        rest = &rest[start + whole..];
    }
    out + rest
}

fn hostname() -> String {
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    name.map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_in_brackets_are_filled_in_and_others_stay() {
        let now: Zoned = "2024-03-09T07:05:03+00:00[UTC]".parse().unwrap();
        for (text, right) in [
            ("a [time] b", "a 1709967903 b"),
            ("[time(%Y-%m-%d)]/[time(%H%M)].png", "2024-03-09/0705.png"),
            ("[time(%Y] [x] [time(\n)]", "[time(%Y] [x] [time(\n)]"),
            ("[cuda_device]", "cpu"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(filled_at(text, &now), right, "{text}");
        }
        assert!(!filled_at("[hostname][user]", &now).contains('['));
    }
}
