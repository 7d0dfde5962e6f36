//! Who can be reached at an address: everybody, only a private network, only this host, or nobody. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who can be reached there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A host of the internet.
    Public,
    /// This host itself.
    Loopback,
    /// A host of a private network.
    Private,
    /// The link alone; clouds keep the credentials of a machine there.
    LinkLocal,
    /// No single host: unspecified, multicast, reserved, or kept for documents.
    Nowhere,
}

impl Reach {
    /// In words, as they stand behind an address.
    pub fn word(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Loopback => "this host itself",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address, where clouds keep their metadata",
            Self::Nowhere => "no address of a host",
        }
    }
}

/// Judges an address; one that holds another inside (mapped, translated, tunnelled) is judged by that one.
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

fn v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (127, ..) => Reach::Loopback,
        (169, 254, _) => Reach::LinkLocal,
        // 100.64/10 is between customers and their provider; clouds keep metadata in it too.
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) | (198, 18..=19, _) => Reach::Private,
        (0 | 224.., ..) | (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) => Reach::Nowhere,
        _ => Reach::Public,
    }
}

fn v6(address: Ipv6Addr) -> Reach {
    let inside = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        v4(Ipv4Addr::new(a, b, c, d))
    };
    let parts = address.segments();
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Nowhere,
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inside(high, low),
        [0x2002, high, low, ..] => inside(high, low),
        // Amazon's metadata over IPv6.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => Reach::LinkLocal,
        [0x64, 0xff9b, 1, ..] => Reach::Private,
        [0x2001, 0 | 0xdb8, ..] | [0x100, 0, 0, 0, ..] => Reach::Nowhere,
        [first, ..] if first & 0xffc0 == 0xfe80 => Reach::LinkLocal,
        [first, ..] if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 => Reach::Private,
        // Nothing but 2000::/3 was ever given to hosts of the internet.
        [first, ..] if first & 0xe000 == 0x2000 => Reach::Public,
        _ => Reach::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_that_is_not_the_internet_is_known() {
        let cases = [
            ("93.184.216.34", Reach::Public),
            ("127.0.0.53", Reach::Loopback),
            ("10.0.0.1", Reach::Private),
            ("172.15.0.1", Reach::Public),
            ("172.16.0.1", Reach::Private),
            ("172.31.255.255", Reach::Private),
            ("172.32.0.1", Reach::Public),
            ("192.168.1.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("100.100.100.200", Reach::Private),
            ("198.19.0.1", Reach::Private),
            ("169.254.169.254", Reach::LinkLocal),
            ("0.0.0.0", Reach::Nowhere),
            ("224.0.0.1", Reach::Nowhere),
            ("255.255.255.255", Reach::Nowhere),
            ("203.0.113.10", Reach::Nowhere),
            ("2606:2800:220:1::1", Reach::Public),
            ("::", Reach::Nowhere),
            ("::1", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("::ffff:93.184.216.34", Reach::Public),
            ("::10.0.0.1", Reach::Private),
            ("64:ff9b::a00:1", Reach::Private),
            ("64:ff9b:1::1", Reach::Private),
            ("2002:a00:1::1", Reach::Private),
            ("2002:a9fe:a9fe::1", Reach::LinkLocal),
            ("2001:0:1::1", Reach::Nowhere),
            ("2001:db8::1", Reach::Nowhere),
            ("fe80::1", Reach::LinkLocal),
            ("fd00:ec2::254", Reach::LinkLocal),
            ("fd12::1", Reach::Private),
            ("fec0::1", Reach::Private),
            ("ff02::1", Reach::Nowhere),
            ("100::1", Reach::Nowhere),
        ];
        for (address, expected) in cases {
            assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
        }
    }
}
