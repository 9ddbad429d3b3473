//! Special tokens: literal texts that are one id each, cut out of a text before anything else looks at it.

/// Special tokens by their texts, the longest first among those that start alike.
#[derive(Debug, Clone, Default)]
pub(super) struct Specials {
    tokens: Vec<(String, u32)>,
}

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Ordinary text, not empty.
    Text(&'a str),
    /// A special token.
    Id(u32),
}

impl Specials {
    pub(super) fn new(tokens: impl IntoIterator<Item = (String, u32)>) -> Self {
        let mut tokens: Vec<_> = tokens.into_iter().filter(|(text, _)| !text.is_empty()).collect();
        tokens.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Self { tokens }
    }

    /// Ordinary text and special tokens in order. Where several tokens start at the same place, the longest counts.
    pub(super) fn split<'a>(&self, text: &'a str) -> Vec<Piece<'a>> {
        let mut pieces = Vec::new();
        let (mut start, mut at) = (0, 0);
        while at < text.len() {
            let Some((token, id)) = self.at(&text[at..]) else {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
                continue;
            };
            pieces.extend((start < at).then(|| Piece::Text(&text[start..at])));
            pieces.push(Piece::Id(id));
            at += token.len();
            start = at;
        }
        pieces.extend((start < text.len()).then(|| Piece::Text(&text[start..])));
        pieces
    }

    fn at(&self, text: &str) -> Option<(&str, u32)> {
        // All of them begin with a bracket; most texts have none.
        if !text.starts_with(['<', '[']) {
            return None;
        }
        self.tokens.iter().find(|(token, _)| text.starts_with(token.as_str())).map(|(token, id)| (token.as_str(), *id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_token_counts_and_text_between_stays_whole() {
        let specials = Specials::new([("<a>".to_owned(), 1), ("<a>>".to_owned(), 2)]);
        assert_eq!(
            specials.split("é<a>>x<a><"),
            [Piece::Text("é"), Piece::Id(2), Piece::Text("x"), Piece::Id(1), Piece::Text("<"),]
        );
        assert!(specials.split("").is_empty());
    }
}
