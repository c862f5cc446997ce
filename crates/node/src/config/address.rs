//! Addresses of other hosts as people write them: `192.168.1.5`, `bo.local:42550`,
//! `[fe80::1%eth0]:42550`.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Longest host name (RFC 1035, section 2.3.4, as text without the last dot).
const HOST_BYTES_MAX: usize = 253;
/// Longest part of a host name between dots (the same section).
const LABEL_BYTES_MAX: usize = 63;
/// Longest name of an interface: `IFNAMSIZ` less its zero byte.
const INTERFACE_BYTES_MAX: usize = 15;
/// As much of a wrong address as an error repeats: all of a typo, and not a whole pasted file.
const SHOWN_CHARS_MAX: usize = 80;

/// Where another node listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host.
    pub host: Host,
    /// Its port.
    pub port: u16,
}

/// The host part of an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A whole address.
    Ip(IpAddr),
    /// An IPv6 address and the name or number of the interface it is reached through.
    Scoped(Ipv6Addr, String),
    /// A name to look up.
    Name(String),
}

/// What is wrong with an address. Each message shows the part and what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing there.
    #[error("an address is missing, such as 192.168.1.5, bo.local:42550 or [fe80::1%eth0]:42550")]
    Empty,
    /// An address of a web page.
    #[error("'{0}' is a link; only HOST or HOST:PORT is needed, such as bo.local:42550")]
    Link(String),
    /// The part after the last colon.
    #[error("'{0}' is not a port; a port is a number from 1 to 65535")]
    Port(String),
    /// Four numbers that are no address.
    #[error("'{0}' is not an IPv4 address; it has four numbers from 0 to 255, as in 192.168.1.5")]
    Ipv4(String),
    /// More than one colon, and no IPv6 address.
    #[error("'{0}' is not an IPv6 address, which looks like 2001:db8::1 or fe80::1%eth0")]
    Ipv6(String),
    /// It would be clear with brackets.
    #[error("where the IPv6 address ends and the port begins is not clear; write {0}")]
    Brackets(String),
    /// An opening bracket only.
    #[error("the ']' that closes the IPv6 address is missing in '{0}'")]
    Unclosed(String),
    /// A link-local address alone.
    #[error(
        "'{0}' is different on each network; add the interface it is reached through, as in {0}%eth0"
    )]
    NoInterface(Ipv6Addr),
    /// The part after the percent sign.
    #[error("'{0}' is not the name of a network interface, such as eth0")]
    Interface(String),
    /// An address that is not of one host.
    #[error("'{0}' is not the address of a host that could be connected to")]
    NotAHost(IpAddr),
    /// Neither an address nor a name.
    #[error("'{0}' is neither an address nor the name of a host")]
    Name(String),
}

/// Reads an address. Where it names no port it gets `default_port`.
pub fn parse_address(text: &str, default_port: u16) -> Result<Address, AddressError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if text.contains("://") {
        return Err(AddressError::Link(shown(text)));
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        let closed = bracketed.split_once(']');
        let (inside, after) = closed.ok_or_else(|| AddressError::Unclosed(shown(text)))?;
        let port = match after.strip_prefix(':') {
            Some(port) => parse_port(port)?,
            None if after.is_empty() => default_port,
            None => return Err(AddressError::Port(shown(after))),
        };
        return Ok(Address {
            host: parse_ipv6(inside)?,
            port,
        });
    }
    match text.split_once(':') {
        None => Ok(Address {
            host: parse_host(text)?,
            port: default_port,
        }),
        Some((host, port)) if !port.contains(':') => Ok(Address {
            host: parse_host(host)?,
            port: parse_port(port)?,
        }),
        Some(_) => match parse_ipv6(text) {
            Ok(host) => Ok(Address {
                host,
                port: default_port,
            }),
            Err(error) => Err(brackets_missing(text).unwrap_or(error)),
        },
    }
}

