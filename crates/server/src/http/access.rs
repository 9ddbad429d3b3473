//! Who may use the server: whoever knows its token, under a name that is the server's own.
//!
//! Pure: knows header texts, no request.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

/// The cookie that a page gets which was opened with the token in its address.
const COOKIE: &str = "kiln-token";
/// Ends of names that no server of the public name system can own.
const PRIVATE: [&str; 5] = [".localhost", ".local", ".lan", ".internal", ".home.arpa"];

/// What a request has to know. Kept as a hash, whose comparison takes the same time wherever a guess is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Token(blake3::Hash);

/// How a request has shown the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// In its address: a page that is opened so gets a cookie for its further requests.
    InAddress,
    InHeader,
}

impl Token {
    pub(crate) fn new(token: &str) -> Self {
        Self(blake3::hash(token.as_bytes()))
    }

    fn is(&self, given: &[u8]) -> bool {
        blake3::hash(given) == self.0
    }

    /// Whether a request shows it: as a bearer, as the password of anybody, in a cookie, or as `token` in its query.
    pub(crate) fn shown(&self, headers: &HeaderMap, query: &str) -> Option<Shown> {
        let by_header =
            headers.get_all(header::AUTHORIZATION).iter().any(|value| self.in_authorization(value.as_bytes()));
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let by_cookie = cookies.flat_map(|all| all.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let by_cookie = by_cookie.filter(|(name, _)| *name == COOKIE).any(|(_, value)| self.is(&decoded(value)));
        let by_query = query.split('&').filter_map(|pair| pair.strip_prefix("token="));
        let by_query = by_query.map(|value| value.replace('+', " ")).any(|value| self.is(&decoded(&value)));
        match (by_header || by_cookie, by_query) {
            (true, _) => Some(Shown::InHeader),
            (_, true) => Some(Shown::InAddress),
            _ => None,
        }
    }

    fn in_authorization(&self, value: &[u8]) -> bool {
        let Some(space) = value.iter().position(|byte| *byte == b' ') else { return false };
        let (scheme, rest) = (&value[..space], value[space..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return self.is(rest);
        }
        let login = STANDARD.decode(rest).ok().filter(|_| scheme.eq_ignore_ascii_case(b"basic"));
        let colon = |login: &[u8]| login.iter().position(|byte| *byte == b':');
        login.is_some_and(|login| colon(&login).is_some_and(|colon| self.is(&login[colon + 1..])))
    }
}

fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

/// The cookie for a page that was opened with the token in its address.
pub(crate) fn cookie(query: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("token="))?.replace('+', "%20");
    let plain = value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b';' | b',' | b'"' | b'\\'));
    plain.then(|| format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict"))
}

/// Whether the name in a `Host` header can only mean this server, and not a name that another site has let point here.
///
/// Addresses, names without a dot and private names can't be owned by a stranger; others have to be `known`.
pub(crate) fn is_own_host(host: &str, known: &[String]) -> bool {
    let host = host.to_ascii_lowercase();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(&*host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.');
    let is_address = name.parse::<IpAddr>().is_ok();
    let is_private = !name.contains('.') || PRIVATE.iter().any(|end| name.ends_with(end));
    is_address || is_private || known.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(name: &str, value: &str, query: &str) -> Option<Shown> {
        let mut headers = HeaderMap::new();
        headers.insert(axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        Token::new("a secret").shown(&headers, query)
    }

    #[test]
    fn a_token_is_taken_from_header_cookie_and_query() {
        for (name, value) in [
            ("authorization", "Bearer a secret"),
            ("authorization", "bearer  a secret"),
            ("authorization", &format!("Basic {}", STANDARD.encode("anybody:a secret"))),
            ("cookie", "x=y; kiln-token=a%20secret"),
        ] {
            assert_eq!(shown(name, value, ""), Some(Shown::InHeader), "{value}");
        }
        for query in ["token=a+secret", "x=1&token=a%20secret"] {
            assert_eq!(shown("x", "y", query), Some(Shown::InAddress), "{query}");
        }
        for (name, value, query) in [
            ("x", "y", ""),
            ("authorization", "Bearer a secre", ""),
            ("authorization", "a secret", ""),
            ("authorization", "Basic !!", ""),
            ("authorization", &format!("Basic {}", STANDARD.encode("a secret")), ""),
            ("cookie", "token=a%20secret", "tokens=a+secret"),
            ("x", "y", "token="),
        ] {
            assert_eq!(shown(name, value, query), None, "{value} {query}");
        }
    }

    #[test]
    fn a_cookie_carries_nothing_but_the_token() {
        assert_eq!(cookie("a=b&token=x%3By").unwrap(), "kiln-token=x%3By; Path=/; HttpOnly; SameSite=Strict");
        assert_eq!(cookie("token=x;y"), None);
        assert_eq!(cookie(""), None);
    }

    #[test]
    fn a_name_that_a_stranger_can_own_is_none_of_ours() {
        for host in
            ["127.0.0.1:8188", "[::1]:8188", "192.168.0.7", "localhost:1", "gpu-box", "box.local:80", "BOX.LAN", ""]
        {
            assert!(is_own_host(host, &[]), "{host}");
        }
        for host in ["evil.example", "evil.example:8188", "127.0.0.1.evil.example", "localhost.evil.example."] {
            assert!(!is_own_host(host, &[]), "{host}");
        }
        assert!(is_own_host("Kiln.Example:443", &["kiln.example".into()]));
        assert!(is_own_host("kiln.example", &["*".into()]));
    }
}
