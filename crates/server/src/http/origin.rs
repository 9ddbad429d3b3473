//! Where a request comes from: guards a server on this machine against posts from pages of other sites.
//!
//! Pure: knows header texts, no request.

use std::net::IpAddr;

/// Whether a request may pass that was sent to `host` by a page of `origin`, when `host` is this machine.
pub(crate) fn may_pass(host: &str, origin: &str) -> bool {
    let (host, origin) = (host.to_lowercase(), origin.to_lowercase());
    let origin = origin.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""));
    let (host_name, host_port) = split_port(&host);
    let (origin_name, origin_port) = split_port(origin);
    let host = if origin_port.is_none() { host_name } else { &host };
    let origin = if host_port.is_none() { origin_name } else { origin };
    host.is_empty() || origin.is_empty() || host == origin
}

/// The name, and the port if there is one. An address in brackets is a name.
fn split_port(netloc: &str) -> (&str, Option<&str>) {
    match netloc.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => (name, Some(port)),
        _ => (netloc, None),
    }
}

/// What a `Host` header names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// This machine.
    Loopback,
    /// An address of another one.
    Elsewhere,
    /// A name that has to be resolved.
    Name(String),
}

/// What a `Host` header names, as far as its words show.
pub(crate) fn named(host: &str) -> Named {
    let host = host.to_lowercase();
    let name = split_port(&host).0.trim_start_matches('[').trim_end_matches(']');
    match name.parse::<IpAddr>() {
        Ok(address) if address.to_canonical().is_loopback() => Named::Loopback,
        Ok(_) => Named::Elsewhere,
        Err(_) if name == "localhost" || name.ends_with(".localhost") => Named::Loopback,
        Err(_) => Named::Name(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Named, may_pass, named};

    #[test]
    fn a_page_of_another_site_cannot_reach_a_local_server() {
        assert!(!may_pass("127.0.0.1:8188", "https://evil.example"));
        assert!(!may_pass("localhost:8188", "http://evil.example:8188"));
        assert!(!may_pass("[::1]:8188", "http://127.0.0.1:8188"));
    }

    #[test]
    fn the_servers_own_page_reaches_it() {
        assert!(may_pass("127.0.0.1:8188", "http://127.0.0.1:8188"));
        assert!(may_pass("LOCALHOST:8188", "http://localhost:8188"));
        assert!(may_pass("localhost:8188", "http://localhost"));
        assert!(may_pass("localhost", "http://localhost:8188"));
        assert!(may_pass("[::1]:8188", "http://[::1]:8188"));
        assert!(may_pass("127.0.0.1:8188", "null"));
    }

    #[test]
    fn a_host_is_an_address_or_a_name() {
        for host in ["127.0.0.1:8188", "[::1]:8188", "localhost", "LocalHost:80", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(named(host), Named::Loopback, "{host}");
        }
        assert_eq!(named("192.0.2.7:8188"), Named::Elsewhere);
        assert_eq!(named("kiln.example:8188"), Named::Name("kiln.example".into()));
    }
}