/// The error for an IPv6 address with a port and no brackets, if `text` is one.
fn brackets_missing(text: &str) -> Option<AddressError> {
    let (host, port) = text.rsplit_once(':')?;
    let address = Address {
        host: parse_ipv6(host).ok()?,
        port: parse_port(port).ok()?,
    };
    Some(AddressError::Brackets(address.to_string()))
}

fn parse_port(text: &str) -> Result<u16, AddressError> {
    // `parse` alone would take `+80`.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = if digits {
        text.parse().ok().filter(|port| *port != 0)
    } else {
        None
    };
    port.ok_or_else(|| AddressError::Port(shown(text)))
}

fn parse_ipv6(text: &str) -> Result<Host, AddressError> {
    let (address, interface) = match text.split_once('%') {
        Some((address, interface)) => (address, Some(interface)),
        None => (text, None),
    };
    let ip: Ipv6Addr = address
        .parse()
        .map_err(|_| AddressError::Ipv6(shown(text)))?;
    match interface {
        Some(name) if is_interface(name) => {
            host_at(ip.into())?;
            Ok(Host::Scoped(ip, name.to_owned()))
        }
        Some(name) => Err(AddressError::Interface(shown(name))),
        None if ip.is_unicast_link_local() => Err(AddressError::NoInterface(ip)),
        None => host_at(ip.into()),
    }
}

fn is_interface(name: &str) -> bool {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && !"/:%[]".contains(c);
    (1..=INTERFACE_BYTES_MAX).contains(&name.len()) && name.chars().all(allowed)
}

fn parse_host(text: &str) -> Result<Host, AddressError> {
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return host_at(ip.into());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    // The last part of a name is never a number (RFC 3696, section 2), so this was meant as an
    // address; some resolvers would take 192.168.5 as 192.168.0.5.
    let last = name.rsplit('.').next().unwrap_or_default();
    if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AddressError::Ipv4(shown(text)));
    }
    // Letters of all scripts: multicast DNS has names in UTF-8 (RFC 6762, section 16).
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label
                .chars()
                .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= HOST_BYTES_MAX && name.split('.').all(is_label) {
        Ok(Host::Name(name.to_owned()))
    } else {
        Err(AddressError::Name(shown(text)))
    }
}

fn host_at(ip: IpAddr) -> Result<Host, AddressError> {
    // ::ffff:192.168.1.5 is 192.168.1.5, and one host must not be two.
    let ip = ip.to_canonical();
    let many = ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    if many {
        Err(AddressError::NotAHost(ip))
    } else {
        Ok(Host::Ip(ip))
    }
}

/// The start of `text`, fit for a terminal.
fn shown(text: &str) -> String {
    text.chars()
        .take(SHOWN_CHARS_MAX)
        .flat_map(char::escape_debug)
        .collect()
}

/// Why an address leads nowhere at the moment.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No such interface, or not now.
    #[error("this host has no network interface '{0}' with an IPv6 address")]
    Interface(String),
    /// The name has no address.
    #[error("the name '{name}' could not be looked up: {source}")]
    Name {
        /// The name.
        name: String,
        /// The resolver's reason.
        source: io::Error,
    },
    /// The interfaces could not be listed.
    #[error("the network interfaces could not be listed: {0}")]
    Interfaces(io::Error),
}

impl Address {
    /// Where to connect to: one socket address, or those the name has now.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        match &self.host {
            Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, self.port)]),
            Host::Scoped(ip, interface) => {
                let scope = interface_index(interface)?;
                Ok(vec![SocketAddrV6::new(*ip, self.port, 0, scope).into()])
            }
            Host::Name(name) => {
                let found = tokio::net::lookup_host((name.as_str(), self.port)).await;
                let failed = |source| ResolveError::Name {
                    name: name.clone(),
                    source,
                };
                Ok(found.map_err(failed)?.collect())
            }
        }
    }
}

