//! Which addresses a connector may reach: the ones its endpoint resolves to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The name by which a connector knows its endpoint. It stands in the
/// configuration in place of the real one; `internal` is reserved for private
/// use, so it can be no public host.
pub const ENDPOINT_ALIAS: &str = "endpoint.internal";

/// The address the alias resolves to inside the sandbox. It is of a block kept
/// for documentation (RFC 5737), so it can be no real server.
pub const ENDPOINT_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The most sockets of one instance. A protocol needs one, or a second beside it; each is a
/// descriptor of the host's process and a place at the server, which others need, too.
pub const SOCKETS: usize = 8;

/// Which addresses an endpoint may resolve to.
///
/// There is no list of hosts to keep: the grant is the host and port of the
/// connection form. What is refused beyond that are addresses no database
/// listens on and that answer with credentials of the machine itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkPolicy {
    /// Permits link-local addresses and the metadata services of clouds.
    /// Default: no.
    pub link_local: bool,
}

impl NetworkPolicy {
    /// Permits link-local addresses and the metadata services of clouds.
    pub fn with_link_local(mut self, permitted: bool) -> Self {
        self.link_local = permitted;
        self
    }

    /// Whether an endpoint may be at `address`.
    ///
    /// # Errors
    ///
    /// The reason why not, as the end of a sentence about the address.
    pub fn permit(&self, address: IpAddr) -> Result<(), &'static str> {
        let address = address.to_canonical();
        if address.is_unspecified() {
            return Err("is not the address of a server");
        }
        if is_multicast(address) {
            return Err("is a multicast or broadcast address");
        }
        if !self.link_local && is_metadata(address) {
            return Err("is the metadata service of a cloud");
        }
        if !self.link_local && is_link_local(address) {
            return Err("is a link-local address");
        }
        Ok(())
    }
}

fn is_multicast(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || embedded_v4(v6).is_some_and(|v4| v4.is_link_local())
        }
    }
}

fn is_metadata(address: IpAddr) -> bool {
    // AWS, Azure, Google and others; Alibaba; AWS over IPv6.
    const V4: [Ipv4Addr; 2] = [
        Ipv4Addr::new(169, 254, 169, 254),
        Ipv4Addr::new(100, 100, 100, 200),
    ];
    const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address {
        IpAddr::V4(v4) => V4.contains(&v4),
        IpAddr::V6(v6) => v6 == V6 || embedded_v4(v6).is_some_and(|v4| V4.contains(&v4)),
    }
}

/// The IPv4 address inside an address that a NAT64 gateway (RFC 6052) or the
/// obsolete compatible form would lead to.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let embeds = [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0] || [a, b, c, d, e, f] == [0; 6];
    let [h0, h1] = high.to_be_bytes();
    let [l0, l1] = low.to_be_bytes();
    embeds.then(|| Ipv4Addr::new(h0, h1, l0, l1))
}

/// Whether `name`, as a connector asks for it, is its endpoint.
pub fn is_endpoint_name(name: &str) -> bool {
    name.eq_ignore_ascii_case(ENDPOINT_ALIAS)
}

/// Whether `address`, as a connector asks for it, is its endpoint on `port`.
pub fn is_endpoint_address(address: SocketAddr, port: u16) -> bool {
    address == SocketAddr::from((ENDPOINT_ADDRESS, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_servers_are_permitted() {
        let policy = NetworkPolicy::default();
        for address in [
            "127.0.0.1",
            "::1",
            "10.1.2.3",
            "192.168.1.1",
            "203.0.113.9",
            "2001:db8::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(policy.permit(address.parse().unwrap()), Ok(()), "{address}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused_however_it_is_written() {
        let refused = [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "::169.254.169.254",
            "169.254.0.7",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "64:ff9b::100.100.100.200",
        ];
        for address in refused {
            assert!(
                NetworkPolicy::default()
                    .permit(address.parse().unwrap())
                    .is_err(),
                "{address}"
            );
            let open = NetworkPolicy::default().with_link_local(true);
            assert_eq!(open.permit(address.parse().unwrap()), Ok(()), "{address}");
        }
        for address in ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1"] {
            let open = NetworkPolicy::default().with_link_local(true);
            assert!(open.permit(address.parse().unwrap()).is_err(), "{address}");
        }
    }

    #[test]
    fn the_endpoint_is_one_name_and_one_address() {
        assert!(is_endpoint_name("endpoint.internal"));
        assert!(is_endpoint_name("Endpoint.Internal"));
        for name in [
            "endpoint.internal.",
            "x.endpoint.internal",
            "endpoint",
            "localhost",
            "192.0.2.1",
            "",
        ] {
            assert!(!is_endpoint_name(name), "{name}");
        }
        assert!(is_endpoint_address("192.0.2.1:5432".parse().unwrap(), 5432));
        for address in [
            "192.0.2.1:5433",
            "192.0.2.2:5432",
            "127.0.0.1:5432",
            "[::ffff:192.0.2.1]:5432",
        ] {
            assert!(
                !is_endpoint_address(address.parse().unwrap(), 5432),
                "{address}"
            );
        }
    }
}