fn interface_index(interface: &str) -> Result<u32, ResolveError> {
    if let Ok(index) = interface.parse() {
        return Ok(index);
    }
    let all = if_addrs::get_if_addrs().map_err(ResolveError::Interfaces)?;
    let found = all
        .into_iter()
        .find(|one| one.name == interface && one.ip().is_ipv6());
    let index = found.and_then(|one| one.index);
    index.ok_or_else(|| ResolveError::Interface(interface.to_owned()))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.host {
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}:{port}"),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{port}"),
            Host::Scoped(ip, interface) => write!(f, "[{ip}%{interface}]:{port}"),
            Host::Name(name) => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PORT: u16 = 42550;

    #[test]
    fn every_way_to_write_an_address() {
        let scoped = || Host::Scoped("fe80::1".parse().unwrap(), "eth0".to_owned());
        let ip = |text: &str| Host::Ip(text.parse().unwrap());
        let name = |text: &str| Host::Name(text.to_owned());
        for (text, host, port) in [
            ("192.168.1.5", ip("192.168.1.5"), PORT),
            (" 192.168.1.5:80 ", ip("192.168.1.5"), 80),
            ("::1", ip("::1"), PORT),
            ("2001:db8::1", ip("2001:db8::1"), PORT),
            ("[2001:db8::1]", ip("2001:db8::1"), PORT),
            ("[2001:db8::1]:65535", ip("2001:db8::1"), 65535),
            ("fe80::1%eth0", scoped(), PORT),
            ("[fe80::1%eth0]", scoped(), PORT),
            ("[fe80::1%eth0]:1", scoped(), 1),
            ("::ffff:192.168.1.5", ip("192.168.1.5"), PORT),
            ("bo", name("bo"), PORT),
            ("bo.local:42551", name("bo.local"), 42551),
            ("bo.local.", name("bo.local"), PORT),
            ("Zoës-büro.local", name("Zoës-büro.local"), PORT),
            ("王.local", name("王.local"), PORT),
            ("5g-box", name("5g-box"), PORT),
        ] {
            assert_eq!(
                parse_address(text, PORT),
                Ok(Address { host, port }),
                "{text}"
            );
        }
    }

    #[test]
    fn every_mistake_is_told_apart() {
        let not_v4 = "is not an IPv4 address; it has four numbers from 0 to 255, as in 192.168.1.5";
        let not_v6 = "is not an IPv6 address, which looks like 2001:db8::1 or fe80::1%eth0";
        let not_a_port = "is not a port; a port is a number from 1 to 65535";
        let not_a_host = "is not the address of a host that could be connected to";
        let not_clear = "where the IPv6 address ends and the port begins is not clear; write";
        let neither = "is neither an address nor the name of a host";
        for (text, expected) in [
            ("192.168.1.256", format!("'192.168.1.256' {not_v4}")),
            ("192.168.1", format!("'192.168.1' {not_v4}")),
            ("42550", format!("'42550' {not_v4}")),
            ("2001:db8::g", format!("'2001:db8::g' {not_v6}")),
            ("[192.168.1.5]:80", format!("'192.168.1.5' {not_v6}")),
            ("a:b:c", format!("'a:b:c' {not_v6}")),
            ("bo:", format!("'' {not_a_port}")),
            ("bo:0", format!("'0' {not_a_port}")),
            ("bo:+80", format!("'+80' {not_a_port}")),
            ("bo:65536", format!("'65536' {not_a_port}")),
            ("[::1]80", format!("'80' {not_a_port}")),
            (
                "2001:db8::1:42550",
                format!("{not_clear} [2001:db8::1]:42550"),
            ),
            (
                "fe80::1%eth0:42550",
                format!("{not_clear} [fe80::1%eth0]:42550"),
            ),
            (
                "[::1",
                "the ']' that closes the IPv6 address is missing in '[::1'".to_owned(),
            ),
            ("0.0.0.0", format!("'0.0.0.0' {not_a_host}")),
            ("255.255.255.255", format!("'255.255.255.255' {not_a_host}")),
            ("224.0.0.251:80", format!("'224.0.0.251' {not_a_host}")),
            ("[::]:80", format!("'::' {not_a_host}")),
            ("ff02::fb%eth0", format!("'ff02::fb' {not_a_host}")),
            (
                "fe80::1",
                "'fe80::1' is different on each network; add the interface it is reached \
                 through, as in fe80::1%eth0"
                    .to_owned(),
            ),
            (
                "fe80::1%",
                "'' is not the name of a network interface, such as eth0".to_owned(),
            ),
            (
                "http://bo:80/",
                "'http://bo:80/' is a link; only HOST or HOST:PORT is needed, such as \
                 bo.local:42550"
                    .to_owned(),
            ),
            (
                "  ",
                "an address is missing, such as 192.168.1.5, bo.local:42550 or \
                 [fe80::1%eth0]:42550"
                    .to_owned(),
            ),
            ("bo local", format!("'bo local' {neither}")),
            ("-bo", format!("'-bo' {neither}")),
            ("bo..local", format!("'bo..local' {neither}")),
            ("bo\u{1b}[2J", format!(r"'bo\u{{1b}}[2J' {neither}")),
        ] {
            assert_eq!(
                parse_address(text, PORT).unwrap_err().to_string(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let reads = |text: String| parse_address(&text, PORT).is_ok();
        let label = "x".repeat(LABEL_BYTES_MAX);
        assert!(reads(label.clone()) && !reads(label.clone() + "x"));
        let name = [label.as_str(); 3].join(".") + "." + &label[..HOST_BYTES_MAX - 192];
        assert_eq!(name.len(), HOST_BYTES_MAX);
        assert!(reads(name.clone()) && !reads(name + "x"));
        let interface = "e".repeat(INTERFACE_BYTES_MAX);
        assert!(reads(format!("fe80::1%{interface}")) && !reads(format!("fe80::1%{interface}e")));
        let error = parse_address(&"!".repeat(1000), PORT).unwrap_err();
        assert_eq!(error, AddressError::Name("!".repeat(SHOWN_CHARS_MAX)));
    }

    async fn resolve(text: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        parse_address(text, PORT).unwrap().resolve().await
    }

    #[tokio::test]
    async fn addresses_resolve_here_and_now() {
        let one = |text: &str| vec![text.parse::<SocketAddr>().unwrap()];
        assert_eq!(
            resolve("192.168.1.5").await.unwrap(),
            one("192.168.1.5:42550")
        );
        assert_eq!(
            resolve("fe80::1%7").await.unwrap(),
            one("[fe80::1%7]:42550")
        );
        let found = resolve("localhost").await.unwrap();
        assert!(
            found
                .iter()
                .any(|a| a.ip().is_loopback() && a.port() == PORT),
            "{found:?}"
        );
        let error = resolve("fe80::1%nowhere9").await.unwrap_err().to_string();
        assert_eq!(
            error,
            "this host has no network interface 'nowhere9' with an IPv6 address"
        );
        // A name that no resolver is asked for.
        let address = Address {
            host: Host::Name("bo\0".to_owned()),
            port: PORT,
        };
        let error = address.resolve().await.unwrap_err().to_string();
        assert!(
            error.starts_with("the name 'bo\0' could not be looked up: "),
            "{error}"
        );
        // By name, each interface with an IPv6 address is the one with its number.
        for interface in if_addrs::get_if_addrs().unwrap() {
            let (name, index) = (interface.name.clone(), interface.index);
            if interface.ip().is_ipv6() {
                let resolved = resolve(&format!("fe80::1%{name}")).await.unwrap();
                assert_eq!(
                    resolved,
                    one(&format!("[fe80::1%{}]:42550", index.unwrap()))
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_reads_prints_and_reads_again(
            text in prop_oneof![".*", r"\[?[0-9a-f:.%]{0,20}\]?(:[0-9]{0,6})?", "[a-z.:-]{0,20}"],
        ) {
            if let Ok(address) = parse_address(&text, PORT) {
                prop_assert_eq!(parse_address(&address.to_string(), 1), Ok(address));
            }
        }
    }
}
